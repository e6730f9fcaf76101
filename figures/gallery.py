"""Pictures, captions and pooled records of many studies in one folder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from figures import save, style
from figures.pooling import pool
from figures.registry import FIGURES
from t3theory.exceptions import InputError
from t3theory.records import atomic_path, read_records, write_records

__all__ = ["caption_lines", "draw", "write"]

_DPI = 150
_COLOURS = 64
_HEAD = """# Simulations at full scale

Every picture is drawn from the records beside it, pooled over seeds; captions take their numbers
from them. Again: `t3 simulate STUDY --scale full --out RUNS/STUDY.jsonl` for each study, then
`t3 figures RUNS --out paper_repro/results/simulations`.
"""


def draw(study: str, records: Sequence[Mapping[str, Any]], path: str | Path) -> str:
    """The study's figure as `path`.png and `path`.svg; returns its caption."""
    mpl.use("agg")
    module = FIGURES[study]
    save(module.build(records), path)
    return module.caption(records)


def caption_lines(study: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The study's part of the page: title, picture, caption."""
    caption = FIGURES[study].caption(records)
    return f"\n## {study}\n\n![{study}]({study}.png)\n\n{caption}\n"


def _save_small(figure: Figure, path: Path) -> None:
    """A PNG of few colours: a third of the bytes, and no difference to the eye."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(path, format="PNG", optimize=True)


def write(records: str | Path, out: str | Path, column: bool = False) -> list[str]:
    """Draw every `<study>.jsonl` of a folder; write records, PNGs and a page to `out`.

    Args:
        column: pictures a column wide, panels below one another, instead of a page.

    Raises:
        InputError: no record file there, or one of no study's name.
    """
    mpl.use("agg")
    files = sorted(Path(records).glob("*.jsonl"))
    if not files:
        raise InputError(f"{records}: expected record files STUDY.jsonl, found none")
    page = _HEAD
    for file in files:
        pooled = pool(read_records(file))
        width = style.column() if column else nullcontext()
        with width, style.context(), atomic_path(Path(out) / f"{file.stem}.png") as temporary:
            # Small, for a page: the records beside it draw it again at any size.
            _save_small(FIGURES[file.stem].build(pooled), temporary)
        write_records(Path(out) / file.name, pooled, brief=True)
        page += caption_lines(file.stem, pooled)
    with atomic_path(Path(out) / "README.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return [file.stem for file in files]
