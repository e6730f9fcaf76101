"""Figures, each built from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from t3theory.records import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save"]


def save(fig: Figure, path: str | Path) -> tuple[Path, Path]:
    """Write `path`.png and `path`.svg, the same bytes for the same figure.

    Args:
        path: where to, without suffix.
    Returns:
        the two files.
    """
    from figures import style

    written = []
    with style.context():
        for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
            target = Path(f"{path}{suffix}")
            with atomic_path(target) as temporary:
                # No time and no version in the file: it changes when the picture does.
                fig.savefig(temporary, format=suffix[1:], metadata=metadata)
            written.append(target)
    return written[0], written[1]
