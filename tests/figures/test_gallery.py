"""Pooled records say what the records of every seed say, and the committed page is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from figures.gallery import caption_lines, draw, write
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
from t3theory.exceptions import InputError
from t3theory.records import read_records, write_records

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


def test_a_folder_of_records_becomes_a_page(tmp_path):
    records = run_study("necessity")
    write_records(tmp_path / "raw/necessity.jsonl", records)
    assert write(tmp_path / "raw", tmp_path / "out") == ["necessity"]
    page = (tmp_path / "out/README.md").read_text()
    assert FIGURES["necessity"].caption(records) in page
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["README.md", "necessity.jsonl", "necessity.png"]
    with pytest.raises(InputError, match="expected record files"):
        write(tmp_path / "out/necessity.png", tmp_path)


def test_drawing_returns_the_caption(tmp_path):
    records = run_study("necessity")
    assert draw("necessity", records, tmp_path / "n") == FIGURES["necessity"].caption(records)
    assert (tmp_path / "n.svg").exists()


@pytest.mark.parametrize("name", studies.names())
def test_the_committed_page_is_what_its_records_say(name):
    records = read_records(COMMITTED / f"{name}.jsonl", f"sims.{name}")
    assert caption_lines(name, records) in (COMMITTED / "README.md").read_text(encoding="utf-8")
    assert (COMMITTED / f"{name}.png").exists()
    configs = {tuple(sorted(r["config"].items())) for r in records}
    assert len(configs) == len(records)
