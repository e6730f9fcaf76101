"""From n samples to excess risk to errors, measured and guaranteed, with coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, middle, settings, where
from figures.statistics import Estimate, seeds_of, share_of, slope_of

__all__ = ["KIND", "build", "caption", "coverage"]

KIND = "sims.sample_complexity"

Records = Sequence[Mapping[str, Any]]
_NAMES = ("excess_risk", "forget_error", "retain_error")


def coverage(records: Records) -> dict[str, Estimate]:
    """How often the held-out guarantee held, over all records, with exact 95% intervals.

    The risk is counted once for each classifier, the errors once for each temperature.
    """
    first = settings(records, "temperature")[0]
    found = {}
    for name in _NAMES:
        counted = where(records, temperature=first) if name == "excess_risk" else records
        found[name] = share_of(counted, f"{name}_covered")
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
                drawn[panel].append((*end, f"T = {t:g}", colours[t]))
                end = curve(panel, at_t, "n", f"{name}_guaranteed", colours[t], dashed=True)
                drawn[panel].append((*end, "promise", colours[t]))
        labels = ("excess risk δ (nats)", "forget error", "retain error (nats)")
        for panel, label in zip(panels, labels, strict=True):
            panel.set(xscale="log", yscale="log", xlabel="samples n", ylabel=label)
            style.finish(panel, drawn[panel], 0.35)
    return fig


def caption(records: Records) -> str:
    """What is seen, with the rate in n and the coverage."""
    main = _main(records)
    config = main[0]["config"]
    risk = where(main, temperature=settings(main, "temperature")[0])
    rate = slope_of(risk, lambda r: r["config"]["n"], "excess_risk")
    held = "; ".join(f"{n.replace('_', ' ')} {c:.3f}" for n, c in coverage(records).items())
    seeds = seeds_of(main)
    return (
        f"Add-one classifiers on a spike mixture, h = {config['h']:g}, γ = {config['gamma']:g}. "
        f"(a) The excess risk falls as n^{rate.value:.2f} (95% t interval {rate.low:.2f} to "
        f"{rate.high:.2f}), below its expected bound |Z|/(n+1) and the bound from "
        f"{config['heldout']:,} held-out draws. (b, c) Errors (solid) and what the held-out "
        f"bound promises of them (dashed). Promises at confidence {config['confidence']:g} held "
        f"in these shares of cases, with exact 95% intervals: {held}. Points: geometric means "
        f"over {seeds} seeds, bars: 95% t intervals of the logarithms."
    )


def _main(records: Records) -> Records:
    return middle(records, "h", "heldout")
