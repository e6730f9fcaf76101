"""A study's second picture: the same errors where one setting at a time is another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.curves import crossed, curve, estimates, settings, where
from figures.statistics import Estimate, seeds_of

__all__ = ["Panel", "Variations"]

Records = Sequence[Mapping[str, Any]]

_SYMBOLS = {
    "n": "n",
    "h": "h",
    "delta": "δ",
    "gamma": "γ",
    "temperature": "T",
    "guidance_scale": "s",
    "atoms": "|Z|",
    "dimension": "d",
    "heldout": "held out",
    "gate_threshold": "threshold",
}
_LABELS = {
    "n": "samples n",
    "h": "concentration h = ‖p$_f$‖$_∞$",
    "delta": "excess risk δ (nats)",
    "gamma": "share to forget γ",
    "temperature": "temperature T",
    "guidance_scale": "guidance scale s",
    "steps": "gradient steps",
    "width": "width",
    "retain_error": "retain error (nats)",
    "excess_risk": "excess risk δ (nats)",
    "excess_risk_certified": "held-out bound of δ (nats)",
    "forget_error_guaranteed": "promised forget error",
    "forget_error_attained": "worst forget error",
    "looseness_forget_error": "forget error: best bound / worst",
    "looseness_retain_error": "retain error: best bound / worst",
}
_WORDS = {"hard": "hard gate", "soft": "soft gate", "none": "no gate"}
_PLAIN = {"temperature", "guidance_scale"}
"""Axes that are not logarithmic."""
_NAMED = [style.PALETTE[name] for name in ("t3", "guidance", "gated", "other", "accent")]
_ACROSS = 3
_HEIGHT = 54.0


@dataclass(frozen=True)
class Panel:
    """Curves of `y` against `x`, one for each value of the setting `by`.

    Args:
        at: setting -> the value wanted of it, or the nearest number that there is; settings that
            are not named are at their middle value.
        along: where `x` is no setting but a value, the setting that the curve runs through.
    """

    by: str
    x: str
    y: str = "forget_error"
    at: Mapping[str, float | str] = field(default_factory=dict)
    along: str | None = None

    def chosen(self, records: Records) -> tuple[Records, dict[str, Any]]:
        """The records to draw, and at which value what else varies is."""
        told = {}
        for name in sorted(_varying(records) - {self.by, self.along or self.x}):
            found = settings(records, name)
            told[name] = _nearest(found, self.at[name]) if name in self.at else _middle(found)
            records = where(records, **{name: told[name]})
        return records, told


@dataclass(frozen=True)
class Variations:
    """Panels of the second picture, those whose setting varies; `derive` makes what they draw."""

    panels: Sequence[Panel]
    derive: Callable[[Records], Records] = lambda records: records

    def build(self, records: Records) -> Figure | None:
        """The picture; None where none of the settings varies."""
        records, panels = self.derive(records), self._drawn(records)
        if not panels:
            return None
        columns = 2 if len(panels) == 4 else min(_ACROSS, len(panels))
        rows = -(-len(panels) // columns)
        with style.context():
            width = min(style.PAGE, style.COLUMN * columns)
            fig, axes = style.figure(width, _HEIGHT * rows, columns, rows)
            for place, panel in zip(axes, panels, strict=False):
                _draw(place, panel, records)
            for spare in axes[len(panels) :]:
                spare.remove()
        return fig

    def caption(self, records: Records) -> str:
        """What is seen, with the ends of each panel's curves for the first and the last value."""
        records, panels = self.derive(records), self._drawn(records)
        told = []
        for letter, panel in zip("abcdefghijkl", panels, strict=False):
            found, others = panel.chosen(records)
            place = ", ".join(_text(name, value) for name, value in others.items())
            about = _axis(panel.y).removesuffix(" (nats)") + f" by {_name(panel.by)}"
            told.append(f"({letter}) {about}{place and f' ({place})'}: {_ends(panel, found)}")
        seeds = seeds_of(panels[0].chosen(records)[0])
        drawn = (
            f"Geometric means over {seeds} seeds with 95% t intervals of the logarithms."
            if seeds > 1
            else "One value each: no intervals."
        )
        return f"The same where one setting at a time is another. {'. '.join(told)}. {drawn}"

    def _drawn(self, records: Records) -> list[Panel]:
        varying = _varying(records)
        return [panel for panel in self.panels if panel.by in varying]


