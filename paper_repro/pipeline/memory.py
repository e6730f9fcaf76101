"""The most memory that a piece of work holds at a time."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

__all__ = ["PeakMemory"]

_SELF = Path("/proc/self")


class PeakMemory:
    """The peak since it was made; a worker does many cells, so the process's own would not do.

    Of the process it is all that is resident: libraries too, and what earlier work left.
    """

    def __init__(self) -> None:
        try:
            (_SELF / "clear_refs").write_text("5", encoding="ascii")  # resets VmHWM: proc(5)
            self._resident = True
        except OSError:  # not Linux, or not allowed: no number rather than that of earlier work
            self._resident = False
        self._gpu: Any = getattr(sys.modules.get("torch"), "cuda", None)
        if self._gpu is not None and self._gpu.is_available():
            self._gpu.reset_peak_memory_stats()
        else:
            self._gpu = None

    def bytes(self) -> dict[str, float]:
        """`peak_bytes` of the process, `peak_gpu_bytes` allocated by torch: those that are known."""
        found = {}
        if self._resident:
            status = (_SELF / "status").read_text(encoding="utf-8")
            if peak := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
                found["peak_bytes"] = 1024.0 * int(peak[1])
        if self._gpu is not None:
            found["peak_gpu_bytes"] = float(self._gpu.max_memory_allocated())
        return found
