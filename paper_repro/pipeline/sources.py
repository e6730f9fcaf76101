"""Which source a cell runs: its modules and all of ours that they import, whenever they do."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import grimp

from t3theory.exceptions import InputError

__all__ = ["closure", "code_hash", "own_hash"]

_PACKAGES = ("t3theory", "sims", "llm", "figures", "paper_repro")
_DATA = ("*.toml", "*.j2")
"""What a module may read of its own folder."""


@cache
def _imports(packages: tuple[str, ...]) -> grimp.ImportGraph:
    return grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)


def closure(modules: Sequence[str], packages: tuple[str, ...] = _PACKAGES) -> list[str]:
    """`modules` and every module of `packages` that they import, directly or not, sorted.

    A package's `__init__` counts only where something is imported from it.

    Raises:
        InputError: no such module.

    >>> found = closure(["llm.pretrain"])
    >>> "llm.encoding" in found, "llm.model" in found
    (True, False)
    """
    graph = _imports(packages)
    found = set(modules)
    for module in modules:
        if module not in graph.modules:
            raise InputError(f"no module {module!r} in {', '.join(packages)}")
        found |= graph.find_upstream_modules(module)
    return sorted(found)


@cache
def code_hash(modules: tuple[str, ...], packages: tuple[str, ...] = _PACKAGES) -> str:
    """A hash of the source of all `modules` import, and of the data files beside them."""
    digest = hashlib.sha256()
    for name, file in sorted(_files(closure(modules, packages)).items()):
        digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def own_hash(module: str) -> str:
    """A hash of one module's source, without what it imports; "" of a module without source."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]


def _files(modules: Sequence[str]) -> dict[str, Path]:
    """Name -> file; a data file is named after a module beside it."""
    found = {}
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise InputError(f"module {module!r} has no source")
        file = Path(spec.origin)
        found[module] = file
        beside = (data for pattern in _DATA for data in file.parent.glob(pattern))
        found |= {f"{module.rpartition('.')[0]}/{data.name}": data for data in beside}
    return found
