"""What a study varies is seen: other numbers at any value of any setting are another picture."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from figures.gallery import _pictures
from figures.registry import FIGURES
from figures.style import COLUMN, PAGE, column
from figures.variations import Panel, Variations
from sims import studies
from t3theory.records import make_record, read_records

COMMITTED = Path(__file__).parents[2] / "paper_repro/results/simulations"


def points(records, study):
    """Every number that is drawn."""
    return [
        np.asarray(line.get_xydata(), dtype=float)
        for figure, _ in _pictures(study, records).values()
        for axes in figure.axes
        for line in axes.lines
    ]


def raised(value):
    """Ten per cent more, of numbers, of draws and of what was pooled."""
    if isinstance(value, list):
        return [1.1 * v for v in value]
    if not isinstance(value, dict):
        return 1.1 * value
    moved = value | {"mean": 1.1 * value["mean"]}
    return moved | ({"log": [value["log"][0] + 0.1, value["log"][1]]} if "log" in value else {})


def elsewhere(record, name, wanted):
    if record["config"][name] != wanted:
        return record
    kept = {"atoms", "n", "forget_density_sup"}
    values = {
        k: v if k in kept or k.endswith("covered") or isinstance(v, bool) else raised(v)
        for k, v in record["values"].items()
    }
    # A bound and the worst case by as much would be as loose as before.
    values |= {k: raised(v) for k, v in values.items() if "_bound_" in k}
    return record | {"values": values}


@pytest.mark.parametrize("study", studies.names())
def test_every_value_of_every_setting_is_in_a_picture(study):
    records = read_records(COMMITTED / f"{study}.jsonl")
    before = points(records, study)
    varied = {
        k: {r["config"][k] for r in records}
        for k in studies.get(study).settings("full")
        if k != "seeds"
    }
    for name, values in varied.items():
        for value in values if len(values) > 1 else ():
            after = points([elsewhere(r, name, value) for r in records], study)
            same = len(after) == len(before) and all(
                a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True)
                for a, b in zip(before, after, strict=True)
            )
            assert not same, f"{name} = {value} is in no picture"


def rows(**grid):
    return [
        make_record("sims.x", {"h": h, "n": n, "who": who}, s, {"forget_error": h / n + 0.1 * s})
        for h in grid.get("h", (1, 10))
        for n in grid.get("n", (10, 100, 1000))
        for who in grid.get("who", ("tabular", "network"))
        for s in (0, 1)
    ]


def test_a_panel_takes_what_it_names_and_the_middle_of_the_rest():
    records = rows(h=(1, 10, 100))
    chosen, told = Panel("n", "h", at={"who": "tabular"}).chosen(records)
    assert told == {"who": "tabular"}
    assert {r["config"]["h"] for r in chosen} == {1, 10, 100}
    _, told = Panel("who", "h", at={"n": 600}).chosen(records)
    assert told == {"n": 1000}, "the nearest"
    _, told = Panel("who", "h").chosen(records)
    assert told == {"n": 100}


def test_settings_that_do_not_vary_have_no_panel():
    others = Variations((Panel("n", "h"), Panel("who", "h")))
    assert len(others.build(rows()).axes) == 2
    assert len(others.build(rows(n=(10,))).axes) == 1
    assert others.build(rows(n=(10,), who=("tabular",))) is None
    told = others.caption(rows(n=(10,)))
    assert "(a) forget error by who: at h = 10" in told
    assert "2 seeds" in told


@pytest.mark.parametrize("study", studies.names())
def test_labels_stay_on_the_canvas(study):
    records = read_records(COMMITTED / f"{study}.jsonl")
    others = getattr(FIGURES[study], "OTHERS", None)
    figure = others and others.build(records)
    for axes in figure.axes if figure else ():
        boxes = [text.get_window_extent() for text in axes.texts]
        assert all(box.x1 <= figure.bbox.width + 1 for box in boxes)


@pytest.mark.parametrize("width", [PAGE, COLUMN])
@pytest.mark.parametrize("study", sorted(studies.names()))
def test_all_words_are_inside_the_canvas(study, width):
    with column() if width == COLUMN else nullcontext():
        pictures = _pictures(study, read_records(COMMITTED / f"{study}.jsonl"))
    for figure, _ in pictures.values():
        figure.canvas.draw()
        assert figure.get_size_inches()[0] * 25.4 <= width + 1e-6
        words = [text for axes in figure.axes for text in (*axes.texts, axes.title)]
        for text in words:
            box = text.get_window_extent()
            assert box.x0 >= -1, f"{text.get_text()!r} is cut off"
            assert box.x1 <= figure.bbox.width + 1, f"{text.get_text()!r} is cut off"


def test_a_caption_of_curves_that_end_apart_tells_what_both_have():
    found = [
        r
        for r in read_records(COMMITTED / "alphabets.jsonl")
        if r["config"]["temperature"] < 4 or r["config"]["n"] > 1_000
    ]
    assert "at T = 3 " in FIGURES["alphabets"].OTHERS.caption(found)
