"""Stamps: of each finished cell its key, what it had read, and what its products looked like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paper_repro.pipeline.graph import Cell
from t3theory.exceptions import InputError
from t3theory.records import config_hash, versions, write_json

__all__ = ["is_current", "last_seconds", "log_path", "other_versions", "products_in", "stamp"]


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
    entry |= {"inputs": _inputs(out, cell), "versions": versions()}
    write_json(out / ".cells" / f"{cell.name}.json", entry)


def is_current(out: Path, cell: Cell, key: str) -> bool:
    """Whether the products of `cell` are there, untouched, made under `key` and of the same inputs.

    Stamps of before inputs were told are taken as they are.
    """
    entry = _read(out, cell.name)
    if entry.get("key") != key:
        return False
    if "inputs" in entry and entry["inputs"] != _inputs(out, cell):
        return False
    made = _made(entry)
    return all(_unchanged(out / name, made.get(name)) for name in cell.products)


def last_seconds(out: Path, cell: Cell) -> float | None:
    """How long the cell took last time, if it ever finished here."""
    seconds = _read(out, cell.name).get("seconds")
    return seconds if isinstance(seconds, int | float) else None


def other_versions(out: Path, cells: Iterable[Cell]) -> tuple[int, list[str]]:
    """How many of `cells` were made under other versions of libraries than are here, and which.

    Versions are in no key: whether an upgrade matters is for the user to say. A stamp of before
    they were told counts as of these.
    """
    here, count, others = versions(), 0, set[str]()
    for cell in cells:
        was = _read(out, cell.name).get("versions")
        told = was.items() if isinstance(was, dict) else ()
        changed = {f"{name} {version}" for name, version in told if here.get(name) != version}
        count += bool(changed)
        others |= changed
    return count, sorted(others)


def products_in(out: Path) -> list[str] | None:
    """The products of the cells that finished in `out`; None where no run was."""
    stamps = sorted((out / ".cells").glob("*.json"))
    return [product for path in stamps for product in _made(_read(out, path.stem))] or None


def log_path(out: Path, cell: Cell) -> Path:
    """Where what the cell printed is kept."""
    return out / ".cells" / f"{cell.name}.log"


def _inputs(out: Path, cell: Cell) -> dict[str, str]:
    """Input -> a hash of what `cell` reads of it: by its paths, or all if it reads the whole run."""
    read = set(cell.paths.values())
    return {
        name: config_hash(
            {
                product: {file: was.get("content") for file, was in files.items()}
                for product, files in _made(_read(out, name)).items()
                if read & {product, "."}
            }
        )
        for name in cell.inputs
    }


def _made(entry: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Product -> file -> what it looked like; a product of which that cannot be read is left out."""
    products = entry.get("products")
    return {
        product: files
        for product, files in (products.items() if isinstance(products, dict) else ())
        if isinstance(files, dict) and all(isinstance(was, dict) for was in files.values())
    }


def _read(out: Path, name: str) -> dict[str, Any]:
    """The stamp, or nothing where there is none that can be read: the cell then runs again."""
    try:
        entry = json.loads((out / ".cells" / f"{name}.json").read_text(encoding="utf-8"))
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


def _unchanged(product: Path, seen: dict[str, dict[str, Any]] | None) -> bool:
    """Whether every file seen is as it was; content is read only where the time differs."""
    if not seen:
        return False
    for name, was in seen.items():
        file = product / name
        if not file.is_file() or file.stat().st_size != was.get("size"):
            return False
        if file.stat().st_mtime_ns != was.get("time") and _content(file) != was.get("content"):
            return False
    return True
