"""Pooled records say what the records of every seed say, and the committed page is theirs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from figures.gallery import _pictures, caption_lines, draw, write
from figures.pooling import pool
from figures.registry import FIGURES
from figures.statistics import (
    geometric_mean_of,
    mean_of,
    sample_of,
    seeds_of,
    share_of,
    slope_of,
)
from sims import studies
from sims.run import run_study
from t3theory.exceptions import InputError, RecordError
from t3theory.records import make_record, read_records, write_records

COMMITTED = Path(__file__).parents[2] / "paper_repro/results/simulations"


@pytest.fixture(scope="module")
def raw():
    return run_study("sample_complexity", overrides={"seeds": 6, "n": [100, 1000, 10000]})


def test_pooling_keeps_means_slopes_and_shares(raw):
    pooled = pool(raw)
    assert len(pooled) * 6 == len(raw)
    for estimate in (
        lambda rs: geometric_mean_of(rs, "excess_risk"),
        lambda rs: slope_of(rs, lambda r: r["config"]["n"], "forget_error"),
        lambda rs: share_of(rs, "excess_risk_covered"),
    ):
        one, other = estimate(raw), estimate(pooled)
        for end in ("value", "low", "high"):
            # Moments are kept to six digits.
            assert getattr(one, end) == pytest.approx(getattr(other, end), rel=1e-4)
    assert seeds_of(raw) == seeds_of(pooled) == 6
    assert pool(pooled) == pooled


def test_spread_that_was_not_kept_is_not_invented(raw):
    assert mean_of(raw, "excess_risk").high > mean_of(raw, "excess_risk").low
    pooled = mean_of(pool(raw), "excess_risk")
    assert pooled.value == pytest.approx(mean_of(raw, "excess_risk").value, rel=1e-5)
    assert pooled.high != pooled.high, "not a number"
    with pytest.raises(InputError, match="expected positive values of excess_risk_covered"):
        sample_of(pool(raw), "excess_risk_covered", logarithm=True)


def test_pooled_batches_pool_to_what_all_seeds_would(raw):
    batches = [[r for r in raw if r["seed"] in seeds] for seeds in ((0, 1), (2, 3, 4), (5,))]
    for parts in (batches, batches[::-1]):
        again, whole = pool([r for part in parts for r in pool(part)]), pool(raw)
        assert len(again) == len(whole)
        for one, other in zip(again, whole, strict=True):
            assert one["config"] == other["config"]
            assert one["values"].keys() == other["values"].keys()
            for name, value in one["values"].items():
                assert value["count"] == other["values"][name]["count"] == 6
                # Moments are kept to six digits, once more for the batches.
                assert value["mean"] == pytest.approx(other["values"][name]["mean"], rel=1e-5)
                for key in value.keys() - {"mean"}:
                    assert value[key] == pytest.approx(
                        other["values"][name].get(key), rel=1e-3, abs=1e-9
                    )


def test_a_value_that_is_positive_in_one_batch_only():
    def of(seed, value):
        return make_record("sims.x", {"h": 1}, seed, {"v": value})

    positive, other = pool([of(0, 1.0), of(1, 3.0)]), pool([of(2, -1.0), of(3, 1.0)])
    [both] = pool(positive + other)
    assert both["values"]["v"] == {"count": 4, "mean": 1.0}, "the spread of the first is not known"
    assert both["config"] == {"h": 1, "seeds": 4}


def test_draws_of_all_seeds_are_joined():
    records = run_study("bound_ladder", overrides={"seeds": 2})
    pooled = pool(records)
    assert len(pooled) * 2 == len(records)
    counts = {len(r["values"]["forget_error_random"]) for r in pooled}
    assert counts == {2 * records[0]["config"]["draws"]}
    module = FIGURES["bound_ladder"]
    assert module.caption(pooled) == module.caption(records)
    assert module.build(pooled).axes


def test_one_seed_does_not_count_twice(raw):
    with pytest.raises(RecordError, match=r"sims.sample_complexity: two records of one seed"):
        pool(raw + raw[:1])


def test_a_folder_of_records_becomes_a_page(tmp_path):
    records = run_study("necessity")
    write_records(tmp_path / "raw/necessity.jsonl", records)
    assert write(tmp_path / "raw", tmp_path / "out") == ["necessity"]
    page = (tmp_path / "out/README.md").read_text()
    assert FIGURES["necessity"].caption(records) in page
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["README.md", "necessity.jsonl", "necessity.png", "necessity_settings.png"]
    with pytest.raises(InputError, match="expected record files"):
        write(tmp_path, tmp_path / "out")
    with pytest.raises(RecordError):
        write(tmp_path / "out/necessity.png", tmp_path)


def test_a_study_is_known_by_its_records_and_not_by_the_name_of_its_file(tmp_path):
    """`t3 simulate STUDY` writes STUDY-SCALE.jsonl where it is told no place."""
    records = run_study("necessity")
    write_records(tmp_path / "raw/necessity-mini.jsonl", records)
    assert write(tmp_path / "raw", tmp_path / "out") == ["necessity"]
    assert (tmp_path / "out/necessity.jsonl").exists()
    write_records(tmp_path / "raw/necessity-small.jsonl", records)
    with pytest.raises(InputError, match=r"necessity-small.jsonl: expected one file of the study"):
        write(tmp_path / "raw", tmp_path / "again")
    mixed = [*records, *run_study("pareto")]
    for found, said in ((mixed, "sims.necessity, sims.pareto"), ([], "none")):
        write_records(tmp_path / "raw/necessity-small.jsonl", found)
        with pytest.raises(InputError, match=f"expected records of one study, got {said}"):
            write(tmp_path / "raw", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_one_file_becomes_a_page_of_what_it_has_records_for(tmp_path):
    records = run_study("necessity") + run_study("pareto")
    write_records(tmp_path / "two.jsonl", [*records, records[0] | {"kind": "of nothing"}])
    assert write(tmp_path / "two.jsonl", tmp_path / "out") == ["necessity", "pareto"]
    page = (tmp_path / "out/README.md").read_text()
    assert all(FIGURES[n].caption(run_study(n)) in page for n in ("necessity", "pareto"))
    assert f"`t3 figures {tmp_path / 'two.jsonl'} --out {tmp_path / 'out'}`" in page
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["README.md", "necessity.png", "necessity_settings.png", "pareto.png"]
    write_records(tmp_path / "none.jsonl", [records[0] | {"kind": "of nothing"}])
    with pytest.raises(InputError, match="expected records that a figure is drawn from"):
        write(tmp_path / "none.jsonl", tmp_path / "out")


@pytest.mark.parametrize("folder", [p.parent for p in COMMITTED.parent.glob("*-*/README.md")])
def test_the_committed_pages_of_runs_are_what_their_records_say(folder, tmp_path):
    page = (folder / "README.md").read_text(encoding="utf-8")
    place = f"paper_repro/results/{folder.name}"
    assert f"`t3 figures {place}.jsonl --out {place}`" in page
    records = read_records(folder.with_suffix(".jsonl"))
    for name in FIGURES:
        if some := [r for r in records if r["kind"] == FIGURES[name].KIND]:
            assert caption_lines(name, _pictures(name, some)) in page
            assert (folder / f"{name}.png").exists()


def test_drawing_returns_the_caption(tmp_path):
    records, module = run_study("necessity"), FIGURES["necessity"]
    told = draw("necessity", records, tmp_path / "n")
    assert told == f"{module.caption(records)}\n\n{module.OTHERS.caption(records)}"
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{name}.{suffix}" for name in ("n", "n_settings") for suffix in ("png", "svg")
    }


@pytest.mark.parametrize("name", studies.names())
def test_the_committed_page_is_what_its_records_say(name):
    records = read_records(COMMITTED / f"{name}.jsonl", f"sims.{name}")
    lines = caption_lines(name, _pictures(name, records))
    assert lines in (COMMITTED / "README.md").read_text(encoding="utf-8")
    pictures = set(re.findall(rf"({name}\w*\.png)", lines))
    assert pictures == {file.name for file in COMMITTED.glob(f"{name}*.png")}
    configs = {tuple(sorted(r["config"].items())) for r in records}
    assert len(configs) == len(records)
