"""Forget error against concentration for Gaussians that sharpen, by dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, settings, where
from figures.statistics import local_slopes
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "slopes"]

KIND = "sims.gaussian_width"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("components", "width", at={"temperature": 1.0}),
        Panel("components", "width", at={"temperature": 2.0}),
    )
)
"""What else varies."""
_STEEP = 10.0
"""From here on, in units of the largest retain density 0.4^d, the power law has set in."""
_FEWEST = 3
"""Points so sharp before an exponent between the last two is told."""


def slopes(records: Records) -> dict[tuple[int, float], float]:
    """(dimension, T) -> exponent of FE ∝ h^b between the two sharpest, where h ≥ 10 · 0.4^d."""
    fitted = {}
    for d in settings(records, "dimension"):
        for t in settings(records, "temperature"):
            at = where(records, dimension=d, temperature=t)
            steep = [r for r in at if _peak(r) >= _STEEP * 0.4**d]
            if len(steep) >= _FEWEST:
                fitted[d, t] = local_slopes(steep, _peak, "forget_error")[-1]
    return fitted


def build(records: Records) -> Figure:
    """A panel for each dimension."""
    records = _main(records)
    dimensions, fitted = settings(records, "dimension"), slopes(records)
    colours = style.temperature_colours(settings(records, "temperature"))
    with style.context():
        width = min(style.PAGE, 70.0 * len(dimensions))
        fig, panels = style.figure(width, 62, columns=len(dimensions))
        for panel, d in zip(panels, dimensions, strict=True):
            ends = []
            for t, colour in sorted(colours.items()):
                found = where(records, dimension=d, temperature=t)
                if found:
                    slope = fitted.get((d, t))
                    text = f"T = {t:g}" + ("" if slope is None else f": {slope:.2f}")
                    ends.append((*curve(panel, found, _peak, "forget_error", colour), text, colour))
            panel.set(xscale="log", yscale="log", xlabel="concentration h = ‖p$_f$‖$_∞$")
            panel.set_title(f"d = {d}", fontweight="normal")
            style.finish(panel, ends, 0.45)
        panels[0].set_ylabel("forget error")
    return fig


def caption(records: Records) -> str:
    """What is seen, with the fitted slopes."""
    records = _main(records)
    fits = "; ".join(f"d = {d}, T = {t:g}: {s:.2f}" for (d, t), s in slopes(records).items())
    config, fits = records[0]["config"], fits or "too few points"
    return (
        f"A forget Gaussian one retain deviation from the retain one, narrowing from "
        f"{max(settings(records, 'width')):g} to {min(settings(records, 'width')):g}; the "
        f"classifier of excess risk δ = {config['delta']:g} leans towards retain everywhere, "
        f"γ = {config['gamma']:g}. Numbers at the curves: the exponent between the two sharpest "
        f"widths: {fits} (theory: towards 1 at T = 1; above, "
        f"at most a bias plus a leak that grows as h^(1/T): where the two cancel the curve dips, "
        f"and rises from the dip more steeply). Nothing here is random: no intervals."
    )


def _main(records: Records) -> Records:
    return where(records, components=settings(records, "components")[0])


def _peak(record: Mapping[str, Any]) -> float:
    return float(record["values"]["forget_density_sup"])
