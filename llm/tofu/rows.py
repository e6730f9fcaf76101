"""Rows of question and answer, from JSON Lines, a folder of them, the Hub, or the generator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llm.tofu.mini import LAYOUT_FILE, ROWS_PER_AUTHOR, mini_files
from t3theory.exceptions import InputError
from t3theory.json_lines import json_lines

__all__ = ["PAIR", "TOFU_ROWS_PER_AUTHOR", "Reader", "Row", "open_source", "read_rows"]

Row = dict[str, Any]

PAIR = ("question", "answer")
TOFU_ROWS_PER_AUTHOR = 20


def _check_row(row: object, required: Sequence[str], where: str) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(row).__name__}")
    for field in required:
        value = row.get(field)
        if field not in row:
            raise InputError(f"{where}: no field {field!r}, expected {', '.join(required)}")
        if field == "perturbed_answer":
            good = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
            if not good:
                raise InputError(f"{where}: {field!r} is not a list of strings")
        elif not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}: {field!r} is not a text: {value!r}")
    return row


def read_rows(path: str | Path, required: Sequence[str] = PAIR) -> list[Row]:
    """The rows of a JSON Lines file, each with the `required` fields.

    Raises:
        InputError: the file is missing or empty, a line is not a JSON object, or a field is
            missing or not a text.
    """
    rows = [_check_row(value, required, place) for place, value in json_lines(path)]
    if not rows:
        raise InputError(f"{path}: no rows, expected at least one question and answer")
    return rows


Reader = Callable[[str, Sequence[str]], list[Row]]
"""From a file's name without suffix and its required fields to its rows."""


def _mini_reader(seed: int) -> Reader:
    files = mini_files(seed)

    def read(name: str, required: Sequence[str]) -> list[Row]:
        if name not in files:
            raise InputError(f"mini: no split {name!r}, expected one of {', '.join(files)}")
        return files[name]

    return read


def _folder_reader(folder: Path) -> Reader:
    def read(name: str, required: Sequence[str]) -> list[Row]:
        for suffix in (".jsonl", ".json"):  # the Hub's repository calls its JSON Lines .json
            if (path := folder / f"{name}{suffix}").is_file():
                return read_rows(path, required)
        raise InputError(f"{folder}: no file {name}.jsonl (expected TOFU's files)")

    return read


def _hub_reader(source: str) -> Reader:
    def read(name: str, required: Sequence[str]) -> list[Row]:
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise InputError(
                f"{source}: reading from the Hub needs the package datasets (the extra 'hub')"
            ) from error
        try:
            dataset = load_dataset(source, name, split="train")
        except (OSError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise InputError(
                f"{source}: neither a folder nor a Hub dataset with {name!r}, {reason}"
            ) from error
        return [
            _check_row(dict(row), required, f"{source}/{name}:{i}")
            for i, row in enumerate(dataset, start=1)
        ]

    return read


def _rows_per_author(folder: Path) -> int:
    path = folder / LAYOUT_FILE
    if not path.is_file():
        return TOFU_ROWS_PER_AUTHOR
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["rows_per_author"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a JSON object with rows_per_author") from error
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{path}: rows_per_author is {value!r}, expected a whole number ≥ 1")
    return value


def open_source(source: str | Path, seed: int) -> tuple[Reader, int]:
    """What reads the files of `source`, and how many rows an author has there."""
    if str(source) == "mini":
        return _mini_reader(seed), ROWS_PER_AUTHOR
    if Path(source).is_dir():
        return _folder_reader(Path(source)), _rows_per_author(Path(source))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        return _hub_reader(str(source)), TOFU_ROWS_PER_AUTHOR
    raise InputError(f"data {str(source)!r}: expected 'mini', a folder, or a Hub name (owner/name)")
