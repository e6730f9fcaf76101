"""Both errors against the guidance scale, and what scale and temperature do to the rate in h."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, estimates, middle, settings, where
from figures.statistics import Estimate, fits, group, seeds_of, slope_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "least_forget_error", "slopes"]

KIND = "sims.guidance_scale"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("n", "guidance_scale", at={"temperature": 1.0}),
        Panel("n", "guidance_scale", at={"temperature": 2.0}),
        Panel("h", "guidance_scale", at={"temperature": 1.0}),
        Panel("h", "guidance_scale", at={"temperature": 2.0}),
    )
)
"""What else varies."""
_PAIRS = ((1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0))
_PAIR_COLOURS = [style.PALETTE[name] for name in ("guidance", "accent", "light", "t3")]


def build(records: Records) -> Figure:
    """Three panels: forget and retain error against s; forget error against h for some (T, s)."""
    main = middle(_size(records), "h")
    temperatures = settings(main, "temperature")
    colours = style.temperature_colours(temperatures)
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        ends: list[list] = [[], [], []]
        for t in temperatures:
            at, name = where(main, temperature=t), f"T = {t:g}"
            for i, value in enumerate(("forget_error", "retain_error")):
                end = curve(panels[i], at, "guidance_scale", value, colours[t])
                ends[i].append((*end, name, colours[t]))
        for ((t, scale), at), colour in zip(_pairs(records).items(), _PAIR_COLOURS, strict=False):
            name = f"T = {t:g}, s = {scale:g}"
            ends[2].append((*curve(panels[2], at, "h", "forget_error", colour), name, colour))
        panels[0].set(xlabel="guidance scale s", ylabel="forget error")
        panels[1].set(xlabel="guidance scale s", ylabel="retain error (nats)")
        panels[2].set(xlabel="concentration h = ‖p$_f$‖$_∞$", ylabel="forget error", xscale="log")
        for panel, labels in zip(panels, ends, strict=True):
            panel.set_yscale("log")
            style.finish(panel, labels, 0.6 if panel is panels[2] else 0.25)
    return fig


def least_forget_error(records: Records, temperature: float) -> tuple[float, Estimate]:
    """The scale with the least forget error at T, and that error (geometric mean)."""
    found = estimates(where(records, temperature=temperature), "guidance_scale", "forget_error")
    scale = min(found, key=lambda s: found[s].value)
    return scale, found[scale]


def slopes(records: Records) -> dict[tuple[float, float], Estimate]:
    """(T, s) -> fitted exponent b of FE ∝ h^b, for the pairs drawn; of two h at least."""
    return fits(
        lambda at: slope_of(at, lambda r: r["config"]["h"], "forget_error"), _pairs(records)
    )


def _pairs(records: Records) -> dict[tuple[float, float], Records]:
    """The pairs (T, s) to draw: the usual ones that the grid has, or its first few."""
    config = lambda r: (r["config"]["temperature"], r["config"]["guidance_scale"])
    found = group(_size(records), config)
    chosen = [pair for pair in _PAIRS if pair in found] or list(found)[: len(_PAIRS)]
    return {pair: found[pair] for pair in chosen}


def _size(records: Records) -> Records:
    return middle(records, "n")


def caption(records: Records) -> str:
    """What is seen, with the best scale for each temperature."""
    main = middle(_size(records), "h")
    config = main[0]["config"]
    told = []
    for t in settings(main, "temperature"):
        scale, least = least_forget_error(main, t)
        end = ", the largest" if scale == settings(main, "guidance_scale")[-1] else ""
        cost = estimates(where(main, temperature=t), "guidance_scale", "retain_error")[scale]
        told.append(
            f"T = {t:g}: least forget error {least:.3g} at s = {scale:g}{end}, "
            f"retain error {cost:.3g} there"
        )
    told_slopes = "; ".join(
        f"T = {t:g}, s = {s:g}: {b:.3f}" for (t, s), b in slopes(records).items()
    )
    seeds = seeds_of(main)
    return (
        f"Classifiers ({config['learner']}) from n = {config['n']:,} draws. (a) Forget and (b) "
        f"retain error against the guidance scale s at h = {config['h']:g}: {'; '.join(told)}. "
        f"(c) Forget error against h for some (T, s); fitted slopes (theory: 1 at T = 1 whatever "
        f"s, 1/T above): {told_slopes or 'too few points'}. Geometric means over {seeds} seeds, 95% t "
        f"intervals."
    )
