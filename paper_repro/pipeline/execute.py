"""The run: cells that are not up to date, as many at once as there are workers."""

from __future__ import annotations

import fcntl
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, Protocol

from paper_repro.pipeline.graph import Cell, Graph
from paper_repro.pipeline.stamps import is_current, log_path, stamp
from t3theory.exceptions import InputError, T3Error
from t3theory.records import Stopwatch, config_hash

__all__ = ["Outcome", "Screen", "execute"]


@dataclass
class Outcome:
    """What a run did: names of cells, and for failed ones a line that says why."""

    current: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> set[str]:
        """Cells without a result."""
        return {*self.failed, *self.blocked}


class Screen(Protocol):
    """Who is told about progress."""

    def started(self, name: str, log: Path) -> None:
        """A worker has taken the cell; the last line of `log` says how far it is."""

    def ended(self, name: str, how: str, seconds: float | None = None) -> None:
        """`how`: "current", "done", or what went wrong."""


@dataclass
class _Run:
    """A run under way: the workers, what they work on, and what came of the rest."""

    graph: Graph
    out: Path
    screen: Screen
    outcome: Outcome = field(default_factory=Outcome)
    working: dict[Future, Cell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = self.graph.keys()
        self.sorter = self.graph.sorter()
        self.sorter.prepare()
        self.ready: list[str] = []
        self.rank = {name: position for position, name in enumerate(self.graph.listed)}

    def key(self, cell: Cell) -> str:
        """The cell's key, another one where something it wants is missing."""
        absent = sorted(self.outcome.missing.intersection(cell.wants))
        return config_hash(self.keys[cell.name], absent) if absent else self.keys[cell.name]

    def settle(self) -> None:
        """Take up cells that have become ready, and pass over those with nothing to do."""
        while more := self.sorter.get_ready():
            for name in more:
                cell = self.graph.cells[name]
                lacking = [need for need in cell.needs if need in self.outcome.missing]
                if lacking:
                    self.outcome.blocked[name] = lacking[0]
                    self.finish(name, f"not run: it needs {lacking[0]}")
                elif is_current(self.out, cell, self.key(cell)):
                    self.outcome.current.append(name)
                    self.finish(name, "current")
                else:
                    self.ready.append(name)
        self.ready.sort(key=self.rank.__getitem__)

    def finish(self, name: str, how: str, seconds: float | None = None) -> None:
        """Tell the screen, and let what comes after become ready."""
        self.screen.ended(name, how, seconds)
        self.sorter.done(name)

    def collect(self, future: Future) -> None:
        """Book what a worker returned."""
        seconds, problem = future.result()
        cell = self.working.pop(future)
        if problem is None:
            try:
                stamp(self.out, cell, self.key(cell), seconds)
            except InputError as error:
                problem = str(error)
        if problem is None:
            self.outcome.done.append(cell.name)
            self.finish(cell.name, "done", seconds)
        else:
            self.outcome.failed[cell.name] = problem
            self.finish(cell.name, f"failed: {problem}")


def execute(graph: Graph, out: Path, jobs: int, screen: Screen) -> Outcome:
    """Bring every cell up to date that can be, and say what became of each.

    Stamps are written as cells finish, so a kill at any point loses at most the cells in work.
    A cell that fails leaves the others alone; only what needs it is not run.

    Raises:
        InputError: another run is at work in `out`.
    """
    with _locked(out):
        run = _Run(graph, out, screen)
        run.settle()
        while run.sorter.is_active():
            _drain(run, jobs)
        return run.outcome


def _drain(run: _Run, jobs: int) -> None:
    """Work until nothing is left, or until a dying worker takes the pool with it."""
    # Started afresh: a forked torch deadlocks on its threads.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(jobs), ProcessPoolExecutor(jobs, context, _prepare_worker) as pool:
        try:
            while run.ready or run.working:
                while run.ready and len(run.working) < jobs:
                    cell = run.graph.cells[run.ready[0]]
                    log = log_path(run.out, cell)
                    future = pool.submit(_work, cell.function, cell.call(run.out), str(log))
                    # Only now: a pool that broke meanwhile takes nothing, and the cell is ready still.
                    run.working[future] = run.graph.cells[run.ready.pop(0)]
                    run.screen.started(cell.name, log)
                finished, _ = wait(run.working, return_when=FIRST_COMPLETED)
                for future in finished:
                    run.collect(future)
                run.settle()
        except BrokenProcessPool:
            _give_up(run)
        except BaseException:
            # Waiting for cells in work could take minutes; they leave nothing half written.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _give_up(run: _Run) -> None:
    """A worker was killed: which one, the pool does not say, so all cells in work have failed."""
    for future, cell in list(run.working.items()):
        run.working.pop(future)
        run.outcome.failed[cell.name] = "its worker process died (out of memory, or killed)"
        run.finish(cell.name, f"failed: {run.outcome.failed[cell.name]}")
    run.settle()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """At most one run at a time in a folder; the lock goes with the process that holds it."""
    (out / ".cells").mkdir(parents=True, exist_ok=True)
    with (out / ".cells" / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{out}: another run is at work here; wait or choose --out") from error
        yield


@contextmanager
def _one_thread_each(jobs: int) -> Iterator[None]:
    """Threads for the workers to come: they share the cores, and more would only wait."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, threads), TOKENIZERS_PARALLELISM="false")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _work(function: str, arguments: dict[str, Any], log: str) -> tuple[float, str | None]:
    """Call one cell's function in a worker: the seconds it took, and a line if it failed.

    What it prints or logs goes to `log`. Errors come back as text, since not every one can be pickled.
    """
    module, _, name = function.partition(":")
    watch, problem = Stopwatch(), None
    with Path(log).open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        try:
            getattr(importlib.import_module(module), name)(**arguments)
        except T3Error as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 whatever it is, the other cells go on
            traceback.print_exc()
            problem = f"{type(error).__name__}: {error} (see {log})"
        sys.stdout.flush()
        sys.stderr.flush()
    return watch.seconds, None if problem is None else " ".join(problem.split())
