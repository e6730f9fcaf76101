"""Errors of a classifier of balanced batches, with and without its prior corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, estimates, middle, settings, where
from figures.statistics import seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.prior_correction"

Records = Sequence[Mapping[str, Any]]
_CORRECTED: dict[str, float | str] = {"classifier": "corrected", "temperature": 1.0}
OTHERS = Variations(
    (
        Panel("h", "gamma", at=_CORRECTED),
        Panel("n", "gamma", at=_CORRECTED),
        Panel("temperature", "gamma", at=_CORRECTED),
        Panel("h", "gamma", "retain_error", at=_CORRECTED),
        Panel("n", "gamma", "retain_error", at=_CORRECTED),
        Panel("temperature", "gamma", "retain_error", at=_CORRECTED),
    )
)
"""What else varies."""
_COLOURS = {
    "natural": style.PALETTE["retain"],
    "balanced": style.PALETTE["guidance"],
    "corrected": style.PALETTE["t3"],
}
_VALUES = {
    "excess_risk": "excess risk δ (nats)",
    "retain_error": "retain error (nats)",
    "forget_error": "forget error",
}


def build(records: Records) -> Figure:
    """Three panels against γ: excess risk, retain error, forget error, at the least T."""
    main = _main(records)
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        for panel, (value, label) in zip(panels, _VALUES.items(), strict=True):
            heights = {}
            for name in settings(main, "classifier"):
                at = where(main, classifier=name)
                curve(panel, at, "gamma", value, _COLOURS[name])
                found = estimates(at, "gamma", value)
                heights[name] = [e.value for e in found.values()]
            panel.set(xscale="log", yscale="log", xlabel="share to forget γ", ylabel=label)
            style.finish(panel, _labels(settings(main, "gamma")[-1], heights), 0.4)
    return fig


def _labels(
    gamma: float, heights: Mapping[str, Sequence[float]]
) -> list[tuple[float, float, str, str]]:
    """Names at the ends of the curves; where these coincide, in the order in which they arrive."""
    lasts = [values[-1] for values in heights.values()]
    meet = lasts[0] if max(lasts) < 1.1 * min(lasts) else None
    arriving = sorted(heights, key=lambda name: tuple(heights[name][-2:]))
    return [(gamma, meet or heights[name][-1], name, _COLOURS[name]) for name in arriving]


def caption(records: Records) -> str:
    """What is seen, with both errors at the least γ."""
    main = _main(records)
    config = main[0]["config"]
    gamma = settings(main, "gamma")[0]
    told = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{value.replace('_', ' ')} "
            f"{estimates(where(main, classifier=name), 'gamma', value)[gamma]:.2g}"
            for value in _VALUES
        )
        for name in settings(main, "classifier")
    )
    seeds = seeds_of(main)
    return (
        f"Tabular classifiers from n = {config['n']:,} draws and two pseudo-draws of the same prior "
        f"for each atom, T = {config['temperature']:g}, "
        f"h = {config['h']:g}, overlap {config['overlap']:g}: drawn as the mixture is (natural), "
        f"in equal parts (balanced), and in equal parts with the log-odds shifted to γ "
        f"(corrected, statement M). At γ = {gamma:g}, {told}. Geometric means over {seeds} seeds "
        f"with 95% t intervals of the logarithms."
    )


def _main(records: Records) -> Records:
    first = settings(records, "temperature")[0]
    return middle(where(records, temperature=first), "h", "n")
