"""The language-model experiment's settings: scales read from TOML into frozen dataclasses.

Knows no torch: what only plans the work reads it too.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llm.settings import build
from t3theory.exceptions import InputError

__all__ = [
    "ATTACKS",
    "BASELINES",
    "METHODS",
    "SCALES",
    "TILTS",
    "BaseSettings",
    "BaselineSettings",
    "DataSettings",
    "EvaluationSettings",
    "ExperimentConfig",
    "HeadSettings",
    "TiltSettings",
    "as_dict",
    "load_scale",
]

CONFIGS = Path(__file__).parent / "configs"
SCALES = (
    "mini",
    "small",
    "small-forget05",
    "small-forget01",
    "full",
    "full-forget05",
    "full-forget01",
)
"""Those of the package; without a split in their name they forget a tenth of the authors."""

TILTS = ("guidance", "tempering", "t3", "t3-prior", "t3-gated", "t3-soft")
"""Methods that change how the full model is decoded and leave its weights alone."""
BASELINES = ("gradascent", "graddiff", "npo", "simnpo", "idkdpo", "rmu", "undial", "uld")
"""Methods that train weights: the full model's, or (uld) those of an assistant beside it."""
ATTACKS = ("none", "paraphrase", "format", "int8", "int4", "relearn", "fluency")
"""What forgetting must hold under; see `llm.robustness`."""
METHODS = ("full", "retain", *TILTS, *BASELINES)


@dataclass(frozen=True)
class DataSettings:
    """Which part of the data: a forget split, and how many authors of each kind (None: all)."""

    forget: str = "forget10"
    forget_authors: int | None = None
    retain_authors: int | None = None


