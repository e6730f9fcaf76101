"""`t3 figures`: the pictures and captions of a folder of simulated records."""

from __future__ import annotations

__all__ = ["figures"]


def figures(records: str, out: str, column: bool = False) -> None:
    """Draw every study whose records are in a folder; write a page of pictures and captions.

    Args:
        records: folder with STUDY.jsonl files, as `t3 simulate --out` writes them.
        out: folder for STUDY.png, README.md and STUDY.jsonl, records pooled over seeds.
        column: pictures a column wide (84 mm), panels below one another, instead of a page (174 mm).
    """
    from rich.console import Console

    from figures.gallery import write

    names = write(records, out, column)
    Console(stderr=True).print(f"{len(names)} figures in {out}")
