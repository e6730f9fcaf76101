"""What the cells of the pipeline's tests do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from t3theory.exceptions import AssumptionError
from t3theory.records import make_record, write_records


def write(out: str, text: str, seconds: float = 0.0, **inputs: str) -> None:
    """Leave a record of the lengths of all inputs."""
    time.sleep(seconds)
    parts = [Path(path).read_text(encoding="utf-8").count("\n") for path in inputs.values()]
    write_records(out, [make_record("test", {"text": text}, 0, {"lines": parts}, seconds)])


def fail() -> None:
    """A user's mistake whose error cannot be pickled."""
    raise AssumptionError("gamma", "must lie in (0, 1)", 2.0)


def break_down() -> None:
    """A mistake of our own."""
    raise ZeroDivisionError("one\ntwo")


def die(seconds: float = 0.0) -> None:
    """What the kernel does when memory runs out."""
    time.sleep(seconds)
    os.kill(os.getpid(), 9)
