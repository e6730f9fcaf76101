"""`t3 figures`: the pictures and captions of records."""

from __future__ import annotations

__all__ = ["figures"]


def figures(records: str, out: str, column: bool = False) -> None:
    """Draw records; write a page of pictures and captions.

    Args:
        records: folder with a file of each study, as `t3 simulate` writes them, or one file.
        out: folder for the pictures, README.md and, of a folder's studies, pooled records.
        column: pictures a column wide (84 mm), panels below one another, instead of a page (174 mm).
    """
    from rich.console import Console

    from figures.gallery import write

    names = write(records, out, column)
    Console(stderr=True).print(f"{len(names)} figures in {out}")
