"""How loose each bound is: typical errors, certified worst case and bounds on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.curves import middle
from figures.statistics import geometric_mean, group

__all__ = ["KIND", "build", "caption"]

KIND = "sims.bound_ladder"

Records = Sequence[Mapping[str, Any]]
_QUANTITIES = {"forget_error": "forget error", "retain_error": "retain error (nats)"}


def build(records: Records) -> Figure:
    """A row for each quantity, a column for each of up to three temperatures."""
    chosen = _chosen(records)
    with style.context():
        rows = len(_QUANTITIES)
        fig, panels = style.figure(style.PAGE, 92, columns=len(chosen), rows=rows)
        for row, (quantity, name) in enumerate(_QUANTITIES.items()):
            for column, record in enumerate(chosen):
                panel = panels[row * len(chosen) + column]
                _ladder(panel, record["values"], quantity)
                panel.set_xlabel(name)
                t = record["config"]["temperature"]
                panel.set_title(f"T = {t:g}", fontweight="normal")
    return fig


def caption(records: Records) -> str:
    """What is seen, with the ratio of the best bound to the worst case."""
    chosen = _chosen(records)
    config = chosen[0]["config"]
    told = []
    for record in chosen:
        values, t = record["values"], record["config"]["temperature"]
        worst = values["forget_error_certified"]
        name, best = _bounds(values, "forget_error")[0]
        gap = 1 - values["forget_error_attained"] / worst
        told.append(
            f"T = {t:g}: worst case {worst:.3g} (certified to {gap:.0e}), best bound {name} "
            f"{best / worst:.3g} times that"
        )
    return (
        f"Spike mixture, h = {config['h']:g}, γ = {config['gamma']:g}, excess risk δ = "
        f"{config['delta']:g}. Bar: 95% t interval around the geometric mean of "
        f"{config['draws']} random classifiers; squares: the classifier of statement F; "
        f"diamonds: the largest error any classifier of that risk has, attained and certified; "
        f"circles: bounds that know δ only, by ledger letter. Forget error, {'; '.join(told)}."
    )


def _chosen(records: Records) -> list[Mapping[str, Any]]:
    """One record for each of at most three temperatures, at the middle of everything else."""
    fixed = middle(records, "h", "delta", "overlap")
    by_t = group(fixed, lambda r: r["config"]["temperature"])
    temperatures = list(by_t)
    kept = sorted({0, len(temperatures) // 2, len(temperatures) - 1})
    return [min(by_t[temperatures[i]], key=lambda r: r["seed"] or 0) for i in kept]


def _bounds(values: Mapping[str, Any], quantity: str) -> list[tuple[str, float]]:
    prefix = f"{quantity}_bound_"
    found = [(k.removeprefix(prefix), v) for k, v in values.items() if k.startswith(prefix)]
    return sorted(found, key=lambda item: (item[1], item[0]))


def _ladder(axes: Axes, values: Mapping[str, Any], quantity: str) -> None:
    bounds = _bounds(values, quantity)
    random = geometric_mean(values[f"{quantity}_random"])
    names = ["random", "statement F", "worst case", *(name for name, _ in bounds)]
    height = dict(zip(names, range(len(names)), strict=True))
    axes.errorbar(
        random.value,
        height["random"],
        xerr=[[random.value - random.low], [random.high - random.value]],
        marker="o",
        color="black",
    )
    axes.plot(values[f"{quantity}_leaking"], height["statement F"], "s", color="black")
    axes.plot(
        [values[f"{quantity}_attained"], values[f"{quantity}_certified"]],
        [height["worst case"]] * 2,
        "D",
        color=style.PALETTE["guidance"],
    )
    axes.axvline(
        values[f"{quantity}_certified"], color=style.PALETTE["guidance"], linewidth=0.5, zorder=0
    )
    for name, value in bounds:
        axes.plot(value, height[name], "o", color=style.PALETTE["t3"])
    axes.set_xscale("log")
    axes.set_yticks(list(height.values()), names)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    style.tidy_log_axis(axes.xaxis)
