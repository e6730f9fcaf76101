"""Retain and forget error against the temperature, and the curve they trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import bars
from figures.statistics import Estimate, geometric_mean_of, group, seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.temperature_tradeoff"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("delta", "retain_error", along="temperature", at={"h": 1e6}),
        Panel("h", "retain_error", along="temperature", at={"delta": 0.01}),
    )
)
"""What else varies."""
_COLOURS = (style.PALETTE["accent"], style.PALETTE["other"], style.PALETTE["t3"])


def build(records: Records) -> Figure:
    """Three panels: forget error, retain error, one against the other; a curve for each h."""
    curves = _curves(records)
    with style.context():
        fig, (forget, retain, pareto) = style.figure(style.PAGE, 62, columns=3)
        ends: tuple[list, ...] = ([], [], [])
        for colour, (h, by_t) in zip(_COLOURS, curves.items(), strict=False):
            name = style.power_label("h", h)
            temperatures = list(by_t)
            fe, re = [by_t[t][0] for t in by_t], [by_t[t][1] for t in by_t]
            for panel, estimates, labels in ((forget, fe, ends[0]), (retain, re, ends[1])):
                y = [e.value for e in estimates]
                panel.errorbar(temperatures, y, yerr=bars(estimates), color=colour, marker="o")
                labels.append((temperatures[-1], y[-1], name, colour))
            x, y = [e.value for e in re], [e.value for e in fe]
            pareto.errorbar(
                x, y, xerr=bars(re), yerr=bars(fe), color=colour, marker="o", elinewidth=0.6
            )
            ends[2].append((x[-1], y[-1], name, colour))
            for i, t in enumerate(temperatures):
                # Further on the points lie too close for words.
                if t in (1.0, 1.5, 2.0) and h == max(curves):
                    pareto.annotate(
                        f"T = {t:g}",
                        (x[i], y[i]),
                        xytext=(4, 3),
                        textcoords="offset points",
                        fontsize=6,
                        color=colour,
                    )
        forget.set(xlabel="temperature T", ylabel="forget error", yscale="log")
        retain.set(xlabel="temperature T", ylabel="retain error (nats)", yscale="log")
        pareto.set(xlabel="retain error (nats)", ylabel="forget error", xscale="log", yscale="log")
        if _coincide([list(by_t.values()) for by_t in curves.values()]):
            ends[1][:] = [(*ends[1][-1][:2], "every h", "black")]
        for panel, labels in zip((forget, retain, pareto), ends, strict=True):
            style.finish(panel, labels)
    return fig


def caption(records: Records) -> str:
    """What is seen, with both errors at the sharpest forget data."""
    curves = _curves(records)
    h = max(curves)
    shown = [t for t in (1.0, 2.0, 4.0) if t in curves[h]]
    pairs = "; ".join(
        f"T = {t:g}: forget {curves[h][t][0]:.3g}, retain {curves[h][t][1]:.3g}" for t in shown
    )
    config = _chosen(records)[0]["config"]
    seeds = seeds_of(records)
    return (
        f"Random classifiers of excess risk δ = {config['delta']:g}, γ = {config['gamma']:g}, "
        f"retain distribution ∝ rank^−{config['skew']:g}, overlap {config['overlap']:g}. "
        f"(a) Forget and (b) retain error against T, (c) one against the other, from T = 1 on the left to "
        f"T = {max(curves[h]):g} on the right. "
        f"At h = {h:g}: {pairs}. Geometric means over {seeds} seeds with 95% t intervals of "
        f"the logarithms."
    )


def _chosen(records: Records) -> Records:
    """The records at the excess risk nearest 0.01."""
    delta = min({r["config"]["delta"] for r in records}, key=lambda d: abs(d - 0.01))
    return [r for r in records if r["config"]["delta"] == delta]


def _curves(records: Records) -> dict[float, dict[float, tuple[Estimate, Estimate]]]:
    """h -> T -> (forget error, retain error), for at most three h from least to largest."""
    by_h = group(_chosen(records), lambda r: r["config"]["h"])
    values = list(by_h)
    kept = [values[i] for i in sorted({0, len(values) // 2, len(values) - 1})]
    return {
        h: {
            t: (
                geometric_mean_of(rs, "forget_error"),
                geometric_mean_of(rs, "retain_error"),
            )
            for t, rs in group(by_h[h], lambda r: r["config"]["temperature"]).items()
        }
        for h in kept
    }


def _coincide(curves: Sequence[Sequence[tuple[Estimate, Estimate]]]) -> bool:
    """Whether the retain errors at the largest T differ by less than a curve's width."""
    last = [curve[-1][1].value for curve in curves]
    return max(last) < 1.05 * min(last)
