"""Stamps: for each finished cell the key it was made under and what its products looked like."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from paper_repro.pipeline.graph import Cell
from t3theory.exceptions import InputError
from t3theory.records import write_json

__all__ = ["is_current", "last_seconds", "log_path", "stamp"]


def stamp(out: Path, cell: Cell, key: str, seconds: float) -> None:
    """State that the products of `cell` under `out` were made under `key`.

    Raises:
        InputError: a product is missing.
    """
    products = {name: _look(out / name) for name in cell.products}
    for name, files in products.items():
        if not files:
            raise InputError(f"{cell.name} left no {name} in {out}")
    entry = {"key": key, "seconds": round(seconds, 3), "products": products}
    write_json(_stamp_path(out, cell), entry)


def is_current(out: Path, cell: Cell, key: str) -> bool:
    """Whether the products of `cell` are there, untouched, and made under `key`."""
    entry = _read(out, cell)
    if entry.get("key") != key:
        return False
    products = entry.get("products")
    return isinstance(products, dict) and all(
        _unchanged(out / name, products.get(name)) for name in cell.products
    )


def last_seconds(out: Path, cell: Cell) -> float | None:
    """How long the cell took last time, if it ever finished here."""
    return _read(out, cell).get("seconds")


def log_path(out: Path, cell: Cell) -> Path:
    """Where what the cell printed is kept."""
    return out / ".cells" / f"{cell.name}.log"


def _stamp_path(out: Path, cell: Cell) -> Path:
    return out / ".cells" / f"{cell.name}.json"


def _read(out: Path, cell: Cell) -> dict[str, Any]:
    """The stamp, or nothing where there is none that can be read: the cell then runs again."""
    try:
        entry = json.loads(_stamp_path(out, cell).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _files(product: Path) -> list[Path]:
    if product.is_dir():
        return sorted(p for p in product.rglob("*") if p.is_file())
    return [product] if product.is_file() else []


def _look(product: Path) -> dict[str, dict[str, Any]]:
    """Relative path -> size, time and content of every file of a product."""
    return {
        file.relative_to(product).as_posix(): {
            "size": file.stat().st_size,
            "time": file.stat().st_mtime_ns,
            "content": _content(file),
        }
        for file in _files(product)
    }


def _content(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unchanged(product: Path, seen: object) -> bool:
    """Whether every file seen is as it was; content is read only where the time differs."""
    if not isinstance(seen, dict) or not seen:
        return False
    for name, was in seen.items():
        file = product / name
        if not file.is_file() or file.stat().st_size != was["size"]:
            return False
        if file.stat().st_mtime_ns != was["time"] and _content(file) != was["content"]:
            return False
    return True
