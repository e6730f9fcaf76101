"""The paper as cells: simulations, the language-model experiment, figures, claims, report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from figures.registry import FIGURES
from llm.experiment import ExperimentConfig, as_dict, load_scale
from llm.stages import MODULES
from llm.tofu.data import load_tofu
from paper_repro.pipeline.graph import Cell, Graph
from paper_repro.results import command
from sims import studies
from sims.study import SCALES
from t3theory.exceptions import InputError

__all__ = ["default_out", "paper"]

_WHOLE_RUN = {"out": "."}


def default_out(scale: str, data: str) -> Path:
    """Where a run goes when no folder is given: runs/<scale>-<data's name>."""
    return Path("runs") / f"{Path(scale).stem}-{Path(data).resolve().name}"


def paper(scale: str = "mini", data: str = "mini", dask: str | None = None) -> Graph:
    """All cells of one run; nothing is run and nothing heavy is imported.

    Args:
        dask: address of a Dask scheduler whose workers compute the studies of the theory.
    Raises:
        InputError: an unknown scale, or data that cannot be read or does not fit together.
    """
    config = load_scale(scale)
    part = config.data
    rows = load_tofu(data, part.forget, part.forget_authors, part.retain_authors)
    about = {"data": rows.content_hash, "name": rows.name, "scale": config.name}
    means = {"scale": scale, "source": str(data)}
    cells = [*_Experiment(config, about, means).cells(), *_simulations(scale, dask)]
    figures = list(_figures([c for c in cells if c.name.startswith(("sims.", "lm."))]))
    cells += figures
    return Graph([*cells, *_last(config.name, Path(data).name, cells)])


def _simulations(scale: str, dask: str | None) -> Iterator[Cell]:
    # A scale of one's own, or another split, says nothing of the studies: as in the quickest run.
    scale = scale if scale in SCALES else "mini"
    for name in studies.names():
        product = f"records/sims.{name}.jsonl"
        yield Cell(
            f"sims.{name}",
            "sims.run:run_study",
            {"name": name, "scale": scale},
            (product,),
            paths={"out": product},
            means={"progress": False, "dask": dask},
            sources=("sims.run", f"sims.studies.{name}"),
        )


