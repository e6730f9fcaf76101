"""The worst forget error against δ, by dimension and by the distance of the Gaussians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import bars, curve, estimates, settings, where
from figures.statistics import fits, group, local_slopes
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "slopes"]

KIND = "sims.dimension_and_overlap"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("temperature", "delta", "forget_error_attained", at={"distance": 0.0}),
        Panel("temperature", "delta", "forget_error_attained", at={"distance": 4.0}),
    )
)
"""What else varies."""
_VALUE = "forget_error_attained"
_COLOURS = [style.PALETTE[name] for name in ("guidance", "accent", "t3", "gated")]


def slopes(records: Records) -> dict[tuple[int, float], list[float]]:
    """(dimension, distance) -> exponents of the worst FE ∝ δ^b from each δ to the next, least T.

    Of two δ at least.
    """
    groups = group(_main(records), lambda r: (r["config"]["dimension"], r["config"]["distance"]))
    return fits(lambda at: local_slopes(at, lambda r: r["config"]["delta"], _VALUE), groups)


def build(records: Records) -> Figure:
    """A panel for each dimension, a curve for each distance."""
    main, fitted = _main(records), slopes(records)
    dimensions = settings(main, "dimension")
    with style.context():
        fig, panels = style.figure(min(style.PAGE, 70.0 * len(dimensions)), 62, len(dimensions))
        for panel, d in zip(panels, dimensions, strict=True):
            ends = []
            for colour, x in zip(_COLOURS, settings(main, "distance"), strict=False):
                at = where(main, dimension=d, distance=x)
                found = fitted.get((d, x), ())
                text = f"distance {x:g}" + (f"\n{_ends(found)}" if found else "")
                ends.append((*curve(panel, at, "delta", _VALUE, colour), text, colour))
                drawn = estimates(_draws(at), "delta", "forget_error")
                panel.errorbar(
                    list(drawn),
                    [e.value for e in drawn.values()],
                    yerr=bars(list(drawn.values())),
                    color=colour,
                    linestyle=(0, (4, 2)),
                    linewidth=0.8,
                )
            panel.set(xscale="log", yscale="log", xlabel="excess risk δ (nats)")
            panel.set_title(f"d = {d}", fontweight="normal")
            style.finish(panel, ends, 0.45)
        panels[0].set_ylabel("forget error")
    return fig


def caption(records: Records) -> str:
    """What is seen, with slopes, overlaps and the largest gap of a certificate."""
    main = _main(records)
    config = main[0]["config"]
    told = []
    for (d, x), found in slopes(records).items():
        one = where(main, dimension=d, distance=x)[0]["values"]
        told.append(f"d = {d}, distance {x:g} (overlap {one['overlap']:.2g}): {_ends(found)}")
    gap = max(
        1 - r["values"]["forget_error_attained"] / r["values"]["forget_error_certified"]
        for r in records
    )
    return (
        f"A forget Gaussian of width {config['width']:g} at some distance from the retain one, "
        f"γ = {config['gamma']:g}, T = {config['temperature']:g}. Solid: the largest forget error "
        f"known of a classifier of excess risk δ (no other's is higher by more than {100 * gap:.1g}% of the "
        f"certified bound, at any point and T); dashed: random ones of that risk, geometric means of {config['draws']} "
        f"with 95% t intervals of the logarithms. At the "
        f"curves: exponents of δ, least and largest between neighbouring δ: {'; '.join(told) or 'too few points'} "
        f"(theory: 1/2 where δ is below the overlap; above it towards 1, until the error is as large as it can be). Nothing solid "
        f"is random: no intervals there."
    )


def _draws(records: Records) -> Records:
    """A record for each random classifier."""
    return [
        dict(r) | {"seed": i, "values": {"forget_error": error}}
        for r in records
        for i, error in enumerate(r["values"]["forget_error_random"])
    ]


def _ends(exponents: Sequence[float]) -> str:
    return f"{min(exponents):.2f} to {max(exponents):.2f}"


def _main(records: Records) -> Records:
    return where(records, temperature=settings(records, "temperature")[0])