def _varying(records: Records) -> set[str]:
    # The hash of a text goes with its name.
    names = {name for name in records[0]["config"] if name != "seeds" and name[-5:] != "_hash"}
    return {name for name in names if len({r["config"][name] for r in records}) > 1}


def _middle(values: Sequence[Any]) -> Any:
    return values[len(values) // 2]


def _nearest(values: Sequence[Any], wanted: float | str) -> Any:
    if isinstance(wanted, str):
        return wanted if wanted in values else values[0]
    return min(values, key=lambda value: abs(value - wanted))


def _name(field_name: str) -> str:
    return _SYMBOLS.get(field_name, field_name.replace("_", " "))


def _axis(name: str) -> str:
    return _LABELS.get(name, _name(name))


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return _WORDS.get(value, value.replace("_", " "))
    return f"{_name(name)} = {value:,.6g}"


def _label(name: str, value: Any) -> str:
    if isinstance(value, str):
        return _WORDS.get(value, value.replace("_", " "))
    return style.power_label(_name(name), value)


def _colours(name: str, values: Sequence[Any]) -> list[str]:
    if name == "temperature":
        return list(style.temperature_colours(values).values())
    if isinstance(values[0], str):
        return [_NAMED[i % len(_NAMED)] for i in range(len(values))]
    ramp = mpl.colormaps["viridis"]  # as even for the colour-blind
    shares = [0.85 * i / max(1, len(values) - 1) for i in range(len(values))]
    return [mpl.colors.to_hex(ramp(share)) for share in shares]


def _draw(axes: Axes, panel: Panel, records: Records) -> None:
    records, others = panel.chosen(records)
    values, ends = settings(records, panel.by), []
    for value, colour in zip(values, _colours(panel.by, values), strict=True):
        at = where(records, **{panel.by: value})
        end = _traced(axes, panel, at, colour)
        ends.append((*end, _label(panel.by, value), colour))
    where_at = ", ".join(_label(name, v) for name, v in others.items() if name in panel.at)
    axes.set_title(f"{axes.get_title('left')}  {where_at}", fontweight="normal")
    axes.set(xlabel=_axis(panel.x), ylabel=_axis(panel.y), yscale="log")
    axes.set_xscale("linear" if panel.x in _PLAIN else "log")
    style.finish(axes, ends, 0.5)


def _traced(axes: Axes, panel: Panel, records: Records, colour: str) -> tuple[float, float]:
    if panel.along is None:
        return curve(axes, records, panel.x, panel.y, colour)
    x, y = (list(estimates(records, panel.along, v).values()) for v in (panel.x, panel.y))
    return crossed(axes, x, y, colour)


def _ends(panel: Panel, records: Records) -> str:
    """Where the curves of the first and of the last value end, what is measured there."""
    values, along = settings(records, panel.by), panel.along or panel.x
    ends = [where(records, **{panel.by: value}) for value in (values[0], values[-1])]
    both = [x for x in settings(ends[0], along) if x in settings(ends[1], along)]
    if not both:
        return "nothing was measured at both ends"
    end = both[0 if along == "width" else -1]  # the sharpest
    told = []
    for value in (values[0], values[-1]):
        at = where(records, **{panel.by: value})
        told.append(f"{_said(estimates(at, along, panel.y)[end])} with {_text(panel.by, value)}")
        if panel.along:
            paid = _said(estimates(at, along, panel.x)[end])
            told[-1] += f" ({_axis(panel.x).removesuffix(' (nats)')} {paid})"
    return f"at {_text(along, end)} {' and '.join(told)}"


def _said(found: Estimate) -> str:
    return f"{found:.3g}" if found.has_interval else f"{found.value:.3g}"