class _Experiment:
    """The cells of the language-model experiment, in the order of `llm.stages`."""

    def __init__(
        self, config: ExperimentConfig, about: dict[str, Any], means: dict[str, Any]
    ) -> None:
        self.config, self.about, self.means = config, about, means
        self.settings = as_dict(config)

    def cells(self) -> Iterator[Cell]:
        """The tuning seed first: all others wait for what it chooses."""
        yield self._cell("lm.tokenizer", "train_tokenizer", "base", out="lm/tokenizer")
        tuning = self.config.tuning_seed
        yield from self._bases(tuning)
        common = {"base": self._at(tuning, "full"), "retain_logs": self._at(tuning, "eval/retain")}
        before = self._names(tuning, "full", "eval.retain")
        yield self._cell(
            "lm.tune.tilts", "tune_tilts", "head", "tilt", "evaluation", "methods", out="lm/tune/tilts.jsonl",
            needs=(*before, f"lm.{tuning}.heads"), seed=tuning,
            heads=self._at(tuning, "heads"), **common,
        )  # fmt: skip
        for method in self.config.baselines:
            yield self._cell(
                f"lm.tune.{method}", "tune_baseline", "baseline", "evaluation",
                out=f"lm/tune/{method}.jsonl", needs=before, seed=tuning, method=method, **common,
            )  # fmt: skip
        for seed in self.config.seeds:
            yield from self._bases(seed)
            if seed == self.config.seeds[0] and self.config.memorisation:
                yield self._cell(
                    f"lm.{seed}.memorisation", "measure_memorisation", "base", "head", "evaluation",
                    "memorisation", out=f"lm/{seed}/memorisation.jsonl",
                    needs=("lm.tokenizer", f"lm.{seed}.retain"), seed=seed,
                    tokenizer="lm/tokenizer", retain=self._at(seed, "retain"),
                )  # fmt: skip
            yield from self._evaluations(seed)

    def _bases(self, seed: int) -> Iterator[Cell]:
        for which in ("full", "retain"):
            yield self._cell(
                f"lm.{seed}.{which}", "train_base", "base", out=f"lm/{seed}/{which}",
                needs=("lm.tokenizer",), seed=seed, which=which, tokenizer="lm/tokenizer",
            )  # fmt: skip
        yield self._cell(
            f"lm.{seed}.heads", "fit_heads", "head", "evaluation", out=f"lm/{seed}/heads",
            needs=self._names(seed, "full"), seed=seed, base=self._at(seed, "full"),
        )  # fmt: skip
        yield self._evaluation(seed, "retain", "retain", ())

    def _evaluations(self, seed: int) -> Iterator[Cell]:
        yield self._evaluation(seed, "full", "full", ())
        for plain in ("full", "retain"):
            yield from self._robustness(seed, plain, plain)
        models = {name: self._at(seed, name) for name in ("full", "retain", "heads")}
        yield self._cell(
            f"lm.{seed}.theory", "measure_theory", "tilt", "evaluation", "methods",
            out=f"lm/{seed}/theory.jsonl", needs=(*self._names(seed, *models), "lm.tune.tilts"),
            seed=seed, tuning="lm/tune/tilts.jsonl", **models,
        )  # fmt: skip
        yield self._cell(
            f"lm.{seed}.cost", "measure_cost", "head", "evaluation",
            out=f"lm/{seed}/head_cost.jsonl", needs=self._names(seed, "full"),
            seed=seed, base=models["full"],
        )  # fmt: skip
        for method in self.config.tilts:
            needs = (f"lm.{seed}.heads", "lm.tune.tilts")
            paths = {"heads": self._at(seed, "heads"), "tuning": "lm/tune/tilts.jsonl"}
            yield self._evaluation(seed, method, "full", needs, **paths)
            yield from self._robustness(seed, method, "full", **paths)
        if set(self.config.blind) & set(self.config.tilts):
            yield self._blind(seed, "tilts", f"lm.{seed}.heads", heads=self._at(seed, "heads"))
        for method in self.config.baselines:
            tuning = f"lm/tune/{method}.jsonl"
            yield self._cell(
                f"lm.{seed}.{method}", "train_baseline", "baseline", "evaluation",
                out=f"lm/{seed}/{method}", needs=(f"lm.{seed}.full", f"lm.tune.{method}"),
                seed=seed, method=method, base=self._at(seed, "full"), tuning=tuning,
            )  # fmt: skip
            yield self._evaluation(seed, method, method, (), tuning=tuning)
            yield from self._robustness(seed, method, method, tuning=tuning)
            if method in self.config.blind:
                yield self._blind(seed, method, f"lm.{seed}.{method}", model=self._at(seed, method))

    def _evaluation(
        self, seed: int, method: str, model: str, needs: tuple[str, ...], **paths: str
    ) -> Cell:
        if method != "retain":
            needs = (f"lm.{seed}.eval.retain", *needs)
            paths["retain_logs"] = self._at(seed, "eval/retain")
        return self._cell(
            f"lm.{seed}.eval.{method}", "evaluate_method", "tilt", "evaluation",
            out=f"lm/{seed}/eval/{method}", needs=(f"lm.{seed}.{model}", *needs),
            seed=seed, method=method, model=self._at(seed, model), **paths,
        )  # fmt: skip

    def _robustness(self, seed: int, method: str, model: str, **paths: str) -> Iterator[Cell]:
        """What the scale's attacks find, after the evaluation; none where it names none."""
        if not self.config.attacks:
            return
        paths |= {"retain_logs": self._at(seed, "eval/retain"), "retain": self._at(seed, "retain")}
        paths["evaluation"] = self._at(seed, f"eval/{method}")
        yield self._cell(
            f"lm.{seed}.robustness.{method}", "measure_robustness", "evaluation", "attacks",
            out=f"lm/{seed}/{method}.robustness.jsonl",
            needs=self._names(seed, f"eval.{method}", "eval.retain"),
            seed=seed, method=method, model=self._at(seed, model), **paths,
        )  # fmt: skip

    def _blind(self, seed: int, method: str, need: str, **paths: str) -> Cell:
        """A method, or all tilts, under the setting that is chosen without a retain model."""
        cell = self._cell(
            f"lm.{seed}.blind.{method}", "measure_blind", "head", "tilt", "baseline", "evaluation",
            out=f"lm/{seed}/{method}.blind.jsonl",
            needs=(need, *self._names(seed, "full", "eval.retain"), f"lm.tune.{method}"),
            seed=seed, method=method, base=self._at(seed, "full"),
            tuning=f"lm/tune/{method}.jsonl", retain_logs=self._at(seed, "eval/retain"), **paths,
        )  # fmt: skip
        # Of the list only what this cell measures: another method in it changes nothing here.
        measured = self.config.tilts if method == "tilts" else (method,)
        blind = [m for m in self.config.blind if m in measured]
        return replace(cell, config={**cell.config, "blind": blind})

    def _cell(
        self,
        name: str,
        stage: str,
        *settings: str,
        out: str,
        needs: tuple[str, ...] = (),
        **more: Any,
    ) -> Cell:
        """A cell that calls one stage; `settings` are the parts of the scale that it uses."""
        paths = {k: v for k, v in more.items() if str(v).startswith("lm/")}
        return Cell(
            name,
            "paper_repro.pipeline.work:stage",
            {"stage": stage} | {k: v for k, v in more.items() if k not in paths},
            (out, f"{out}.cost.jsonl"),
            paths | {"out": out},
            self.means,
            needs=needs,
            sources=(MODULES[stage],),
            config=self.about | {part: self.settings[part] for part in ("data", *settings)},
        )

    @staticmethod
    def _at(seed: int, place: str) -> str:
        return f"lm/{seed}/{place}"

    @staticmethod
    def _names(seed: int, *parts: str) -> tuple[str, ...]:
        return tuple(f"lm.{seed}.{part}" for part in parts)


