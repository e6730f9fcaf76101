"""A stamp says what a cell left and what it had read; one that cannot be read says nothing."""

from __future__ import annotations

import json

import pytest

from paper_repro.pipeline.graph import Cell
from paper_repro.pipeline.stamps import (
    is_current,
    last_seconds,
    other_versions,
    products_in,
    stamp,
)

SOURCE = Cell("source", "m:f", {}, ("s.jsonl", "s.cost.jsonl"), {"out": "s.jsonl"})
READER = Cell(
    "reader", "m:f", {}, ("r.jsonl",), {"out": "r.jsonl", "of": "s.jsonl"}, needs=("source",)
)
PAGE = Cell("page", "m:f", {}, ("page.html",), {"out": "."}, wants=("source",))


def finish(out, cell, *texts):
    for product, text in zip(cell.products, texts, strict=True):
        (out / product).write_text(text)
    stamp(out, cell, "key", 1.0)


@pytest.fixture
def out(tmp_path):
    finish(tmp_path, SOURCE, "measured", "1 s")
    finish(tmp_path, READER, "drawn")
    finish(tmp_path, PAGE, "told")
    return tmp_path


def change(out, cell, **fields):
    """Fields of a stamp put in place of what it says; None takes one away."""
    path = out / ".cells" / f"{cell.name}.json"
    entry = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({k: v for k, v in entry.items() if v is not None}))


@pytest.mark.parametrize(
    ("texts", "reader", "page"),
    [
        (("measured", "1 s"), True, True),
        (("measured", "2 s"), True, False),
        (("otherwise", "1 s"), False, False),
    ],
)
def test_what_is_made_again_and_comes_out_otherwise_is_read_again(out, texts, reader, page):
    finish(out, SOURCE, *texts)
    assert is_current(out, SOURCE, "key")
    assert is_current(out, READER, "key") == reader, "it reads the first product"
    assert is_current(out, PAGE, "key") == page, "it reads the whole run"


def test_a_stamp_of_before_inputs_were_told_is_taken_as_it_is(out):
    change(out, READER, inputs=None)
    finish(out, SOURCE, "otherwise", "1 s")
    assert is_current(out, READER, "key")
    assert not is_current(out, READER, "another key")


@pytest.mark.parametrize(
    "odd",
    [
        {"products": 5},
        {"products": {"r.jsonl": 5}},
        {"products": {"r.jsonl": {"x": 5}}},
        {"products": {"r.jsonl": {".": {}}}},
        {"products": {}},
        {"key": ["key"]},
        {"inputs": 5},
        {"inputs": {"source": {}}},
    ],
)
def test_a_stamp_with_something_else_in_it_is_none(out, odd):
    change(out, READER, **odd)
    assert not is_current(out, READER, "key")


@pytest.mark.parametrize("odd", ["abc", None, [1.0], {"s": 1}])
def test_seconds_that_are_none_are_not_told(out, odd):
    change(out, READER, seconds=odd)
    assert last_seconds(out, READER) is None
    assert last_seconds(out, SOURCE) == 1.0


def test_what_follows_an_input_whose_stamp_is_odd_is_out_of_date(out):
    change(out, SOURCE, products={"s.jsonl": {"x": 5}})
    assert not is_current(out, READER, "key")


def test_the_products_of_a_run_are_those_of_its_stamps(out):
    assert set(products_in(out)) == {"page.html", "r.jsonl", "s.jsonl", "s.cost.jsonl"}
    assert products_in(out / "r.jsonl") is None
    assert products_in(out / "nowhere") is None


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"numpy": "0.9", "python": "2.7"}, (1, ["numpy 0.9", "python 2.7"])),
        ({"gone": "1.0"}, (1, ["gone 1.0"])),
        ({}, (0, [])),
        (None, (0, [])),
        (5, (0, [])),
    ],
)
def test_other_versions_are_told_and_make_nothing_out_of_date(out, said, found):
    assert other_versions(out, [SOURCE, READER]) == (0, [])
    change(out, READER, versions=said)
    assert other_versions(out, [SOURCE, READER]) == found
    assert is_current(out, READER, "key")
