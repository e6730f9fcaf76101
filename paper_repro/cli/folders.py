"""Where commands write: looked at before the work, so that it is not done in vain."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from t3theory.exceptions import InputError

__all__ = ["check_folder"]


def check_folder(option: str, folder: str | Path) -> None:
    """Raise unless `folder` is one that can be written to, or made; nothing is left in it.

    Raises:
        InputError: names the option and the reason.
    """
    path = Path(folder).absolute()
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
        with TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise InputError(
            f"{option} {folder}: expected a folder that can be written, {error.strerror}"
        ) from error
