"""Curves over seeds: choose records, average them, draw them with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from figures.statistics import Estimate, geometric_mean_of, group

__all__ = ["bars", "crossed", "curve", "estimates", "middle", "settings", "traced", "where"]

Records = Sequence[Mapping[str, Any]]
Key = str | Callable[[Mapping[str, Any]], float]


def where(records: Records, **fields: object) -> Records:
    """The records whose configuration has these values.

    >>> where([{"config": {"h": 1}}, {"config": {"h": 2}}], h=2)
    [{'config': {'h': 2}}]
    """
    return [r for r in records if all(r["config"][k] == v for k, v in fields.items())]


def settings(records: Records, field: str) -> list[Any]:
    """The values a field takes, ascending."""
    return sorted({r["config"][field] for r in records})


def middle(records: Records, *fields: str) -> Records:
    """The records with each of `fields` at its middle value (the upper of two)."""
    for field in fields:
        values = settings(records, field)
        records = where(records, **{field: values[len(values) // 2]})
    return records


def estimates(records: Records, x: Key, value: str) -> dict[float, Estimate]:
    """Geometric mean of a value over seeds, with its interval, for each x."""
    of = (lambda r: r["config"][x]) if isinstance(x, str) else x
    return {place: geometric_mean_of(found, value) for place, found in group(records, of).items()}


def bars(found: Sequence[Estimate]) -> list[list[float]]:
    """Lengths below and above, as matplotlib's error bars want them."""
    return [[e.value - e.low for e in found], [e.high - e.value for e in found]]


def curve(
    axes: Axes, records: Records, x: Key, value: str, colour: str, dashed: bool = False
) -> tuple[float, float]:
    """Draw geometric means over seeds against x, with intervals; the last point.

    Dashed curves are bounds: no points, no bars.
    """
    found = estimates(records, x, value)
    places, heights = list(found), [e.value for e in found.values()]
    if dashed:
        axes.plot(places, heights, color=colour, linestyle=(0, (4, 2)), linewidth=0.8)
    else:
        error = bars(list(found.values()))
        axes.errorbar(places, heights, yerr=error, color=colour, marker="o", elinewidth=0.8)
    return places[-1], heights[-1]


def crossed(
    axes: Axes, x: Sequence[Estimate], y: Sequence[Estimate], colour: str
) -> tuple[float, float]:
    """Draw one estimate against another, with intervals of both; the last point."""
    places, heights = [e.value for e in x], [e.value for e in y]
    axes.errorbar(
        places, heights, xerr=bars(x), yerr=bars(y), color=colour, marker="o", elinewidth=0.6
    )
    return places[-1], heights[-1]


def traced(panels: Sequence[Axes], records: Records, colour: str) -> list[tuple[float, float]]:
    """Forget error against T, retain error against T, one against the other; where each ends."""
    x = "temperature"
    values = ("forget_error", "retain_error")
    ends = [curve(p, records, x, v, colour) for p, v in zip(panels, values, strict=False)]
    forget, retain = (list(estimates(records, x, value).values()) for value in values)
    ends.append(crossed(panels[2], retain, forget, colour))
    panels[0].set(xlabel="temperature T", ylabel="forget error", yscale="log")
    panels[1].set(xlabel="temperature T", ylabel="retain error (nats)", yscale="log")
    panels[2].set(xlabel="retain error (nats)", ylabel="forget error", xscale="log", yscale="log")
    return ends
