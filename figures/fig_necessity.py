"""The necessity construction: forget error at fixed excess risk against ‖p_f‖_∞."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.statistics import fits, group, local_slopes
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "slopes"]

KIND = "sims.necessity"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("delta", "h", at={"temperature": 1.0}),
        Panel("delta", "h", at={"temperature": 2.0}),
    )
)
"""What else varies."""
_STEEP = 100.0
"""From here on h is well above the retain density, so that the power law has set in."""


def slopes(records: Records) -> dict[float, list[float]]:
    """Exponents of FE ∝ h^b between neighbouring h ≥ 100 at the largest δ, by temperature.

    Of two such h at least.
    """
    delta = max(r["config"]["delta"] for r in records)
    chosen = [r for r in records if r["config"]["h"] >= _STEEP and r["config"]["delta"] == delta]
    return fits(
        lambda at_t: local_slopes(at_t, lambda r: r["config"]["h"], "forget_error"),
        group(chosen, lambda r: r["config"]["temperature"]),
    )


def build(records: Records) -> Figure:
    """One panel for each of up to three excess risks; lines are the exact formula."""
    deltas = sorted({r["config"]["delta"] for r in records})
    deltas = [deltas[i] for i in sorted({0, len(deltas) // 2, len(deltas) - 1})]
    colours = style.temperature_colours(sorted({r["config"]["temperature"] for r in records}))
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=len(deltas))
        labels = []
        for panel, delta in zip(panels, deltas, strict=True):
            chosen = [r for r in records if r["config"]["delta"] == delta]
            ends = []
            for t, at_t in group(chosen, lambda r: r["config"]["temperature"]).items():
                at_t = sorted(at_t, key=lambda r: r["config"]["h"])
                x = [r["config"]["h"] for r in at_t]
                panel.plot(x, [r["values"]["forget_error_formula"] for r in at_t], color=colours[t])
                y = [r["values"]["forget_error"] for r in at_t]
                panel.plot(x, y, "o", color=colours[t], markerfacecolor="white")
                ends.append((x[-1], y[-1], f"T = {t:g}", colours[t]))
            panel.set(xscale="log", yscale="log", xlabel="concentration h = ‖p$_f$‖$_∞$")
            panel.set_title(style.power_label("δ", delta), fontweight="normal")
            style.room_for_labels(panel, 0.2)
            labels.append(ends)
        panels[0].set_ylabel("forget error")
        limits = [f(p.get_ylim()[i] for p in panels) for i, f in enumerate((min, max))]
        for panel in panels:
            panel.set_ylim(*limits)
        for panel, ends in zip(panels, labels, strict=True):
            style.label_curves(panel, ends)
    return fig


def caption(records: Records) -> str:
    """What is seen, with slopes and the largest gap between measurement and formula."""
    told = "; ".join(
        f"T = {t:g}: {min(found):.4f} to {max(found):.4f}" for t, found in slopes(records).items()
    )
    gap = max(
        abs(r["values"]["forget_error"] / r["values"]["forget_error_formula"] - 1) for r in records
    )
    gamma = records[0]["config"]["gamma"]
    # FE_T ≤ (γh/(1−γ))^{1/T} ε, ε = 1 − e^{−δ/γ}, on this mixture.
    ratios = [
        r["values"]["forget_error"]
        / (gamma * r["config"]["h"] / (1 - gamma)) ** (1 / r["config"]["temperature"])
        / -math.expm1(-r["config"]["delta"] / gamma)
        for r in records
        if r["config"]["temperature"] > 1
    ]
    tempered = (
        f"At T > 1 the error is at most {max(ratios):.4f} times (γh/(1−γ))^(1/T) (1−e^(−δ/γ)), "
        f"which it approaches from below, so the exponents come down to 1/T from above. "
        if ratios
        else ""
    )
    return (
        f"Statement F's mixture, γ = {gamma:g}: at any fixed excess risk δ guidance (T = 1) fails "
        f"in proportion to h. Circles: measured; lines: the exact formula (largest relative "
        f"difference {gap:.0e}). {tempered}Exponents between neighbouring h ≥ {_STEEP:g} at the "
        f"largest δ: {told or 'too few points'}. Nothing here is random: no intervals."
    )
