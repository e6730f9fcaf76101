"""Figures: built from records alone, the same bytes each time, with their numbers."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from contextlib import nullcontext

import pytest

from figures import save
from figures.fig_optimal_temperature import prediction_error
from figures.fig_prior_correction import _labels
from figures.registry import FIGURES
from figures.style import (
    COLUMN,
    PAGE,
    PALETTE,
    column,
    context,
    figure,
    label_curves,
    room_for_labels,
)
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
    said = re.search(r"9\d% ", text) or "no intervals" in text
    assert said, "says which intervals are drawn, or why none are"
    assert "nan" not in text
    assert "\n" not in text


@pytest.mark.parametrize("width", [PAGE, COLUMN])
def test_nothing_outside_the_canvas(records, width):
    for name in SIMULATED:
        with column() if width == COLUMN else nullcontext():
            fig = FIGURES[name].build(records(name))
        fig.canvas.draw()
        assert fig.get_size_inches()[0] * 25.4 <= width + 1e-6
        for axes in fig.axes:
            for text in axes.texts:
                box = text.get_window_extent()
                assert box.x1 <= fig.bbox.width + 1, f"{name}: {text.get_text()!r} is cut off"
            assert axes.get_window_extent().width > 0.4 * fig.bbox.width / len(fig.axes)


def test_a_column_stacks_panels_of_the_same_text():
    _, wide = figure(PAGE, 60, columns=3)
    with column():
        fig, panels = figure(PAGE, 60, columns=3)
    assert len(panels) == len(wide) == 3
    fig.canvas.draw()
    boxes = [axes.get_window_extent() for axes in panels]
    assert all(low.y1 <= high.y0 for high, low in itertools.pairwise(boxes))
    assert fig.get_size_inches()[0] * 25.4 == pytest.approx(COLUMN)
    assert [a.xaxis.label.get_size() for a in panels] == [a.xaxis.label.get_size() for a in wide]


def test_labels_do_not_overlap():
    with context():
        _, (axes,) = figure()
        axes.plot([0, 1], [0, 1])
        room_for_labels(axes)
        label_curves(axes, [(1, 1, str(i), "black") for i in range(5)])
        boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


SETTINGS = {"draws": 2, "heldout": 100, "n": [50, 100], "seeds": 2, "atoms": 50, "steps": [3, 10]}
"""Small, for studies that have such a field."""


def small(name):
    study = studies.get(name)
    fields = study.settings("mini")
    if name == "dimension_and_overlap":
        fields["dimension"] = [1]
    return {k: SETTINGS.get(k, v) for k, v in fields.items() if k != "seeds" or v != [1]}


@pytest.mark.parametrize("name", SIMULATED)
def test_any_grid_is_drawn(name):
    whole = small(name)
    one = {k: v[0] for k, v in whole.items() if isinstance(v, list)}
    grids = [one, {"h": [20.0, 60.0]}] if "h" in whole else [one]
    if "temperature" in whole:
        grids += [one | {"temperature": 3.0}, {"temperature": [3.0, 5.0]}]
    for grid in grids:
        found = run_study(name, overrides=whole | grid)
        text = FIGURES[name].caption(found)
        assert text, grid
        assert not re.search(r"\bnan\b|\binf\b", text), (grid, text)
        FIGURES[name].build(found).canvas.draw()


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


@pytest.mark.parametrize("name", SIMULATED)
def test_an_axis_has_two_ticks_among_the_data(name, records):
    for axes in FIGURES[name].build(records(name)).axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                low, high = sorted(axis.get_view_interval())
                shown = [x for x in axis.get_ticklocs() if low <= x <= high]
                assert len(shown) >= 2, f"{name}: {axis.get_label_text()}"


def words(axes):
    return {text.get_text() for text in axes.texts}


def test_curves_say_what_they_are(records):
    gating = FIGURES["gating"].build(records("gating")).axes[2]
    assert words(gating) == {"uniform", "hard", "soft"}
    for panel in FIGURES["sample_complexity"].build(records("sample_complexity")).axes[1:]:
        assert words(panel) == {f"T = {t}, {what}" for t in (1, 2) for what in ("true", "promised")}
    for panel in FIGURES["pareto"].build(records("pareto")).axes:
        both = [text for text in words(panel) if re.fullmatch(r"T = [\d.]+, s = [\d.]+", text)]
        assert len(both) == 2, "both ends of the front of both"
        assert any(re.fullmatch(r"T = [\d.]+", text) for text in words(panel))
        assert any(re.fullmatch(r"s = [\d.]+", text) for text in words(panel))


def test_savings_have_intervals(records):
    panel = FIGURES["optimal_temperature"].build(records("optimal_temperature")).axes[2]
    assert len(panel.containers) == 3
    assert all(drawn.has_yerr for drawn in panel.containers)


def test_where_curves_meet_names_stand_as_they_arrive():
    [low, high] = _labels(0.5, {"balanced": [3.0, 2.0, 1.0], "natural": [1.0, 0.5, 1.01]})
    assert (low[2], high[2]) == ("natural", "balanced")
    assert low[1] == high[1], "one place, told apart by their order alone"
    apart = _labels(0.5, {"balanced": [3.0, 1.0], "natural": [1.0, 2.0]})
    assert {name: y for _, y, name, _ in apart} == {"balanced": 1.0, "natural": 2.0}


def test_a_best_temperature_is_compared_where_the_error_depends_on_it():
    def place(predicted, error):
        values = {"temperature_predicted": predicted, "temperature_worst": 2.0}
        return {"values": values | {"forget_error_worst": error}}

    assert prediction_error([place(2.2, 0.5), place(9.0, 1.0), place(2.0, 0.9)]) == [1.0, 1.1]


def test_no_tick_stands_outside_the_data():
    with context():
        _, (axes,) = figure()
        axes.plot([1, 1e10], [1, 2])
        axes.set_xscale("log")
        room_for_labels(axes)
    assert min(axes.get_xticks()) >= 1
    assert max(axes.get_xticks()) <= 1e10
