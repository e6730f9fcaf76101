"""Records: JSON Lines that say what was measured and what made it. Standard library only.

A record is one flat statement of fact::

    {"kind": "sims.forget_error", "config": {…}, "seed": 0, "values": {…}, "provenance": {…}}

`config` and `seed` determine `values`; `provenance` says which code, versions and hardware
computed them, when, and how long it took. Two runs of the same code agree in all but
`provenance`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from t3theory._brief import BRIEF, restored, shortened
from t3theory.exceptions import InputError, RecordError

__all__ = [
    "PACKAGES",
    "Stopwatch",
    "atomic_path",
    "check_folder",
    "check_place",
    "config_hash",
    "make_record",
    "provenance",
    "read_records",
    "source_hash",
    "versions",
    "write_json",
    "write_records",
]

PACKAGES = ("numpy", "scipy", "numba", "torch", "transformers", "tokenizers", "matplotlib")
"""Distributions whose versions a record states, when installed."""

_FIELDS = {"kind": str, "config": dict, "values": dict, "provenance": dict}

_ROOT = Path(__file__).resolve().parent.parent


def config_hash(*parts: object) -> str:
    """Sixteen hex digits that change whenever any part of a configuration does.

    Parts are anything JSON can hold; mappings are hashed by content, not by order.

    >>> config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, allow_nan=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def source_hash(*places: str) -> str:
    """Hash of the project's Python and TOML sources under `places` (folders or files).

    >>> source_hash("t3theory") == source_hash("t3theory")
    True
    """
    digest = hashlib.sha256()
    for place in places:
        top = _ROOT / place
        files = (
            [top] if top.is_file() else sorted(p for e in ("*.py", "*.toml") for p in top.rglob(e))
        )
        if not files:
            raise FileNotFoundError(f"no source under {place!r}")
        for file in files:
            digest.update(
                file.relative_to(_ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0"
            )
    return digest.hexdigest()[:16]


@cache
def _commit() -> str:
    """The checked-out commit, with '+' when tracked files differ from it; '' outside git."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=_ROOT, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Python's version, and those of `PACKAGES` that are installed."""
    found = {name: v for name in PACKAGES if (v := _version(name)) is not None}
    return {"python": platform.python_version()} | found


def provenance(seconds: float | None = None) -> dict[str, Any]:
    """What computes here and now: code, versions, hardware, time. Names no machine and no path."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None
    return {
        "commit": _commit(),
        "source": source_hash("t3theory", "sims", "llm"),
        "versions": versions(),
        "hardware": {"cpu": _processor(), "cores": os.cpu_count(), "gpu": gpu},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": None if seconds is None else round(seconds, 3),
    }


class Stopwatch:
    """Seconds since it was made, read with `.seconds`."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._start


def make_record(
    kind: str,
    config: Mapping[str, Any],
    seed: int | None,
    values: Mapping[str, Any],
    seconds: float | None = None,
    timings: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A record of `values`, stamped with the provenance of this moment.

    Times of the parts of the work go into `timings`: they vary, so they are provenance.
    """
    return {
        "kind": kind,
        "config": dict(config),
        "seed": seed,
        "values": dict(values),
        "provenance": provenance(seconds) | ({"timings": dict(timings)} if timings else {}),
    }


def check_folder(said: str | Path, folder: str | Path) -> None:
    """Refuse, before long work, a folder that can be neither written to nor made; nothing is left.

    Args:
        said: what the user knows it by, for the message.

    Raises:
        InputError: names the nearest folder that is there, and the reason.
    """
    path = Path(folder).absolute()
    nearest = path
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
        with TemporaryDirectory(dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"{said}: expected {nearest} to be a folder that can be written to, {error.strerror}"
        ) from error


def check_place(path: str | Path) -> None:
    """Refuse, before long work, a place where no file could be written after it.

    Raises:
        InputError: a folder is there, or the folder it would be in cannot be written to.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: expected a file, got a folder")
    check_folder(path, Path(path).parent)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_records(
    path: str | Path, records: Iterable[Mapping[str, Any]], brief: bool = False
) -> None:
    """Write records as JSON Lines, all or nothing; brief: what repeats stands there once."""
    lines, separators = (shortened(records), (",", ":")) if brief else (records, None)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for line in lines:
            text = json.dumps(line, sort_keys=True, ensure_ascii=False, separators=separators)
            file.write(text + "\n")


def write_json(path: str | Path, value: object) -> None:
    """Write one JSON document, all or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def read_records(path: str | Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The records of a file, or those of one kind.

    Raises:
        RecordError: the file is missing, a line is cut short, or a line is not a record: a
            kind in words, and `config`, `values` and `provenance` objects.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: expected a record file (JSON Lines), {error}") from error
    if lines[-1]:
        raise RecordError(f"{path}:{len(lines)}: the last record is cut short; run its study again")
    records, record = [], None
    for number, line in enumerate(lines[:-1], start=1):
        try:
            read = json.loads(line)
            record = restored(read, record) if BRIEF in read else read
            missing = {"kind", "config", "seed", "values", "provenance"} - record.keys()
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(
                f"{path}:{number}: expected one JSON record a line, {error}"
            ) from error
        if missing:
            raise RecordError(f"{path}:{number}: the record has no {', '.join(sorted(missing))}")
        for field, expected in _FIELDS.items():
            if not isinstance(record[field], expected):
                raise RecordError(
                    f"{path}:{number}: the record's {field} is {json.dumps(record[field])}; "
                    f"expected {'text' if expected is str else 'an object'}"
                )
        if kind is None or record["kind"] == kind:
            records.append(record)
    return records
