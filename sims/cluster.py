"""Cells on a Dask cluster, given its scheduler's address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from t3theory.exceptions import InputError

__all__ = ["compute"]

_CONNECT_SECONDS = 10
_CELLS_A_TASK = 8
"""What a killed worker can lose at most; it is then computed again elsewhere."""


def compute(
    work: Callable[[Sequence[Any]], dict[str, Any]], waiting: Sequence[Any], address: str
) -> Iterator[dict[str, Any]]:
    """Results of `work` on slices of `waiting`, as the cluster's workers finish them.

    Raises:
        InputError: `distributed` is not installed, or no scheduler answers at `address`.
    """
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise InputError("dask: expected the `dask` extra, distributed is not installed") from error
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"dask: expected a scheduler at {address!r}, {error}") from error
    with client:
        slices = [waiting[i : i + _CELLS_A_TASK] for i in range(0, len(waiting), _CELLS_A_TASK)]
        # The scheduler sends a dead worker's slices to others; one that fails would fail again.
        futures = client.map(work, slices, pure=False)
        for future in as_completed(futures, loop=client.loop):
            yield future.result()
