"""The one loop: cells in, records out, the same whoever computes them and in what order."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sims import memory, studies
from sims.study import Cell, Study
from t3theory.exceptions import InputError
from t3theory.records import (
    Stopwatch,
    atomic_path,
    check_place,
    config_hash,
    make_record,
    source_hash,
    write_records,
)

__all__ = ["run_cell", "run_study"]

Records = list[dict[str, Any]]
_BATCHES_PER_WORKER = 8
"""Few enough that sending them costs little, many enough that workers finish together."""


def run_study(
    name: str,
    scale: str = "mini",
    out: str | Path | None = None,
    jobs: int = 1,
    overrides: Mapping[str, Any] | None = None,
    dask: str | None = None,
    progress: bool = True,
) -> Records:
    """Run a study and return its records, in the order of its cells.

    With `out`, finished cells are appended at once to a journal beside it, so a run that is
    killed goes on where it stopped, and a run with other settings computes only the cells that
    are new. Cells are filed by configuration and by the source that computes them; the list of
    each field measured within a cell (temperature, as a rule) is part of its configuration, so
    that another temperature means every cell anew.

    Args:
        name: one of :func:`sims.studies.names`.
        scale: "mini", "small" or "full".
        out: JSON Lines file, written when all cells are done, all or nothing.
        jobs: processes on this machine; results do not depend on it.
        overrides: field -> value or list of values, in place of the scale's.
        dask: address of a Dask scheduler (`tcp://…`) whose workers compute instead.
        progress: show a progress bar on standard error when that is a terminal.
    Raises:
        InputError, AssumptionError: an unknown study, scale or field, a wrong value, or an `out`
            that cannot be written; before any work starts.

    >>> records = run_study("necessity", overrides={"h": 100, "delta": 0.01, "temperature": 1})
    >>> round(records[0]["values"]["forget_error"], 3)
    1.046
    """
    journal = None if out is None else _journal_path(Path(out))
    for place in (out, journal):
        if place is not None:
            check_place(place)
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1, got {jobs}")
    study = studies.get(name)
    with memory.shared_by(1 if dask else jobs):
        cells = study.cells(scale, overrides)
    source = source_hash("t3theory", "sims")
    filed = {cell.key(source): cell for cell in cells}
    done = {} if journal is None else _read_journal(journal, source, filed)
    waiting = [(key, cell) for key, cell in filed.items() if key not in done]
    _rehearse(study, waiting)
    finished = _compute(waiting, jobs, dask)
    with _bar(progress) as bar:
        task = bar.add_task(name, total=len(cells), completed=len(cells) - len(waiting))
        for batch in finished:
            if journal is not None:
                _append(journal, source, batch)
            done.update(batch)
            bar.advance(task, len(batch))
    records = [record for key in filed for record in done[key]]
    if out is not None:
        write_records(out, records)
    return records


def run_cell(cell: Cell) -> Records:
    """The records of one cell."""
    study = studies.get(cell.study)
    watch = Stopwatch()
    measured = list(study.measure(cell))
    seconds = watch.seconds
    return [
        make_record(study.kind, cell.config | own, cell.seed, values, seconds)
        for own, values in measured
    ]


def _rehearse(study: Study, waiting: Sequence[tuple[str, Cell]]) -> None:
    if study.rehearse is not None:
        for _, cell in waiting:
            study.rehearse(cell.config | cell.paths, cell.generator())


def _run_batch(batch: Sequence[tuple[str, Cell]]) -> dict[str, Records]:
    return {key: run_cell(cell) for key, cell in batch}


def _batches(waiting: Sequence[tuple[str, Cell]], workers: int) -> list[Sequence[tuple[str, Cell]]]:
    size = max(1, len(waiting) // (workers * _BATCHES_PER_WORKER))
    return [waiting[i : i + size] for i in range(0, len(waiting), size)]


def _compute(
    waiting: Sequence[tuple[str, Cell]], jobs: int, dask: str | None
) -> Iterable[dict[str, Records]]:
    """Batches of finished cells, as they finish."""
    if not waiting:
        return ()
    if dask is not None:
        from sims.cluster import compute  # distributed is an extra of its own

        return compute(_run_batch, waiting, dask)
    if jobs == 1:
        return ({key: run_cell(cell)} for key, cell in waiting)
    return _in_processes(_batches(waiting, jobs), jobs)


def _in_processes(
    batches: Sequence[Sequence[tuple[str, Cell]]], jobs: int
) -> Iterator[dict[str, Records]]:
    # One thread each: the processes already use every core.
    with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        yield from parallel(joblib.delayed(_run_batch)(batch) for batch in batches)


def _journal_path(out: Path) -> Path:
    return out.with_name(f".{out.name}.cells")


def _append(journal: Path, source: str, batch: Mapping[str, Records]) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    entries = (
        {"source": source, "cell": key, "records": records, "sum": config_hash(key, records)}
        for key, records in batch.items()
    )
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    with journal.open("ab") as file:
        file.write(("\n".join(lines) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())


def _read_journal(journal: Path, source: str, cells: Mapping[str, Cell]) -> dict[str, Records]:
    """The cells already computed by this source; drops the rest, and lines that are damaged."""
    if not journal.is_file():
        return {}
    lines = journal.read_bytes().split(b"\n")
    kept, found = [], {}
    for line in lines:
        try:
            entry = json.loads(line)
            key, records = entry["cell"], entry["records"]
            whole = entry["source"] == source and entry["sum"] == config_hash(key, records)
            if whole and (key not in cells or _belong(records, cells[key])):
                found[key] = records
                kept.append(line)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    if lines != [*kept, b""]:
        _rewrite(journal, kept)
    return found


def _belong(records: Records, cell: Cell) -> bool:
    """Whether these are the records that the cell is to have, by their settings."""
    wanted = [(cell.config | own, cell.seed) for own in cell.own()]
    return [(record["config"], record["seed"]) for record in records] == wanted


def _rewrite(journal: Path, lines: Sequence[bytes]) -> None:
    with atomic_path(journal) as temporary:
        temporary.write_bytes(b"".join(line + b"\n" for line in lines))


def _bar(shown: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
