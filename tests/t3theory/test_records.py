"""A record file is whole, or a line says which record is not and why."""

from __future__ import annotations

import json

import pytest

from t3theory.exceptions import RecordError
from t3theory.records import atomic_path, config_hash, make_record, read_records, write_records

RECORD = {"kind": "k", "config": {"h": 2.0}, "seed": 0, "values": {"x": 1.5}, "provenance": {}}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "r.jsonl"
    records = [make_record("k", {"h": 2.0}, 0, {"x": 1e-300}, 0.5), RECORD | {"kind": "other"}]
    write_records(path, records)
    assert read_records(path) == records
    assert read_records(path, "other") == records[1:]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (json.dumps(RECORD | {"config": None}), "config is null; expected an object"),
        (json.dumps(RECORD | {"values": [1]}), r"values is \[1\]; expected an object"),
        (json.dumps(RECORD | {"kind": 3}), "kind is 3; expected text"),
        (json.dumps(RECORD | {"provenance": "me"}), 'provenance is "me"; expected an object'),
        ('{"kind": "k"}', "the record has no config, provenance, seed, values"),
        ("[]", "expected one JSON record a line"),
        ("3", "expected one JSON record a line"),
        ("{", "expected one JSON record a line"),
        ("", "expected one JSON record a line"),
        pytest.param("[" * 100_000, "expected one JSON record a line", id="deep"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, said):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(RECORD) + "\n" + line + "\n")
    with pytest.raises(RecordError, match=rf"r\.jsonl:2: .*{said}"):
        read_records(path)


def test_a_cut_or_missing_file_is_named(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(RECORD) + "\n" + json.dumps(RECORD)[:20])
    with pytest.raises(RecordError, match=r"r\.jsonl:2: the last record is cut short"):
        read_records(path)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(RecordError, match=r"r\.jsonl: expected a record file"):
        read_records(path)
    with pytest.raises(RecordError, match=r"none\.jsonl: expected a record file"):
        read_records(tmp_path / "none.jsonl")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "r.jsonl"
    write_records(path, [RECORD])

    def failing():
        yield RECORD | {"seed": 1}
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_records(path, failing())
    assert read_records(path) == [RECORD]
    with pytest.raises(FileNotFoundError), atomic_path(path):
        (tmp_path / "none").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]


def test_hashes_differ_where_configurations_do():
    assert config_hash({"a": 1}) != config_hash({"a": 1.5})
    assert config_hash("ab", "c") != config_hash("a", "bc")
    assert config_hash(float("inf")) != config_hash(float("nan"))
