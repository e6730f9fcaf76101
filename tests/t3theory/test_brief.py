"""A brief record file says what a full one says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t3theory._brief import BRIEF, restored, shortened
from t3theory.exceptions import RecordError
from t3theory.records import read_records, write_records

_NUMBERS = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
_VALUES = st.recursive(
    _NUMBERS, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=6
)
_RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["a", "b"]),
            "seed": st.none() | st.integers(0, 1),
            "config": st.dictionaries(st.sampled_from("hnT"), _NUMBERS),
            "values": st.dictionaries(st.sampled_from("xyz"), _VALUES),
            "provenance": st.dictionaries(st.just("commit"), st.sampled_from(["1", "2"])),
        }
    )
)


@given(_RECORDS)
def test_every_record_comes_back(records):
    found, above = [], None
    for line in shortened(records):
        above = restored(json.loads(json.dumps(line)), above)
        found.append(above)
    # As text, since 1 == 1.0 == True.
    assert [json.dumps(r, sort_keys=True) for r in found] == [
        json.dumps(r, sort_keys=True) for r in records
    ]


def _record(h, value):
    about = {"kind": "k", "seed": None, "provenance": {"commit": "c"}}
    return about | {"config": {"h": h}, "values": {"v": {"mean": value, "count": 2}}}


def test_a_brief_file_is_read_as_a_full_one(tmp_path):
    records = [_record(h, v) for h, v in ((1, 0.5), (2, 0.5), (3, 0.25), (3.0, 0.25))]
    for name, brief in (("full", False), ("brief", True)):
        write_records(tmp_path / name, records, brief)
    assert read_records(tmp_path / "brief") == read_records(tmp_path / "full") == records
    lines = (tmp_path / "brief").read_text().splitlines()
    assert json.loads(lines[1]) == {BRIEF: {"config": {"h": 2}}}
    assert json.loads(lines[2]) == {BRIEF: {"config": {"h": 3}, "values": [2, 0.25]}}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{BRIEF: {"config": {}}}], ":1: .*no record stands above"),
        ([_record(1, 2), {BRIEF: {"config": {}, "values": [1]}}], ":2: .*does not fit"),
        ([_record(1, 2), {BRIEF: {"config": {}, "values": [1, 2, 3]}}], ":2: .*more values"),
        ([_record(1, 2), {BRIEF: {}}], ":2: .*does not fit"),
        ([_record(1, 2), {BRIEF: 3}], ":2: .*does not fit"),
        ([_record(1, 2), {BRIEF: {"config": 3}}], ":2: .*does not fit"),
        ([_record(1, 2), [BRIEF]], ":2: .*does not fit"),
    ],
)
def test_lines_that_do_not_fit_are_named(tmp_path, lines, words):
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RecordError, match=words):
        read_records(path)
