"""Figures: built from records alone, the same bytes each time, with their numbers."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from figures import save
from figures.registry import FIGURES
from figures.style import PALETTE, context, figure, label_curves, room_for_labels
from sims import studies
from sims.run import run_study
from t3theory.exceptions import InputError

SIMULATED = sorted(f"{name}" for name in studies.names())


@pytest.fixture(scope="module")
def records():
    kept = {}

    def get(name):
        if name not in kept:
            kept[name] = run_study(name, overrides={"seeds": 3})
        return kept[name]

    return get


def test_every_study_has_its_figure():
    kinds = {FIGURES[name].KIND for name in SIMULATED}
    assert kinds == {f"sims.{name}" for name in SIMULATED}


@pytest.mark.parametrize("name", SIMULATED)
def test_pictures_do_not_change_from_run_to_run(name, records, tmp_path):
    drawn = []
    for i, order in enumerate((records(name), records(name)[::-1])):
        with context():
            FIGURES[name].build(order).savefig(tmp_path / f"{i}.svg", metadata={"Date": None})
        drawn.append((tmp_path / f"{i}.svg").read_text())
    assert drawn[0] == drawn[1]
    assert "<svg" in drawn[0]
    assert not re.search(r"<dc:date>", drawn[0])


def test_both_files_are_the_same_bytes_each_time(records, tmp_path):
    module = FIGURES["necessity"]
    first, second = (save(module.build(records("necessity")), tmp_path / name) for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert "<dc:date>" not in first[1].read_text()


@pytest.mark.parametrize("name", SIMULATED)
def test_captions_hold_numbers_and_intervals(name, records):
    text = FIGURES[name].caption(records(name))
    assert re.search(r"\d", text)
    assert re.search(r"9\d% ", text), "says which intervals are drawn"
    assert "nan" not in text
    assert "\n" not in text


def test_nothing_outside_the_canvas(records):
    for name in SIMULATED:
        fig = FIGURES[name].build(records(name))
        fig.canvas.draw()
        width = fig.bbox.width
        for axes in fig.axes:
            for text in axes.texts:
                box = text.get_window_extent()
                assert box.x1 <= width + 1, f"{name}: {text.get_text()!r} is cut off"


def test_labels_do_not_overlap():
    with context():
        _, (axes,) = figure()
        axes.plot([0, 1], [0, 1])
        room_for_labels(axes)
        label_curves(axes, [(1, 1, str(i), "black") for i in range(5)])
        boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_unknown_figure_is_named():
    with pytest.raises(InputError, match=r"figure 'nothing'.*necessity"):
        FIGURES["nothing"]


def test_colours_differ():
    assert len(set(PALETTE.values())) == len(PALETTE)


def test_no_torch_is_loaded():
    code = (
        "import sys; from figures.registry import FIGURES\n"
        f"[FIGURES[name] for name in {SIMULATED!r}]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_tick_stands_outside_the_data():
    with context():
        _, (axes,) = figure()
        axes.plot([1, 1e10], [1, 2])
        axes.set_xscale("log")
        room_for_labels(axes)
    assert min(axes.get_xticks()) >= 1
    assert max(axes.get_xticks()) <= 1e10