_MAKERS = {
    "llm.evaluation": (".eval.",),
    "llm.theory": (".theory",),
    "llm.spike": (".theory", ".memorisation"),
}
"""Kind of records -> what the names of the cells that make them have in common."""


def _products(cells: list[Cell], names: tuple[str, ...]) -> list[str]:
    """What these cells leave: a result of settings that are no longer planned is not among it."""
    return [product for c in cells if c.name in names for product in c.products]


_ENDS = (".png", ".svg", "-column.png", "-column.svg", ".json")
"""Of the files of a figure: a page wide, a column wide, and about both."""


def _figures(cells: list[Cell]) -> Iterator[Cell]:
    for name in FIGURES:
        kind = FIGURES[name].KIND
        parts = _MAKERS.get(kind, ())
        needs = tuple(
            c.name for c in cells if c.name == kind or any(part in c.name for part in parts)
        )
        if not needs:
            raise InputError(f"figure {name}: no cell makes records of kind {kind!r}")
        soft = kind.startswith("llm.")
        yield Cell(
            f"figure.{name}",
            "paper_repro.pipeline.work:draw",
            {"name": name, "products": _products(cells, needs)},
            tuple(f"figures/{name}{end}" for end in _ENDS),
            _WHOLE_RUN,
            needs=() if soft else needs,
            wants=needs if soft else (),
            sources=("figures", f"figures.fig_{name}", "paper_repro.results"),
        )


def _last(scale: str, data: str, cells: list[Cell]) -> Iterator[Cell]:
    """Claims and report: of whatever there is."""
    measured = tuple(c.name for c in cells if c.name.startswith(("sims.", "lm.")))
    drawn = tuple(c.name for c in cells if c.name.startswith("figure."))
    run = command(scale, data)
    yield Cell(
        "claims",
        "paper_repro.pipeline.work:judge",
        {"products": _products(cells, measured), "run": run},
        ("claims.json",),
        _WHOLE_RUN,
        wants=measured,
        sources=("paper_repro.claims", "paper_repro.results"),
    )
    yield Cell(
        "report",
        "paper_repro.report:write",
        {"scale": scale, "data": data, "products": _products(cells, measured), "run": run},
        ("report.html", "tables"),
        _WHOLE_RUN,
        needs=("claims",),
        wants=(*measured, *drawn),
        sources=("paper_repro.report",),
    )
