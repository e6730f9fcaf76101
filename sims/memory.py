"""How much memory there still is, and the refusal of work that needs more."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from t3theory.exceptions import AssumptionError

__all__ = ["available", "require", "shared_by"]

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_jobs: ContextVar[int] = ContextVar("jobs", default=1)


@contextmanager
def shared_by(jobs: int) -> Iterator[None]:
    """Within, :func:`require` leaves room for as many processes at a time."""
    token = _jobs.set(jobs)
    try:
        yield
    finally:
        _jobs.reset(token)


def available() -> int:
    """Bytes that may still be taken: of the machine's memory and of every enclosing cgroup's.

    Where the system does not say, all memory there is.
    """
    found = [_of_machine()]
    for group in _groups():
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            # The page cache counts as used, and is given back when asked for.
            found.append(limit - used + _stated(group / "memory.stat", r"inactive_file (\d+)"))
    return max(0, min(found))


def require(symbol: str, count: int, bytes_each: float) -> None:
    """Refuse `count` things of so many bytes each where they do not fit into memory.

    Raises:
        AssumptionError: names the field and the largest number that fits.
    """
    most = int(available() // (bytes_each * _jobs.get()))
    if count > most:
        raise AssumptionError(symbol, f"must be at most {most:,} in the memory left", count)


def _of_machine() -> int:
    free = _stated(_PROC / "meminfo", r"MemAvailable:\s+(\d+) kB")
    return free * 1024 or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _groups() -> list[Path]:
    """This process's cgroup (version 2) and those around it."""
    own = re.search(r"^0::/(.*)$", _text(_PROC / "self" / "cgroup"), re.MULTILINE)
    if own is None:
        return []
    inner = _CGROUPS / own[1]
    return [inner, *(p for p in inner.parents if p.is_relative_to(_CGROUPS))]


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None  # "max": no limit


def _stated(file: Path, pattern: str) -> int:
    found = re.search(pattern, _text(file))
    return int(found[1]) if found else 0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return ""