@dataclass(frozen=True)
class BaseSettings:
    """A Llama-architecture model, up to `max_length` tokens, and its training from scratch.

    `warmup` is a share of all steps; the learning rate then falls as a cosine to 0.
    `checkpoint_epochs`: epochs between checkpoints.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int = 512
    weight_decay: float = 0.01
    warmup: float = 0.05
    checkpoint_epochs: int = 5


@dataclass(frozen=True)
class HeadSettings:
    """The low-rank head: trained until the last of `stops`, kept at each of them.

    `stops` are mean losses (nats a token) over the whole forget and retain data, at balanced
    classes, falling; the candidates of the tuning seed. `steps` is the most it may take.
    """

    rank: int
    learning_rate: float
    batch_size: int
    steps: int
    stops: tuple[float, ...]
    weight_decay: float = 0.01
    evaluate_every: int = 10


@dataclass(frozen=True)
class TiltSettings:
    """Candidates that the tuning seed chooses from, for the methods of `TILTS`.

    `guidance_scales`, as many as temperatures, are those of guidance at T = 1.
    """

    temperatures: tuple[float, ...]
    guidance_scales: tuple[float, ...]
    guidance_scale: float = 1.0
    gate_threshold: float = 0.5


@dataclass(frozen=True)
class BaselineSettings:
    """Candidates for each trained baseline, and what they share.

    What is a method's own stands in `llm/baselines/<method>.toml`.
    """

    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    batch_size: int
    weight_decay: float = 0.01


@dataclass(frozen=True)
class EvaluationSettings:
    """How the models are measured.

    `utility_share`: a setting may be chosen only if it keeps this share of the full model's
    utility on the tuning seed, if any does. `retain_rows`: at most so many retain rows are looked
    at, evenly spread, in tuning and under attacks; the evaluation itself takes all.
    """

    batch_size: int
    max_new_tokens: int = 200
    utility_share: float = 0.9
    retain_rows: int | None = None


@dataclass(frozen=True)
class ExperimentConfig:
    """One scale of the experiment.

    `seeds` are reported; settings are chosen on `tuning_seed`, which is none of them.
    `methods` are the methods of `TILTS` and `BASELINES` that are run, and `attacks`, of
    `ATTACKS`, what each of them is put to. `blind` are the methods that are also measured under
    the setting chosen without a retain model: trained baselines once more. `memorisation` are
    epochs of the full model at which the first seed's concentration is measured.
    """

    name: str
    seeds: tuple[int, ...]
    tuning_seed: int
    data: DataSettings
    base: BaseSettings
    head: HeadSettings
    tilt: TiltSettings
    baseline: BaselineSettings
    evaluation: EvaluationSettings
    methods: tuple[str, ...] = TILTS + BASELINES
    attacks: tuple[str, ...] = ATTACKS
    blind: tuple[str, ...] = ()
    memorisation: tuple[int, ...] = ()

    @property
    def tilts(self) -> tuple[str, ...]:
        """The methods of `TILTS` that are run."""
        return tuple(m for m in TILTS if m in self.methods)

    @property
    def baselines(self) -> tuple[str, ...]:
        """The methods of `BASELINES` that are run."""
        return tuple(m for m in BASELINES if m in self.methods)

    def __post_init__(self) -> None:
        tilts = len(self.head.stops) * len(self.tilt.temperatures)
        budgets = {
            "tilt": tilts,
            "guidance": len(self.head.stops) * len(self.tilt.guidance_scales),
            "baseline": len(self.baseline.learning_rates) * len(self.baseline.epochs),
        }
        if set(budgets.values()) != {tilts}:
            raise InputError(
                f"scale {self.name}: expected as many candidates for every method, got {budgets}"
            )
        if self.base.hidden_size % self.base.heads:
            raise InputError(
                f"scale {self.name}: {self.base.heads} heads do not divide a hidden size of "
                f"{self.base.hidden_size}"
            )
        if late := [epoch for epoch in self.memorisation if epoch > self.base.epochs]:
            raise InputError(
                f"scale {self.name}: memorisation has {late[0]}, expected at most the "
                f"{self.base.epochs} epochs of [base]"
            )
        if self.tuning_seed in self.seeds:
            raise InputError(
                f"scale {self.name}: tuning_seed {self.tuning_seed} is also one of the reported "
                f"seeds {list(self.seeds)}, expected another"
            )
        for what, chosen, known in (
            ("method", self.methods, TILTS + BASELINES),
            ("attack", self.attacks, ATTACKS),
            ("blind method", self.blind, self.methods),
        ):
            if unknown := [name for name in chosen if name not in known]:
                raise InputError(
                    f"scale {self.name}: unknown {what} {unknown[0]!r}, expected some of "
                    f"{', '.join(known)}"
                )


def load_scale(name: str | Path) -> ExperimentConfig:
    """The settings of a scale, by name or from a TOML file of one's own.

    A file that says `extends = "small"` has that scale's settings wherever it says nothing else.

    Raises:
        InputError: no such scale or file, no TOML, or an unknown, missing or wrong setting.

    >>> load_scale("mini").seeds
    (1, 2, 3)
    >>> load_scale("small-forget01").data.forget, load_scale("small-forget01").base.epochs
    ('forget01', 25)
    """
    path = CONFIGS / f"{name}.toml" if str(name) in SCALES else Path(name)
    return build(ExperimentConfig, {"name": path.stem} | _read(path, str(name)), str(path))


def _read(path: Path, name: str) -> dict[str, Any]:
    """A scale's file over that of the scale it extends."""
    if path.suffix != ".toml" or not path.is_file():
        raise InputError(f"scale {name!r}: expected one of {', '.join(SCALES)} or a TOML file")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML, {error}") from error
    if "extends" not in content:
        return content
    extended = content.pop("extends")
    if extended not in SCALES:
        raise InputError(f"{path}: extends {extended!r}, expected one of {', '.join(SCALES)}")
    below = _read(CONFIGS / f"{extended}.toml", extended)
    return below | {
        name: below[name] | value if isinstance(value, dict) and name in below else value
        for name, value in content.items()
    }


def as_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON takes it: for records and cache keys."""
    return asdict(settings)
