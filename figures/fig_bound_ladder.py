"""How loose each bound is: typical errors, certified worst case and bounds on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.curves import middle
from figures.statistics import geometric_mean, geometric_mean_of, group
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.bound_ladder"

Records = Sequence[Mapping[str, Any]]
_POINT = ("h", "delta", "overlap", "temperature")
_QUANTITIES = {"forget_error": "forget error", "retain_error": "retain error (nats)"}


def build(records: Records) -> Figure:
    """A row for each quantity, a column for each of up to three temperatures."""
    chosen = _chosen(records)
    with style.context():
        rows = len(_QUANTITIES)
        fig, panels = style.figure(style.PAGE, 92, columns=len(chosen), rows=rows)
        for row, (quantity, name) in enumerate(_QUANTITIES.items()):
            for column, (t, found) in enumerate(chosen.items()):
                panel = panels[row * len(chosen) + column]
                _ladder(panel, found, quantity)
                panel.set_xlabel(name)
                panel.set_title(f"T = {t:g}", fontweight="normal")
    return fig


def caption(records: Records) -> str:
    """What is seen, with the ratio of the best bound to the worst case."""
    chosen = _chosen(records)
    config = next(iter(chosen.values()))[0]["config"]
    told = []
    for t, found in chosen.items():
        worst = _value(found, "forget_error_certified")
        name, best = _bounds(found, "forget_error")[0]
        gap = 1 - _value(found, "forget_error_attained") / worst
        told.append(
            f"T = {t:g}: worst case {worst:.3g} (certified to {gap:.0e}), best bound {name} "
            f"{best / worst:.3g} times that"
        )
    return (
        f"Spike mixture, h = {config['h']:g}, γ = {config['gamma']:g}, overlap {config['overlap']:g}, excess risk δ = "
        f"{config['delta']:g}. Bar: 95% t interval around the geometric mean of "
        f"{len(_random(found, 'forget_error'))} random classifiers; squares: the classifier of statement F; "
        f"diamonds: the largest error any classifier of that risk has, attained and certified; "
        f"circles: bounds that know δ only, by ledger letter. Forget error, {'; '.join(told)}. "
        f"{_everywhere(records)}"
    )


def _everywhere(records: Records) -> str:
    """How loose the best bound is at every point of the study, drawn or not."""
    points = group(records, lambda r: tuple(r["config"][name] for name in _POINT))
    told = []
    for quantity, name in _QUANTITIES.items():
        loose = sorted(
            _bounds(found, quantity)[0][1] / worst
            for found in points.values()
            if (worst := _value(found, f"{quantity}_certified")) > 0
        )
        told.append(f"{loose[0]:.3g} to {loose[-1]:.3g} ({name.split(' (')[0]})")
    return (
        f"At all {len(points)} points (h, δ, overlap, T) the best bound is "
        f"{' and '.join(told)} times the worst case."
    )


def _chosen(records: Records) -> dict[float, Records]:
    """T -> its records, for at most three temperatures, at the middle of everything else."""
    fixed = middle(records, "h", "delta", "overlap")
    by_t = group(fixed, lambda r: r["config"]["temperature"])
    temperatures = list(by_t)
    kept = sorted({0, len(temperatures) // 2, len(temperatures) - 1})
    # In the order of seeds, or sums would differ in their last digit.
    return {
        temperatures[i]: sorted(by_t[temperatures[i]], key=lambda r: r["seed"] or 0) for i in kept
    }


def _value(records: Records, name: str) -> float:
    """What is not random, the same for every seed."""
    return geometric_mean_of(records, name).value


def _random(records: Records, quantity: str) -> list[float]:
    """The errors of the random classifiers of every seed."""
    return [x for r in records for x in r["values"][f"{quantity}_random"]]


def _bounds(records: Records, quantity: str) -> list[tuple[str, float]]:
    prefix = f"{quantity}_bound_"
    names = [name for name in records[0]["values"] if name.startswith(prefix)]
    found = [(name.removeprefix(prefix), _value(records, name)) for name in names]
    return sorted(found, key=lambda item: (item[1], item[0]))


def _ladder(axes: Axes, records: Records, quantity: str) -> None:
    bounds = _bounds(records, quantity)
    random = geometric_mean(_random(records, quantity))
    leaking, attained, certified = (
        _value(records, f"{quantity}_{name}") for name in ("leaking", "attained", "certified")
    )
    names = ["random", "statement F", "worst case", *(name for name, _ in bounds)]
    height = dict(zip(names, range(len(names)), strict=True))
    axes.errorbar(
        random.value,
        height["random"],
        xerr=[[random.value - random.low], [random.high - random.value]],
        marker="o",
        color="black",
    )
    axes.plot(leaking, height["statement F"], "s", color="black")
    axes.plot(
        [attained, certified],
        [height["worst case"]] * 2,
        "D",
        color=style.PALETTE["guidance"],
    )
    axes.axvline(certified, color=style.PALETTE["guidance"], linewidth=0.5, zorder=0)
    for name, value in bounds:
        axes.plot(value, height[name], "o", color=style.PALETTE["t3"])
    axes.set_xscale("log")
    axes.set_yticks(list(height.values()), names)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    style.tidy_log_axis(axes.xaxis)


def _looseness(records: Records) -> Records:
    """The best bound in units of the certified worst case, where that is above 0."""
    return [dict(r) | {"values": r["values"] | _ratios(r)} for r in records]


def _ratios(record: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for quantity in _QUANTITIES:
        best = _bounds([record], quantity)[0][1]
        found[f"looseness_{quantity}"] = best / _value([record], f"{quantity}_certified")
    return found


OTHERS = Variations(
    (
        Panel("h", "delta", "looseness_forget_error", at={"temperature": 1.0}),
        Panel("overlap", "delta", "looseness_forget_error", at={"temperature": 1.0}),
        Panel("temperature", "delta", "looseness_forget_error"),
        Panel("h", "delta", "looseness_retain_error", at={"temperature": 1.0}),
        Panel("overlap", "delta", "looseness_retain_error", at={"temperature": 1.0}),
        Panel("temperature", "delta", "looseness_retain_error"),
    ),
    derive=_looseness,
)
"""What else varies."""
