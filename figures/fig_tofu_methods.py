"""The language-model experiment: forget quality and model utility of every method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.statistics import group, mean

__all__ = ["DISTINCT", "KIND", "NAMES", "build", "caption", "colour_of", "reported"]

KIND = "llm.evaluation"

NAMES = {
    "full": "full model",
    "retain": "retain model (the target)",
    "guidance": "guidance (T = 1)",
    "tempering": "tempering only",
    "t3": "T3",
    "t3-prior": "T3, prior corrected",
    "t3-gated": "T3, gated",
    "t3-soft": "T3, softly gated",
    "gradascent": "GradAscent",
    "graddiff": "GradDiff",
    "npo": "NPO",
    "simnpo": "SimNPO",
    "idkdpo": "IdkDPO",
    "rmu": "RMU",
    "undial": "UNDIAL",
    "uld": "ULD",
}
"""Methods from top to bottom, and what they are called."""

Records = Sequence[Mapping[str, Any]]
_ROLES = {
    "full": "full",
    "retain": "retain",
    "guidance": "guidance",
    "t3": "t3",
    "t3-prior": "t3",
} | dict.fromkeys(("t3-gated", "t3-soft"), "gated")
DISTINCT = -1.301
"""log10 of 0.05: below it the retain model is told apart at that level."""


def colour_of(method: str) -> str:
    """The colour of a method's role: the full and the retain model, guidance, T3, gated, others."""
    return style.PALETTE[_ROLES.get(method, "other")]


def reported(records: Records) -> dict[str, Records]:
    """Method -> its records, in the order of `NAMES`, for seeds on which the full model ran."""
    seeds = {r["seed"] for r in records if r["config"]["method"] == "full"}
    found = group(
        (r for r in records if not seeds or r["seed"] in seeds), lambda r: r["config"]["method"]
    )
    by_seed = {m: sorted(rs, key=lambda r: r["seed"]) for m, rs in found.items()}
    return {method: by_seed[method] for method in NAMES if method in by_seed}


def build(records: Records) -> Figure:
    """Two panels with the same rows: a point a seed, the mean as a bar across."""
    methods = reported(records)
    with style.context():
        fig, (quality, utility) = style.figure(style.PAGE, 12 + 6 * len(methods), columns=2)
        _strip(quality, methods, "forget_quality_log10_p", "forget quality, log$_{10}$ p")
        quality.axvline(DISTINCT, color="0.6", linewidth=0.6, linestyle=":")
        _strip(utility, methods, "model_utility", "model utility")
        left, _ = utility.get_xlim()
        utility.set_xlim(max(0, math.floor(10 * left) / 10), 1)
        utility.locator_params("x", nbins=5)
        if not style.stacked():
            utility.set_yticklabels([])
    return fig


def _strip(axes: Axes, methods: Mapping[str, Records], value: str, label: str) -> None:
    for row, (method, found) in enumerate(methods.items()):
        colour = colour_of(method)
        # The retain model is what forget quality compares with: it has none of its own.
        x = [r["values"][value] for r in found if value in r["values"]]
        if not x:
            continue
        axes.plot(x, [row] * len(x), "o", color=colour, alpha=0.6, clip_on=False)
        axes.plot([mean(x).value], [row], "|", color=colour, markersize=11, markeredgewidth=1.6)
    axes.set_ylim(-0.5, len(methods) - 0.5)
    axes.set_yticks(range(len(methods)), [NAMES[m] for m in methods])
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.3, color="0.9")
    axes.set_xlabel(label)


def caption(records: Records) -> str:
    """What is seen, with means over seeds and their intervals."""
    methods = reported(records)
    config = records[0]["config"]
    seeds = len({r["seed"] for found in methods.values() for r in found})
    words = "; ".join(
        f"{NAMES[m]}: {mean([r['values']['forget_quality_log10_p'] for r in found]):.2f}, "
        f"{mean([r['values']['model_utility'] for r in found]):.3f}"
        for m, found in methods.items()
        if m != "retain"
    )
    return (
        f"Unlearning on {config['data']}, scale {config['scale']}: points are {seeds} seeds, bars "
        f"their means; right of the dotted line the retain model is not told apart at the 5% "
        f"level. Mean log₁₀ p and utility with 95% t intervals: {words}."
    )
