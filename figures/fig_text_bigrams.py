"""Both errors against the temperature on bigram models of text, and one against the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import estimates, middle, settings, traced, where
from figures.statistics import group, sample_of, seeds_of
from figures.variations import Panel, Variations

__all__ = ["KIND", "OTHERS", "build", "caption"]

KIND = "sims.text_bigrams"

Records = Sequence[Mapping[str, Any]]
_COLOURS = [style.PALETTE[name] for name in ("accent", "t3", "gated", "other", "full")]


def build(records: Records) -> Figure:
    """Three panels: forget error and retain error against T; one against the other."""
    main = middle(_told_apart(records), "n")
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        ends: list[list] = [[], [], []]
        for colour, text in zip(_COLOURS, settings(main, "text"), strict=False):
            found = traced(panels, where(main, text=text), colour)
            for labels, end in zip(ends, found, strict=True):
                labels.append((*end, text, colour))
        for panel, labels in zip(panels, ends, strict=True):
            style.finish(panel, labels, 0.4)
    return fig


def caption(records: Records) -> str:
    """What is seen, with both errors at T = 1 and at the T of the least forget error."""
    main = middle(_told_apart(records), "n")
    config, told = main[0]["config"], []
    for text in settings(main, "text"):
        at = where(main, text=text)
        forget, retain = (
            estimates(at, "temperature", value) for value in ("forget_error", "retain_error")
        )
        best, first = min(forget, key=lambda t: forget[t].value), min(forget)
        about = [
            sample_of(at, name).mean
            for name in ("atoms", "forget_density_sup", "forget_mass_shared")
        ]
        told.append(
            f"{text} ({about[0]:,.0f} pairs, h = {about[1]:.3g}, {100 * about[2]:.0f} % of the "
            f"forget mass on pairs that retain text has too): forget error {forget[first]:.3g} "
            f"at T = {first:g}, least {forget[best]:.3g} at T = {best:g}, retain error "
            f"{retain[first]:.3g} and {retain[best]:.3g} there"
        )
    return (
        f"Bigram models fitted to text, add-one classifiers from n = {config['n']:,} pairs, "
        f"γ = {config['gamma']:g}; all errors exact. {'; '.join(told)}. Geometric means over "
        f"{seeds_of(main)} seeds with 95% t intervals of the logarithms."
    )


def _told_apart(records: Records) -> Records:
    """Two texts of one name, as folders may have it, by the hash of what they hold."""
    held = group(records, lambda r: r["config"]["text"])
    many = {t for t, rs in held.items() if len({r["config"].get("text_hash") for r in rs}) > 1}
    return [
        dict(r) | {"config": r["config"] | {"text": f"{c['text']} ({c['text_hash'][:6]})"}}
        if (c := r["config"])["text"] in many
        else r
        for r in records
    ]


OTHERS = Variations(
    (
        Panel("text", "n", at={"temperature": 1.0}),
        Panel("text", "n", at={"temperature": 2.0}),
        Panel("text", "n", "retain_error", at={"temperature": 1.0}),
        Panel("text", "n", "retain_error", at={"temperature": 2.0}),
    ),
    derive=_told_apart,
)
"""What else varies."""
