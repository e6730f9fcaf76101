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
from figures.variations import Variations
from t3theory.exceptions import InputError
from t3theory.records import atomic_path, read_records, write_records

__all__ = ["caption_lines", "draw", "write"]

_DPI = 150
_COLOURS = 64
_HEAD = """# Simulations

Every picture is drawn from the records beside it, pooled over seeds; captions take their numbers
from them. Those that are committed are of full scale. Again: `t3 simulate STUDY --scale full --out RUNS/STUDY.jsonl` for each study, for
`text_bigrams` with `--set text=generated,mini-tofu,tofu`, the latter two being folders with the
files of mini-TOFU (docs/simulations.md says how to write them) and of TOFU; then
`t3 figures RUNS --out paper_repro/results/simulations`.
"""

_FILE_HEAD = """# Figures of {file.name}

Drawn from the records of `{file}`, from which captions take their numbers. Again:
`t3 figures {file} --out {out}`.
"""


def draw(study: str, records: Sequence[Mapping[str, Any]], path: str | Path) -> str:
    """The study's figure as `path`.png and `path`.svg; returns its caption.

    Where settings vary that it does not show, a second one, `path`_settings, shows them.
    """
    mpl.use("agg")
    drawn = _pictures(study, records)
    for suffix, (figure, _) in drawn.items():
        save(figure, f"{path}{suffix}")
    return "\n\n".join(caption for _, caption in drawn.values())


def _pictures(study: str, records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Figure, str]]:
    """What is added to the study's name for a picture's -> the picture and its caption."""
    module = FIGURES[study]
    drawn = {"": (module.build(records), module.caption(records))}
    variations: Variations | None = getattr(module, "OTHERS", None)
    second = variations and variations.build(records)
    if variations and second:
        drawn["_settings"] = second, variations.caption(records)
    return drawn


def caption_lines(study: str, drawn: Mapping[str, tuple[Figure, str]]) -> str:
    """The study's part of the page: title, its pictures as `drawn`, captions."""
    parts = [
        f"![{study}{suffix}]({study}{suffix}.png)\n\n{caption}\n"
        for suffix, (_, caption) in drawn.items()
    ]
    return f"\n## {study}\n\n" + "\n".join(parts)


def _save_small(figure: Figure, path: Path) -> None:
    """A PNG of few colours: a third of the bytes, and no difference to the eye."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(path, format="PNG", optimize=True)


def write(records: str | Path, out: str | Path, column: bool = False) -> list[str]:
    """Draw records; write PNGs and a page of pictures and captions to `out`.

    Args:
        records: a folder of files of one study each, which are also pooled over seeds and
            written to `out` under its name; or one file, of whose records every figure is drawn that has some.
        column: pictures a column wide, panels below one another, instead of a page.

    Raises:
        InputError: no record file there, one that is not of one study, two of the same study,
            or no figure of its records.
    """
    mpl.use("agg")
    records, out = Path(records), Path(out)
    page, drawn = _of_file(records, out) if records.is_file() else _of_folder(records, out)
    for name, found in drawn.items():
        width = style.column() if column else nullcontext()
        with width, style.context():
            pictures = _pictures(name, found)
            for suffix, (figure, _) in pictures.items():
                with atomic_path(out / f"{name}{suffix}.png") as temporary:
                    # Small, for a page: the records draw it again at any size.
                    _save_small(figure, temporary)
        page += caption_lines(name, pictures)
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return list(drawn)


_Drawn = dict[str, Sequence[Mapping[str, Any]]]


def _of_folder(folder: Path, out: Path) -> tuple[str, _Drawn]:
    """The page's head, and the studies' records, pooled and written to `out`."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(f"{folder}: expected record files STUDY.jsonl, found none")
    drawn: _Drawn = {}
    for file in files:
        found = read_records(file)
        study = _study(file, found)
        if study in drawn:
            raise InputError(f"{file}: expected one file of the study {study}, got another")
        drawn[study] = pool(found)
    for study, pooled in drawn.items():
        write_records(out / f"{study}.jsonl", pooled, brief=True)
    return _HEAD, drawn


def _study(file: Path, records: Sequence[Mapping[str, Any]]) -> str:
    """The study that the records of a file are of, whatever the file is called."""
    kinds = {r["kind"] for r in records}
    studies = [name for name in FIGURES if {FIGURES[name].KIND} == kinds == {f"sims.{name}"}]
    if not studies:
        said = ", ".join(sorted(kinds)) or "none"
        raise InputError(f"{file}: expected records of one study, got {said}")
    return studies[0]


def _of_file(file: Path, out: Path) -> tuple[str, _Drawn]:
    """The page's head, and for each figure its records among those of the file."""
    found = read_records(file)
    kinds = {name: [r for r in found if r["kind"] == FIGURES[name].KIND] for name in FIGURES}
    drawn: _Drawn = {name: some for name, some in kinds.items() if some}
    if not drawn:
        raise InputError(f"{file}: expected records that a figure is drawn from, found none")
    return _FILE_HEAD.format(file=file, out=out), drawn
