"""Uniform against gated tempering on sequences: forget and retain error, and their trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.curves import estimates, middle, settings, traced, where
from figures.statistics import sample_of, seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.gating"

Records = Sequence[Mapping[str, Any]]
_HARD = {"gate": "hard", "source": "bigram"}
OTHERS = Variations(
    (
        Panel("source", "temperature", at=_HARD),
        Panel("n", "temperature", at=_HARD),
        Panel("gate_threshold", "temperature", at=_HARD),
        Panel("length", "temperature", at=_HARD),
        Panel("n", "temperature", "retain_error", at=_HARD),
        Panel("gate_threshold", "temperature", "retain_error", at=_HARD),
    )
)
"""What else varies."""
_COLOURS = {
    "none": style.PALETTE["t3"],
    "hard": style.PALETTE["gated"],
    "soft": style.PALETTE["accent"],
}
_SOURCES = {
    "bigram": "bigram chain",
    "trigram": "trigram chain",
    "hidden_markov": "hidden Markov model",
}
_NAMES = {"none": "uniform", "hard": "hard gate", "soft": "soft gate"}


def build(records: Records) -> Figure:
    """Three panels: forget error, retain error against T; one against the other."""
    main = _main(records)
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        ends: list[list] = [[], []]
        for gate in settings(main, "gate"):
            at, label = where(main, gate=gate), (_NAMES[gate], _COLOURS[gate])
            found = traced(panels, at, _COLOURS[gate])
            for labels, end in zip(ends[:2], found, strict=False):
                labels.append((*end, *label))
            _named(panels[2], found[2], gate)
        for panel, labels in zip(panels[:2], ends, strict=True):
            style.finish(panel, labels, 0.4)
        style.finish(panels[2], [], 0.4)
    return fig


def _named(axes: Axes, end: tuple[float, float], gate: str) -> None:
    """The name beside the end of a curve in the plane of both errors, where labels in one column would not be."""
    axes.annotate(
        _NAMES[gate].removesuffix(" gate"),
        end,
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
        color=_COLOURS[gate],
    )


def caption(records: Records) -> str:
    """What is seen, with both errors and the share of contexts tempered at the largest T."""
    main = _main(records)
    config, t = main[0]["config"], settings(main, "temperature")[-1]
    told = []
    for gate in settings(main, "gate"):
        at = where(main, gate=gate, temperature=t)
        forget, retain = (
            estimates(at, "temperature", value)[t] for value in ("forget_error", "retain_error")
        )
        shares = [sample_of(at, f"{p}_gated").mean for p in ("forget", "retain")]
        told.append(
            f"{_NAMES[gate]}: forget error {forget:.3g}, retain error {retain:.3g}, tempering "
            f"{shares[0]:.2f} of forget and {shares[1]:.2f} of retain contexts"
        )
    seeds = seeds_of(main)
    return (
        f"Sequences of {config['length']} symbols out of {config['vocabulary']}: "
        f"{config['memorised']} memorised ones among those of a random {_SOURCES[config['source']]}, γ = {config['gamma']:g}, "
        f"add-one classifiers of prefixes from n = {config['n']:,} sequences, gate threshold "
        f"{config['gate_threshold']:g}; all errors exact. (c) One "
        f"error against the other, from T = {settings(main, 'temperature')[0]:g} at the top to "
        f"T = {t:g} at the bottom. At T = {t:g}, {'; '.join(told)}. "
        f"Geometric means over {seeds} seeds with 95% t intervals of the logarithms."
    )


def _main(records: Records) -> Records:
    sources = sorted(settings(records, "source"), key=lambda name: name != "bigram")
    main = where(records, source=sources[0])
    return middle(main, "vocabulary", "length", "gate_threshold", "n")
