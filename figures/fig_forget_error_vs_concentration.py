"""Forget and retain error against ‖p_f‖_∞, learnt classifiers, with bounds and slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.curves import curve
from figures.statistics import Estimate, fits, geometric_mean_of, group, seeds_of, slope_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption", "slopes"]

KIND = "sims.forget_error_vs_concentration"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("n", "h", at={"learner": "tabular", "temperature": 1.0}),
        Panel("n", "h", at={"learner": "tabular", "temperature": 2.0}),
        Panel("n", "h", at={"learner": "logistic", "temperature": 1.0}),
        Panel("n", "h", at={"learner": "logistic", "temperature": 2.0}),
        Panel("learner", "h", at={"n": 10_000, "temperature": 1.0}),
        Panel("learner", "h", at={"n": 10_000, "temperature": 2.0}),
    )
)
"""What else varies."""
_STEEP = 100.0
"""From here on h is well above the retain density, so that the power law has set in."""


def slopes(records: Records) -> dict[float, Estimate]:
    """Fitted exponent b of FE ∝ h^b for each temperature, over h ≥ 100 and all seeds.

    Of two such h at least.
    """
    return fits(
        lambda at_t: slope_of(at_t, lambda r: r["config"]["h"], "forget_error"),
        group(_steep(_main(records)), _temperature),
    )


def build(records: Records) -> Figure:
    """Three panels: forget error by T; the same beside its bounds; retain error beside its own."""
    main = _main(records)
    by_temperature = group(main, _temperature)
    colours = style.temperature_colours(list(by_temperature))
    fitted = slopes(records)
    with style.context():
        fig, (errors, bounds, retain) = style.figure(style.PAGE, 66, columns=3)
        ends = []
        for t, at_t in by_temperature.items():
            x, y = curve(errors, at_t, "h", "forget_error", colours[t])
            slope = f"\nslope {fitted[t].value:.2f}" if t in fitted else ""
            ends.append((x, y, f"T = {t:g}{slope}", colours[t]))
        _log_axes(errors, "forget error")
        guided = {t: by_temperature[t] for t in _shown(by_temperature)}
        bound_ends, retain_ends = [], []
        for t, at_t in guided.items():
            bound_ends += _with_bounds(bounds, at_t, "forget_error", "CEG", colours[t])
            retain_ends += _with_bounds(retain, at_t, "retain_error", "BH", colours[t])
        _log_axes(bounds, "forget error and bounds")
        _log_axes(retain, "retain error and bounds (nats)")
        for panel, labels in ((errors, ends), (bounds, bound_ends), (retain, retain_ends)):
            style.finish(panel, labels)
    return fig


def caption(records: Records) -> str:
    """What is seen, with the fitted slopes."""
    main = _main(records)
    config = main[0]["config"]
    seeds = seeds_of(main)
    largest = max(r["config"]["h"] for r in main)
    told = "; ".join(f"T = {t:g}: {s:.3f}" for t, s in slopes(records).items())
    at_top = group([r for r in main if r["config"]["h"] == largest], _temperature)
    finals = ", ".join(
        f"{geometric_mean_of(rs, 'forget_error'):.3g} at T = {t:g}" for t, rs in at_top.items()
    )
    return (
        f"Classifiers ({config['learner']}) learnt from n = {config['n']:,} draws, γ = "
        f"{config['gamma']:g}, errors exact. (a) Forget error against concentration "
        f"h = ‖p_f‖_∞; fitted slopes over h ≥ {_STEEP:g} with 95% t intervals: {told or 'too few points'} "
        f"(theory: 1 at T = 1, at most 1/T above). At h = {largest:g} it is {finals}. (b, c) The "
        f"same errors (solid) below their bounds (dashed, by ledger letter) for T = "
        f"{' and '.join(f'{t:g}' for t in _shown(at_top))}. "
        f"Points: geometric means over {seeds} seeds, bars: 95% t intervals of the logarithms."
    )


def _temperature(record: Mapping[str, Any]) -> float:
    return float(record["config"]["temperature"])


def _main(records: Records) -> Records:
    """The records of one learner and one n: tabular and the n nearest 10,000, where there are."""
    learners = sorted({r["config"]["learner"] for r in records}, key=lambda name: name != "tabular")
    sizes = sorted({r["config"]["n"] for r in records}, key=lambda n: abs(n - 10_000))
    return [
        r for r in records if r["config"]["learner"] == learners[0] and r["config"]["n"] == sizes[0]
    ]


def _steep(records: Records) -> Records:
    return [r for r in records if r["config"]["h"] >= _STEEP]


def _shown(by_temperature: Mapping[float, Any]) -> list[float]:
    """T = 1 and the temperature nearest 2: more would hide each other."""
    hot = [t for t in by_temperature if t != 1]
    return [t for t in by_temperature if t == 1] + sorted(hot, key=lambda t: abs(t - 2))[:1]


def _with_bounds(
    axes: Axes, records: Records, quantity: str, letters: str, colour: str
) -> list[tuple[float, float, str, str]]:
    t = _temperature(records[0])
    labels = [(*curve(axes, records, "h", quantity, colour), f"T = {t:g}", colour)]
    for letter in letters:
        key = f"{quantity}_upper_{letter}"
        if all(key in r["values"] for r in records):
            labels.append((*curve(axes, records, "h", key, colour, dashed=True), letter, colour))
    return labels


def _log_axes(axes: Axes, label: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel="concentration h = ‖p$_f$‖$_∞$", ylabel=label)
