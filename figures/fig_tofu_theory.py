"""The language model on the theory's axes: both errors against h, beside their bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.statistics import Estimate, group, loglog_slope, mean

__all__ = ["KIND", "build", "caption"]

KIND = "llm.spike"

Records = Sequence[Mapping[str, Any]]
_BOUNDS = {"forget_error": "CEGQ", "retain_error": "BH"}


def _curves(records: Records) -> dict[float, list[Records]]:
    """Temperature -> records of each concentration, from the flattest spike to the sharpest."""
    flattened = (r for r in records if "epochs" not in r["config"])
    by_temperature = group(flattened, lambda r: r["config"]["temperature"])
    return {
        t: list(group(found, lambda r: -r["config"]["spike"]).values())
        for t, found in by_temperature.items()
    }


def _mean(records: Records, name: str) -> Estimate:
    return mean([r["values"][name] for r in records])


def _bound(records: Records, quantity: str) -> float:
    """The least of the bounds that apply, as a mean over seeds."""
    names = [f"{quantity}_upper_{letter}" for letter in _BOUNDS[quantity]]
    return mean([min(r["values"][n] for n in names if n in r["values"]) for r in records]).value


def build(records: Records) -> Figure:
    """A panel an error: points measured, with their spread; dashes the least bound."""
    curves = _curves(records)
    colours = style.temperature_colours(list(curves))
    with style.context():
        fig, panels = style.figure(style.PAGE, 68, columns=2)
        labels = ("forget error (density)", "retain error (nats)")
        for axes, quantity, label in zip(panels, _BOUNDS, labels, strict=True):
            ends = [_draw(axes, t, found, quantity, colours[t]) for t, found in curves.items()]
            _draw_epochs(axes, records, quantity, colours)
            axes.set(xscale="log", yscale="log", ylabel=label)
            axes.set_xlabel("concentration h = ‖p$_f$‖$_∞$")
            style.finish(axes, ends)
    return fig


def _draw(
    axes: Axes, temperature: float, found: list[Records], quantity: str, colour: str
) -> tuple[float, float, str, str]:
    x = [_mean(rs, "h").value for rs in found]
    estimates = [_mean(rs, quantity) for rs in found]
    y = [e.value for e in estimates]
    # An interval below 0 has no place on a logarithmic axis.
    below = [min(e.value - e.low, 0.9 * e.value) for e in estimates]
    above = [e.high - e.value for e in estimates]
    axes.errorbar(x, y, yerr=[below, above], fmt="o-", color=colour, capsize=0)
    axes.plot(x, [_bound(rs, quantity) for rs in found], "--", color=colour, linewidth=0.7)
    return x[-1], y[-1], f"T = {temperature:g}", colour


def _draw_epochs(axes: Axes, records: Records, quantity: str, colours: Mapping[float, str]) -> None:
    """Open squares: the full model after fewer epochs, its spike as it is."""
    for r in records:
        t = r["config"]["temperature"]
        if "epochs" in r["config"] and t in colours:
            place = r["values"]["h"], r["values"][quantity]
            axes.plot(*place, "s", color=colours[t], markerfacecolor="white", markeredgewidth=0.7)


def caption(records: Records) -> str:
    """What is seen: exponents of the forget error in h, and how far below the bounds it is."""
    config, curves = records[0]["config"], _curves(records)
    slopes, used = [], []
    for t, found in curves.items():
        x, y = ([_mean(rs, name).value for rs in found] for name in ("h", "forget_error"))
        slopes.append(f"T = {t:g}: h^{loglog_slope(x, y):.2f}")
        used += [_mean(rs, q).value / _bound(rs, q) for rs in found for q in _BOUNDS]
    risk = mean([r["values"]["excess_risk"] for r in records if r["config"]["spike"] == 1])
    earlier = any("epochs" in r["config"] for r in records)
    squares = "open squares with the full model of earlier epochs, " if earlier else ""
    return (
        f"The mixtures that the retain and the full model of {config['data']} (scale "
        f"{config['scale']}) span in contexts of forget answers, the full model's law flattened to "
        f"move h, with the trained head as the classifier (δ = {risk:.3g} nats at the sharpest). "
        f"Points are measured, {squares}dashes the least of bounds B, C, E, G, H, Q. Forget error "
        f"grows as {'; '.join(slopes)}. Measured over bound: at most {max(used):.2g}."
    )
