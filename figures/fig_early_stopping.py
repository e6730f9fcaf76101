"""Risk and errors along the classifier's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, estimates, middle, settings, where
from figures.statistics import seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.early_stopping"

Records = Sequence[Mapping[str, Any]]
_TABULAR: dict[str, float | str] = {"learner": "tabular", "temperature": 1.0}
OTHERS = Variations(
    (
        Panel("learner", "steps", "excess_risk", at={"temperature": 1.0}),
        Panel("learner", "steps", at={"temperature": 1.0}),
        Panel("learner", "steps", "retain_error", at={"temperature": 1.0}),
        Panel("n", "steps", "excess_risk", at=_TABULAR),
        Panel("n", "steps", at=_TABULAR),
        Panel("n", "steps", "retain_error", at=_TABULAR),
    )
)
"""What else varies."""
_LEARNERS = {
    "tabular": "One log-odds an atom, gradient descent",
    "network": "A network of two layers, Adam",
}


def build(records: Records) -> Figure:
    """Three panels against the steps taken: excess risk and in-sample loss, and both errors."""
    main = _main(records)
    temperatures = settings(main, "temperature")
    colours = style.temperature_colours(temperatures)
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        once = where(main, temperature=temperatures[0])
        ends: list[list] = [[], [], []]
        for value, text, colour in (
            ("excess_risk", "excess risk δ", "black"),
            ("in_sample_loss", "in-sample loss", style.PALETTE["other"]),
        ):
            ends[0].append((*curve(panels[0], once, "steps", value, colour), text, colour))
        for i, value in ((1, "forget_error"), (2, "retain_error")):
            for t in temperatures:
                end = curve(panels[i], where(main, temperature=t), "steps", value, colours[t])
                ends[i].append((*end, f"T = {t:g}", colours[t]))
        for panel, label, labels in zip(
            panels, ("nats", "forget error", "retain error (nats)"), ends, strict=True
        ):
            panel.set(xscale="log", yscale="log", xlabel="gradient steps", ylabel=label)
            style.finish(panel, labels, 0.45 if panel is panels[0] else 0.25)
    return fig


def caption(records: Records) -> str:
    """What is seen, with the steps at which each curve is lowest."""
    main = _main(records)
    config = main[0]["config"]
    temperatures = settings(main, "temperature")
    risk = estimates(where(main, temperature=temperatures[0]), "steps", "excess_risk")
    loss = estimates(where(main, temperature=temperatures[0]), "steps", "in_sample_loss")
    best = min(risk, key=lambda s: risk[s].value)
    last = max(risk)
    told = []
    for t in temperatures:
        for value in ("forget_error", "retain_error"):
            found = estimates(where(main, temperature=t), "steps", value)
            step = min(found, key=lambda s: found[s].value)
            told.append(f"{value.replace('_', ' ')} at T = {t:g}: {found[step]:.3g} at {step:,}")
    seeds = seeds_of(main)
    return (
        f"{_LEARNERS[config['learner']]} on n = {config['n']:,} draws, h = "
        f"{config['h']:g}, overlap {config['overlap']:g}. (a) The excess risk is least "
        f"({risk[best]:.3g} nats) at {best:,} steps and {risk[last]:.3g} at {last:,}; the "
        f"in-sample loss is {loss[best]:.3g} and {loss[last]:.3g} there. (b, c) Both errors on the way; least values: "
        f"{'; '.join(told)}. Geometric means over {seeds} seeds with 95% t intervals of the "
        f"logarithms."
    )


def _main(records: Records) -> Records:
    learners = sorted(settings(records, "learner"), key=lambda name: name != "tabular")
    return middle(where(records, learner=learners[0]), "h", "n")
