"""The best temperature against h, δ and n, beside statement J's closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.curves import bars, curve, estimates, middle, settings, where
from figures.statistics import Estimate, geometric_mean_of, seeds_of

__all__ = ["KIND", "build", "caption", "prediction_error"]

KIND = "sims.optimal_temperature"

Records = Sequence[Mapping[str, Any]]
_TRACES = {
    "temperature_predicted": ("predicted", style.PALETTE["other"]),
    "temperature_worst": ("worst case", style.PALETTE["guidance"]),
    "temperature_random": ("random", style.PALETTE["t3"]),
    "temperature_learnt": ("learnt", style.PALETTE["gated"]),
}


_SATURATED = 1 - 1e-6
"""A worst forget error that no temperature brings below this is one without mass on the spike."""


def prediction_error(records: Records) -> list[float]:
    """Predicted T over best T for the worst case, wherever its error depends on T, ascending."""
    ratios = [
        geometric_mean_of([r], "temperature_predicted").value
        / geometric_mean_of([r], "temperature_worst").value
        for r in records
        if geometric_mean_of([r], "forget_error_worst").value < _SATURATED
    ]
    return sorted(ratios)


def build(records: Records) -> Figure:
    """Three panels: best T against h, against δ, and what it saves against guidance."""
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        ends: list[list] = [[], [], []]
        for value, (name, colour) in _TRACES.items():
            dashed = value == "temperature_predicted"
            for i, (fixed, x) in enumerate((("delta", "h"), ("h", "delta"))):
                end = curve(panels[i], middle(records, fixed), x, value, colour, dashed)
                ends[i].append((*end, name, colour))
            if not dashed:
                _saved(panels[2], middle(records, "delta"), value, name, colour, ends[2])
        labels = ("concentration h = ‖p$_f$‖$_∞$", "excess risk δ (nats)")
        for panel, label in zip(panels, (*labels, labels[0]), strict=True):
            panel.set(xscale="log", xlabel=label, ylabel="best temperature")
        panels[2].set(yscale="log", ylabel="forget error: best T over T = 1")
        for panel, found in zip(panels, ends, strict=True):
            style.finish(panel, found, 0.4)
    return fig


def _saved(
    axes: Axes, records: Records, value: str, name: str, colour: str, ends: list[Any]
) -> None:
    source = value.removeprefix("temperature_")
    least, guided = (
        estimates(records, "h", f"forget_error_{source}{end}") for end in ("", "_guidance")
    )
    # The spread of the ratio is not recorded; it is at most that of both together.
    ratios = [
        Estimate(a.value / b.value, a.low / b.high, a.high / b.low)
        for a, b in zip(least.values(), guided.values(), strict=True)
    ]
    heights = [r.value for r in ratios]
    axes.errorbar(list(least), heights, yerr=bars(ratios), color=colour, marker="o", elinewidth=0.8)
    ends.append((list(least)[-1], heights[-1], name, colour))


def caption(records: Records) -> str:
    """What is seen, with best and predicted temperatures at the sharpest forget data."""
    main = middle(records, "delta")
    h = settings(main, "h")[-1]
    at = where(main, h=h)
    config = at[0]["config"]
    told = ", ".join(f"{name} {geometric_mean_of(at, v):.3g}" for v, (name, _) in _TRACES.items())
    ratios = prediction_error(records)
    gap = max((abs(ratio - 1) for ratio in ratios), default=0.0)
    counts = [geometric_mean_of([r], "n").value for r in records]
    return (
        f"P_r uniform, P_f uniform on a part of measure 1/h, γ = {config['gamma']:g}. The "
        f"temperature of the least forget error for the worst classifier of excess risk δ, for "
        f"{config['draws']} random ones of that risk and for as many learnt from the n for which "
        f"statement K promises it, n = (|Z|/δ) − 1 from {min(counts):,.0f} to "
        f"{max(counts):,.0f}; dashed: statement J's closed form. (a) Against h at δ = "
        f"{config['delta']:.2g}; at h = {h:g}: {told}. (b) Against δ at h = "
        f"{middle(records, 'h')[0]['config']['h']:g}. (c) The forget error at the best T over "
        f"that of guidance, with intervals that hold both errors' own. The worst case's error "
        f"depends on T at {len(ratios)} of {len(records)} (h, δ): there the closed form is within {100 * gap:.1g} % of the best T; at the others "
        f"it is 1 to 10^−6 from about that T on, and which T is taken hardly matters. Geometric means over {seeds_of(records)} seeds with 95% t "
        f"intervals of the logarithms."
    )
