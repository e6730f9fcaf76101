"""One look for all figures: sizes, colours, fonts, labels at the curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

__all__ = [
    "COLUMN",
    "PAGE",
    "PALETTE",
    "column",
    "context",
    "figure",
    "finish",
    "label_curves",
    "power_label",
    "room_for_labels",
    "stacked",
    "temperature_colours",
    "tidy_log_axis",
]

COLUMN = 84.0
"""Width of a column, mm."""
PAGE = 174.0
"""Width of a page, mm."""

PALETTE: dict[str, str] = {
    "guidance": "#D55E00",
    "t3": "#0072B2",
    "gated": "#009E73",
    "retain": "#000000",
    "full": "#7F7F7F",
    "other": "#CC79A7",
    "accent": "#E69F00",
    "light": "#56B4E9",
}
"""Okabe and Ito's colours, told apart with every common colour blindness, by role."""

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "t3",  # or the SVG's identifiers differ from run to run
    "figure.constrained_layout.use": True,
}


@contextmanager
def context() -> Iterator[None]:
    """Everything drawn inside has the project's look; nothing outside changes."""
    with mpl.rc_context(_RC):
        yield


_STACKED: ContextVar[bool] = ContextVar("stacked", default=False)


@contextmanager
def column() -> Iterator[None]:
    """Figures made inside are a column wide, their panels below one another."""
    token = _STACKED.set(True)
    try:
        yield
    finally:
        _STACKED.reset(token)


def stacked() -> bool:
    """Whether panels stand below one another."""
    return _STACKED.get()


_TALLEST = 230.0
"""Of a page's text, mm: what a stack of panels may take."""


