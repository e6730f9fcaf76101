"""From n samples to excess risk to errors, measured and guaranteed, with coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, middle, settings, where
from figures.statistics import (
    Estimate,
    TooFewPoints,
    local_slopes,
    seeds_of,
    share_of,
    slope_of,
)
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "coverage"]

KIND = "sims.sample_complexity"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("h", "n", at={"temperature": 1.0}),
        Panel("h", "n", at={"temperature": 2.0}),
        Panel("heldout", "n", "excess_risk_certified", at={"temperature": 1.0}),
        Panel("heldout", "n", "forget_error_guaranteed", at={"temperature": 2.0}),
    )
)
"""What else varies."""


def coverage(records: Records) -> dict[str, Estimate]:
    """How often the held-out guarantee held, with exact 95% intervals; a classifier is a trial.

    Its risk is one, its errors are counted at each temperature apart.
    """
    temperatures = settings(records, "temperature")
    risk = where(records, temperature=temperatures[0])
    found = {"excess risk": share_of(risk, "excess_risk_covered")}
    for name in ("forget_error", "retain_error"):
        for t in temperatures:
            label = f"{name.replace('_', ' ')} at T = {t:g}"
            found[label] = share_of(where(records, temperature=t), f"{name}_covered")
    return found


def build(records: Records) -> Figure:
    """Three panels against n: excess risk, forget error, retain error; guarantees dashed."""
    main = _main(records)
    temperatures = settings(main, "temperature")
    colours = style.temperature_colours(temperatures)
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        risk = where(main, temperature=temperatures[0])
        drawn: dict[Any, list] = {panel: [] for panel in panels}
        for value, text, colour in (
            ("excess_risk", "measured", "black"),
            ("excess_risk_expected_at_most", "|Z|/(n+1)", style.PALETTE["other"]),
            ("excess_risk_certified", "held-out", style.PALETTE["gated"]),
        ):
            end = curve(panels[0], risk, "n", value, colour, dashed=value != "excess_risk")
            drawn[panels[0]].append((*end, text, colour))
        for panel, name in zip(panels[1:], ("forget_error", "retain_error"), strict=True):
            for t in temperatures:
                at_t = where(main, temperature=t)
                end = curve(panel, at_t, "n", name, colours[t])
                drawn[panel].append((*end, f"T = {t:g}, true", colours[t]))
                end = curve(panel, at_t, "n", f"{name}_guaranteed", colours[t], dashed=True)
                drawn[panel].append((*end, f"T = {t:g}, promised", colours[t]))
        labels = ("excess risk δ (nats)", "forget error", "retain error (nats)")
        for panel, label in zip(panels, labels, strict=True):
            panel.set(xscale="log", yscale="log", xlabel="samples n", ylabel=label)
            style.finish(panel, drawn[panel], 0.55)
    return fig


def caption(records: Records) -> str:
    """What is seen, with the rate in n and the coverage."""
    main = _main(records)
    config = main[0]["config"]
    risk = where(main, temperature=settings(main, "temperature")[0])
    held = "; ".join(f"{name}: {share:.3f}" for name, share in coverage(records).items())
    seeds = seeds_of(main)
    return (
        f"Add-one classifiers on a spike mixture, h = {config['h']:g}, γ = {config['gamma']:g}. "
        f"(a) The excess risk falls as n^b, {_rate(risk)}. Dashed: "
        f"its expected bound |Z|/(n+1) and the bound from {config['heldout']:,} held-out draws. "
        f"(b, c) Errors (solid) and what the held-out bound promises of them, the mixture being "
        f"known (dashed). Promises at confidence {config['confidence']:g} held "
        f"for these shares of classifiers, with exact 95% intervals: {held}. Points: geometric "
        f"means over {seeds} seeds, bars: 95% t intervals of the logarithms."
    )


def _rate(risk: Records) -> str:
    """b over the last decade of n, and from each n to the next."""
    last = [r for r in risk if _samples(r) >= settings(risk, "n")[-1] / 10]
    try:
        rate = slope_of(last, _samples, "excess_risk")
    except TooFewPoints:
        return "b: too few points"
    exponents = local_slopes(risk, _samples, "excess_risk")
    return (
        f"b = {rate:.4f} over the last decade (95% t interval); from each n to the next b goes "
        f"from {exponents[0]:.2f} to {exponents[-1]:.3f}"
    )


def _samples(record: Mapping[str, Any]) -> float:
    return float(record["config"]["n"])


def _main(records: Records) -> Records:
    return middle(records, "h", "heldout")
