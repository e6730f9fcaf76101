"""Both errors against the temperature on large alphabets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import curve, estimates, middle, settings, where
from figures.statistics import geometric_mean_of, seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.alphabets"

Records = Sequence[Mapping[str, Any]]
OTHERS = Variations(
    (
        Panel("n", "temperature", at={"family": "zipf"}),
        Panel("n", "temperature", at={"family": "dirichlet"}),
        Panel("n", "temperature", "retain_error", at={"family": "zipf"}),
        Panel("atoms", "temperature", at={"family": "zipf"}),
        Panel("atoms", "temperature", at={"family": "dirichlet"}),
        Panel("atoms", "temperature", "retain_error", at={"family": "zipf"}),
    )
)
"""What else varies."""
_COLOURS = (style.PALETTE["accent"], style.PALETTE["other"], style.PALETTE["t3"])
_NAMES = {"zipf": "Zipf", "dirichlet": "Dirichlet"}
_VALUES = {"forget_error": "forget error", "retain_error": "retain error (nats)"}


def build(records: Records) -> Figure:
    """A row for each error, a column for each family, a curve for each size."""
    main = _main(records)
    families = settings(main, "family")[::-1]
    with style.context():
        fig, panels = style.figure(style.PAGE, 100, columns=len(families), rows=2)
        for i, (value, label) in enumerate(_VALUES.items()):
            for j, family in enumerate(families):
                panel, ends = panels[i * len(families) + j], []
                for colour, atoms in zip(_COLOURS, _sizes(main), strict=False):
                    at = where(main, family=family, atoms=atoms)
                    end = curve(panel, at, "temperature", value, colour)
                    ends.append((*end, style.power_label("|Z|", atoms), colour))
                panel.set(yscale="log", xlabel="temperature T", ylabel=label)
                panel.set_title(_NAMES[family], fontweight="normal")
                style.finish(panel, ends, 0.3)
    return fig


def caption(records: Records) -> str:
    """What is seen, with the best temperature of each family at the largest alphabet."""
    main = _main(records)
    config, atoms = main[0]["config"], _sizes(main)[-1]
    told = []
    for family in settings(main, "family")[::-1]:
        at = where(main, family=family, atoms=atoms)
        forget, retain = (estimates(at, "temperature", value) for value in _VALUES)
        first, last = min(forget), max(forget)
        peak = geometric_mean_of(at, "forget_density_sup").value
        told.append(
            f"{_NAMES[family]}, h = {peak:.3g}: from T = {first:g} to {last:g} the forget error "
            f"goes from {forget[first]:.3g} to {forget[last]:.3g}, the retain error from "
            f"{retain[first]:.3g} to {retain[last]:.3g}"
        )
    return (
        f"Alphabets of |Z| symbols, {config['forget_atoms']} of them to be forgotten: the rarest "
        f"of a Zipf law, and random ones among Dirichlet weights; {config['learner']} classifiers "
        f"from n = {config['n']:,} draws, γ = {config['gamma']:g}. At |Z| = {atoms:,}, "
        f"{'; '.join(told)}. Geometric means over {seeds_of(main)} seeds with 95% t intervals of "
        f"the logarithms."
    )


def _main(records: Records) -> Records:
    return middle(where(records, learner=settings(records, "learner")[-1]), "n")


def _sizes(records: Records) -> list[int]:
    found = settings(records, "atoms")
    return [found[i] for i in sorted({0, len(found) // 2, len(found) - 1})]