def figure(
    width: float = COLUMN, height: float = 62.0, columns: int = 1, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` × `height` mm and its panels, row by row; a column wide in `column()`.

    Not made through pyplot: nothing stays open, nothing asks for a display.
    """
    if stacked():
        height = min(height * columns, max(_TALLEST, height))
        width, rows, columns = COLUMN, rows * columns, 1
    made = Figure(figsize=(width / 25.4, height / 25.4), layout="constrained")
    panels = made.subplots(rows, columns, squeeze=False).ravel().tolist()
    if len(panels) > 1:
        for letter, panel in zip("abcdefghijkl", panels, strict=False):
            panel.set_title(letter)
    return made, panels


def temperature_colours(temperatures: Sequence[float]) -> dict[float, str]:
    """T = 1, guidance, stands out; above it blues that darken with log T, the same in every figure."""
    blues = mpl.colors.LinearSegmentedColormap.from_list("T", [PALETTE["light"], "#08306B"])
    return {
        t: PALETTE["guidance"]
        if t == 1
        else mpl.colors.to_hex(blues(math.log(t) / math.log(_DARKEST)))
        for t in temperatures
    }


_DARKEST = 8.0
"""The temperature from which on the blue is darkest."""


def power_label(symbol: str, value: float) -> str:
    """`symbol = value`, powers of ten as such.

    >>> power_label("h", 1000.0), power_label("T", 1.5)
    ('h = $10^{3}$', 'T = 1.5')
    """
    digits = f"{value:e}".split("e")
    if float(digits[0]) == 1 and abs(int(digits[1])) > 1:
        return f"{symbol} = $10^{{{int(digits[1])}}}$"
    return f"{symbol} = {value:g}"


def room_for_labels(axes: Axes, share: float = 0.3) -> None:
    """Widen the panel to the right by `share`; axis and ticks still end where the data do."""
    low, high = axes.get_xlim()
    data = axes.dataLim.x0, axes.dataLim.x1
    logarithmic = axes.get_xscale() == "log"
    axes.set_xlim(low, high * (high / low) ** share if logarithmic else high + share * (high - low))
    ends = max(low, data[0]), min(high, data[1])
    axes.spines["bottom"].set_bounds(*ends)
    # A tick at the end of the data may be off by a rounding of that end.
    first, last = ends[0] - 1e-9 * abs(ends[0]), ends[1] + 1e-9 * abs(ends[1])
    axes.set_xticks([t for t in axes.get_xticks() if first <= t <= last])
    axes.set_xticks([], minor=True)


def tidy_log_axis(axis: Axis, data: bool = False) -> None:
    """Powers of ten only, where at least two are in view; else a few plain numbers.

    Args:
        data: count those among the data, where no others will be shown.
    """
    if axis.get_scale() != "log":
        return
    low, high = sorted(axis.get_data_interval() if data else axis.get_view_interval())
    tens = math.floor(math.log10(high)) - math.ceil(math.log10(low)) + 1
    if tens >= 2:
        axis.set_minor_formatter(NullFormatter())
        return
    steps = (1, 2, 5) if high < 10 * low else (1, 3)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [k * 10.0**d for d in decades for k in steps if low <= k * 10.0**d <= high]
    if len(ticks) < 2:
        ticks = [float(f"{x:.2g}") for x in axis.get_data_interval()]
    axis.set_ticks(ticks, [f"{x:g}" for x in ticks])
    axis.set_ticks([], minor=True)


def finish(axes: Axes, labels: Sequence[tuple[float, float, str, str]], share: float = 0.3) -> None:
    """Tidy logarithmic ticks, make room on the right, label the curves there."""
    tidy_log_axis(axes.yaxis)
    tidy_log_axis(axes.xaxis, data=True)
    room_for_labels(axes, share)
    label_curves(axes, labels)


_LEADER = {"arrowstyle": "-", "linewidth": 0.4, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0}


def label_curves(
    axes: Axes,
    labels: Sequence[tuple[float, float, str, str]],
    size: float = 6.5,
    column: float | None = None,
) -> None:
    """Text at the ends of curves, moved apart vertically where it would overlap.

    Args:
        labels: (x, y, text, colour) with the point the text belongs to, in data coordinates.
        column: where all texts stand, as a share of the axes' width, each led to by a thin line;
            None: each beside its point.
    """
    axes.figure.canvas.draw()  # settles the layout, so that points become pixels for good
    step = size * 1.15 * axes.figure.dpi / 72
    placed = sorted(
        (
            (axes.transData.transform((x, y))[1], x, y, text, colour)
            for x, y, text, colour in labels
        ),
        key=lambda place: place[0],  # where two coincide, the first of `labels` is below
    )
    lines = [1 + text.count("\n") for *_, text, _ in placed]
    heights = _spread([p[0] for p in placed], [step * n for n in lines])
    for (pixel, x, y, text, colour), height in zip(placed, heights, strict=True):
        axes.annotate(
            text,
            (x, y),
            xytext=(4 if column is None else column, (height - pixel) * 72 / axes.figure.dpi),
            textcoords=("offset points" if column is None else "axes fraction", "offset points"),
            arrowprops=None if column is None else _LEADER | {"color": colour},
            color=colour,
            fontsize=size,
            va="center",
            annotation_clip=False,
        )


def _spread(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """The nearest ascending centres of intervals of these sizes that do not overlap.

    Intervals that touch merge into blocks, which keep the mean of what their members wanted.

    >>> _spread([0.0, 0.0, 10.0], [2.0, 2.0, 2.0])
    [-1.0, 1.0, 10.0]
    """
    blocks: list[tuple[float, float, int]] = []  # centre, size, members
    for position, size in zip(wanted, sizes, strict=True):
        blocks.append((position, size, 1))
        while len(blocks) > 1:
            (low, a, m), (high, b, n) = blocks[-2], blocks[-1]
            if high - low >= (a + b) / 2:
                break
            blocks[-2:] = [((low * m + high * n) / (m + n), a + b, m + n)]
    rest, found = iter(sizes), []
    for centre, total, members in blocks:
        edge = centre - total / 2
        for _ in range(members):
            size = next(rest)
            found.append(edge + size / 2)
            edge += size
    return found
