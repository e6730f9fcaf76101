"""JSON Lines of a user: one reading, one message for each way a file can be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from t3theory.exceptions import InputError

__all__ = ["json_lines"]


def json_lines(path: str | Path) -> Iterator[tuple[str, object]]:
    """Each value of a file with its place, "path:line"; blank lines are skipped.

    Lines end at newlines alone: other characters that split lines elsewhere may stand in texts.

    Raises:
        InputError: the file is missing, not UTF-8, or a line is not JSON of whole characters and
            readable numbers; names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: expected a JSON Lines file, {reason}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            value = json.loads(line)
            json.dumps(value, ensure_ascii=False).encode()  # half a character has no encoding
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{place}: expected one JSON object a line, {_reason(error)}"
            ) from error
        yield place, value


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return f"got half of a surrogate pair, {error.object[error.start]!r}"
    return getattr(error, "msg", str(error).partition(";")[0])
