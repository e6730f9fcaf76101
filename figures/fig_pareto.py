"""Fronts of retain and forget error: what temperature, guidance scale and both can reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import crossed, settings, where
from figures.statistics import Estimate, geometric_mean_of, group, seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "front"]

KIND = "sims.pareto"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("n", "retain_error", along="temperature", at={"guidance_scale": 1.0}),
        Panel("n", "retain_error", along="guidance_scale", at={"temperature": 1.0}),
    )
)
"""What else varies."""
Point = tuple[Estimate, Estimate, Mapping[str, Any]]
_TRACES: dict[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    "only s": (style.PALETTE["guidance"], lambda c: c["temperature"] == 1),
    "only T": (style.PALETTE["t3"], lambda c: c["guidance_scale"] == 1),
    "both": (style.PALETTE["gated"], lambda c: True),
}


def front(records: Records) -> list[Point]:
    """(retain, forget, configuration) that no other of `records` beats in both, by geometric means."""
    key = lambda r: (r["config"]["temperature"], r["config"]["guidance_scale"])
    points = [
        (
            geometric_mean_of(rs, "retain_error"),
            geometric_mean_of(rs, "forget_error"),
            rs[0]["config"],
        )
        for rs in group(records, key).values()
    ]
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p[0].value, p[1].value)):
        if not kept or point[1].value < kept[-1][1].value:
            kept.append(point)
    return kept


def build(records: Records) -> Figure:
    """A panel for each h: the fronts, with the settings at the ends of the one of both."""
    main = where(records, n=settings(records, "n")[0])
    values = settings(main, "h")
    with style.context():
        fig, panels = style.figure(style.PAGE, 66, columns=len(values))
        for panel, h in zip(panels, values, strict=True):
            ends = []
            for name, (colour, chosen) in _TRACES.items():
                points = front([r for r in where(main, h=h) if chosen(r["config"])])
                if not points:
                    continue
                retain, forget = [p[0] for p in points], [p[1] for p in points]
                end = crossed(panel, retain, forget, colour)
                ends.append((*end, _setting(points[-1], name), colour))
            panel.set(xscale="log", yscale="log", xlabel="retain error (nats)")
            panel.set_title(style.power_label("h", h), fontweight="normal")
            panel.annotate(
                _setting(points[0], name),
                (retain[0].value, forget[0].value),
                xytext=(4, 2),
                textcoords="offset points",
                fontsize=6.5,
                color=colour,
            )
            style.finish(panel, ends, 0.45)
        panels[0].set_ylabel("forget error")
    return fig


def _setting(point: Point, name: str) -> str:
    """What varies along a front, at a point of it."""
    told = {"T": point[2]["temperature"], "s": point[2]["guidance_scale"]}
    return ", ".join(f"{k} = {v:g}" for k, v in told.items() if name in ("both", f"only {k}"))


def caption(records: Records) -> str:
    """What is seen, with the retain error each trace pays for a tenth of guidance's error."""
    main = where(records, n=settings(records, "n")[0])
    config, told = main[0]["config"], []
    for h in settings(main, "h"):
        at = where(main, h=h)
        plain = where(at, temperature=1, guidance_scale=1)
        if not plain:
            told.append(f"h = {h:g}: guidance is not among the settings")
            continue
        goal = geometric_mean_of(plain, "forget_error").value / 10
        paid = []
        for name, (_, chosen) in _TRACES.items():
            reached = [
                p for p in front([r for r in at if chosen(r["config"])]) if p[1].value <= goal
            ]
            paid.append(f"{name} {reached[0][0]:.3g}" if reached else f"{name} never")
        told.append(f"h = {h:g}: {', '.join(paid)}")
    return (
        f"Settings that no other of the same kind beats in both errors: of the guidance scale s at "
        f"T = 1 (orange), of the temperature T at s = 1 (blue), of both (green); at the ends, "
        f"theirs. {config['learner'].capitalize()} "
        f"classifiers from n = {config['n']:,} draws, γ = {config['gamma']:g}, overlap "
        f"{config['overlap']:g}. Retain error (nats) paid for a tenth of guidance's forget "
        f"error: {'; '.join(told)}. Geometric means over {seeds_of(main)} seeds with 95% t "
        f"intervals of the logarithms."
    )
