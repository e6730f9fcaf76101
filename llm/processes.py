"""Work shared among the processes of `accelerate launch`; one process does it all.

Every process holds the same list of work and takes every n-th piece; `merge` gives all of them
all results, in the order of the list. A piece is computed as one process alone would, so
results do not depend on the number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch

__all__ = ["count", "device", "index", "is_main", "merge", "share", "wait"]

T = TypeVar("T")


def count() -> int:
    """Number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def index() -> int:
    """This one's, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def is_main() -> bool:
    """Whether this process is the one that writes and speaks."""
    return index() == 0


def _state() -> Any:
    from accelerate import PartialState

    return PartialState()


def device() -> str:
    """The device of this process: its own GPU, the first one, or the CPU."""
    if count() > 1:
        return str(_state().device)
    return "cuda" if torch.cuda.is_available() else "cpu"


def share(work: Sequence[T]) -> Sequence[T]:
    """This process's pieces of the work.

    >>> share(["a", "b", "c"])
    ['a', 'b', 'c']
    """
    return work[index() :: count()]


def merge(results: Sequence[T]) -> list[T]:
    """The results of all pieces in order, in every process, from each one's own.

    >>> merge([1, 2])
    [1, 2]
    """
    if count() == 1:
        return list(results)
    _state()
    parts: list[Any] = [None] * count()
    torch.distributed.all_gather_object(parts, list(results))
    total = sum(map(len, parts))
    return [parts[i % count()][i // count()] for i in range(total)]


def wait() -> None:
    """Until all processes are here."""
    if count() > 1:
        _state().wait_for_everyone()
