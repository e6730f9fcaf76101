"""Uniform against gated tempering on sequences: forget and retain error, and their trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from figures import style
from figures.curves import bars, curve, estimates, middle, settings, where
from figures.statistics import mean

__all__ = ["KIND", "build", "caption"]

KIND = "sims.gating"

Records = Sequence[Mapping[str, Any]]
_COLOURS = {
    "none": style.PALETTE["t3"],
    "hard": style.PALETTE["gated"],
    "soft": style.PALETTE["accent"],
}
_NAMES = {"none": "uniform", "hard": "hard gate", "soft": "soft gate"}


def build(records: Records) -> Figure:
    """Three panels: forget error, retain error against T; one against the other."""
    main = _main(records)
    with style.context():
        fig, panels = style.figure(style.PAGE, 62, columns=3)
        ends: list[list] = [[], [], []]
        for gate in settings(main, "gate"):
            at, label = where(main, gate=gate), (_NAMES[gate], _COLOURS[gate])
            for i, value in enumerate(("forget_error", "retain_error")):
                end = curve(panels[i], at, "temperature", value, _COLOURS[gate])
                ends[i].append((*end, *label))
            forget, retain = (
                list(estimates(at, "temperature", value).values())
                for value in ("forget_error", "retain_error")
            )
            x, y = [e.value for e in retain], [e.value for e in forget]
            panels[2].errorbar(
                x,
                y,
                xerr=bars(retain),
                yerr=bars(forget),
                color=_COLOURS[gate],
                marker="o",
                elinewidth=0.8,
            )
            if gate == "none":
                last = settings(at, "temperature")[-1]
                ends[2].append((x[-1], y[-1], f"T = {last:g}", _COLOURS[gate]))
        panels[0].set(xlabel="temperature T", ylabel="forget error")
        panels[1].set(xlabel="temperature T", ylabel="retain error (nats)")
        panels[2].set(xlabel="retain error (nats)", ylabel="forget error", xscale="log")
        for panel, labels in zip(panels, ends, strict=True):
            panel.set_yscale("log")
            style.finish(panel, labels, 0.4)
    return fig


def caption(records: Records) -> str:
    """What is seen, with both errors and the share of contexts tempered at the largest T."""
    main = _main(records)
    config, t = main[0]["config"], settings(main, "temperature")[-1]
    told = []
    for gate in settings(main, "gate"):
        at = where(main, gate=gate, temperature=t)
        forget, retain = (
            estimates(at, "temperature", value)[t] for value in ("forget_error", "retain_error")
        )
        shares = [mean([r["values"][f"{p}_gated"] for r in at]) for p in ("forget", "retain")]
        told.append(
            f"{_NAMES[gate]}: forget error {forget:.3g}, retain error {retain:.3g}, tempering "
            f"{shares[0].value:.2f} of forget and {shares[1].value:.2f} of retain contexts"
        )
    seeds = len({r["seed"] for r in main})
    return (
        f"Sequences of {config['length']} symbols out of {config['vocabulary']}: "
        f"{config['memorised']} memorised ones among a bigram chain's, γ = {config['gamma']:g}, "
        f"add-one classifiers of prefixes from n = {config['n']:,} sequences, gate threshold "
        f"{config['gate_threshold']:g}; all errors exact. At T = {t:g}, {'; '.join(told)}. "
        f"Geometric means over {seeds} seeds with 95% t intervals of the logarithms."
    )


def _main(records: Records) -> Records:
    return middle(records, "vocabulary", "length", "gate_threshold", "n")
