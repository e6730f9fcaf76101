"""Forget quality against model utility: every method a point, seeds around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.fig_tofu_methods import DISTINCT, NAMES, colour_of, reported
from figures.statistics import mean

__all__ = ["KIND", "build", "caption"]

KIND = "llm.evaluation"

Records = Sequence[Mapping[str, Any]]
_TICKS = (0, -1, -3, -10, -30, -100, -300)
_X, _Y = "model_utility", "forget_quality_log10_p"


def _points(records: Records) -> dict[str, tuple[list[float], list[float]]]:
    """Method -> utilities and forget qualities of its seeds; the retain model has no quality."""
    return {
        method: tuple([r["values"][value] for r in found] for value in (_X, _Y))  # type: ignore[misc]
        for method, found in reported(records).items()
        if all(_Y in r["values"] for r in found)
    }


def build(records: Records) -> Figure:
    """Up and to the right is better; the retain model's utility is a vertical line."""
    points, retain = _points(records), reported(records).get("retain", [])
    with style.context():
        fig, [axes] = style.figure(style.PAGE * 0.75, 90)
        for method, (x, y) in points.items():
            colour = colour_of(method)
            centre = mean(x).value, mean(y).value
            for one in zip(x, y, strict=True):
                axes.plot(*zip(centre, one, strict=True), color=colour, alpha=0.35, linewidth=0.6)
            axes.plot(x, y, ".", color=colour, alpha=0.5)
            axes.plot(*centre, "o", color=colour, markersize=5, clip_on=False)
        axes.axhline(DISTINCT, color="0.6", linewidth=0.6, linestyle=":")
        if retain:
            goal = mean([r["values"][_X] for r in retain]).value
            axes.axvline(goal, color=style.PALETTE["retain"], linewidth=0.6)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(top=0.3)
        lowest = min(min(y) for _, y in points.values())
        axes.set_yticks([t for t in _TICKS if t > 1.5 * lowest - 1], minor=False)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("model utility")
        axes.set_ylabel("forget quality, log$_{10}$ p")
        centres = {m: (mean(x).value, mean(y).value) for m, (x, y) in points.items()}
        labels = [(*at, NAMES[m], colour_of(m)) for m, at in centres.items()]
        style.label_curves(axes, labels, column=1.05)
    return fig


def caption(records: Records) -> str:
    """What is seen, and who is best where the retain model is not told apart."""
    config, points = records[0]["config"], _points(records)
    seeds = max(len(x) for x, _ in points.values())
    passing = {m: mean(x) for m, (x, y) in points.items() if mean(y).value > DISTINCT}
    best = max(passing, key=lambda m: passing[m].value) if passing else None
    words = (
        f"Of the methods whose mean is above the dotted line (p = 0.05), {NAMES[best]} keeps the "
        f"most utility: {passing[best]:.3f}."
        if best
        else "No method's mean is above the dotted line (p = 0.05)."
    )
    return (
        f"Forget quality against utility on {config['data']}, scale {config['scale']}: large points "
        f"are means over {seeds} seeds, small ones the seeds; the vertical line is the retain "
        f"model's utility. {words}"
    )
