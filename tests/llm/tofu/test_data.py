"""Loading, subsetting and every way the data can be wrong."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from llm.tofu.data import TofuData, load_tofu, mini_tofu, read_rows
from llm.tofu.mini import write_mini_tofu
from t3theory.exceptions import InputError, T3Error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_mini_tofu(tmp_path)
    return tmp_path


def change(folder: Path, name: str, edit: Any) -> None:
    path = folder / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = edit(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def one_line(error: pytest.ExceptionInfo[T3Error]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def pairs(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["question"], row["answer"]) for row in rows]


def test_folder_and_memory_agree(folder: Path) -> None:
    read, made = load_tofu(folder), mini_tofu()
    fields = {k: v for k, v in vars(made).items() if k not in ("name", "content_hash")}
    assert {k: getattr(read, k) for k in fields} == fields
    assert read.name == f"{folder.name}:forget10"


def test_files_named_as_in_the_hub_repository(folder: Path) -> None:
    expected = load_tofu(folder).full
    for path in folder.glob("*.jsonl"):
        path.rename(path.with_suffix(".json"))
    assert load_tofu(folder).full == expected


def test_content_hash_follows_the_rows(folder: Path) -> None:
    before = load_tofu(folder).content_hash
    assert load_tofu(folder).content_hash == before
    change(folder, "world_facts_perturbed", lambda rows: rows[:-1])
    assert load_tofu(folder).content_hash != before


@pytest.mark.parametrize("split", ["forget05", "forget10"])
def test_splits_fit_together(split: str) -> None:
    data = mini_tofu(forget=split)
    assert data.retain + data.forget == data.full
    assert pairs(data.forget_perturbed) == pairs(data.forget)
    assert not set(pairs(data.holdout)) & set(pairs(data.full))
    assert len(data.holdout) == len(data.forget)
    assert set(pairs(data.retain_perturbed)) <= set(pairs(data.retain))


@pytest.mark.parametrize("seed", range(3))
def test_subsets_are_whole_authors(seed: int) -> None:
    whole = mini_tofu()
    part = load_tofu("mini", forget_authors=2, retain_authors=8, seed=seed)
    source = mini_tofu(seed)
    size = part.rows_per_author
    authors = [source.full[i : i + size] for i in range(0, len(source.full), size)]
    for rows, count in ((part.forget, 2), (part.retain, 8)):
        chosen = [rows[i : i + size] for i in range(0, len(rows), size)]
        assert len(chosen) == count
        positions = [authors.index(author) for author in chosen]
        assert positions == sorted(positions)
    assert part.full == part.retain + part.forget
    assert pairs(part.forget_perturbed) == pairs(part.forget)
    assert set(pairs(part.retain_perturbed)) <= set(pairs(part.retain))
    assert len(part.retain_perturbed) == 6 * size  # authors with perturbed rows come first
    assert len(part.holdout) == len(part.forget)
    assert part.content_hash != whole.content_hash


def test_the_seed_chooses_the_authors(folder: Path) -> None:
    parts = [load_tofu(folder, forget_authors=1, seed=seed).forget[0] for seed in range(8)]
    assert len({row["question"] for row in parts}) > 1
    assert load_tofu(folder, forget_authors=1, seed=3).forget[0] == parts[3]


def test_knowledge_is_plain_pairs() -> None:
    knowledge = mini_tofu().knowledge
    assert len(knowledge) == 80
    assert all(row.keys() == {"question", "answer"} for row in knowledge)


@pytest.mark.parametrize("name", ["forget01", "forget05", "forget10"])
def test_real_tofu(shared: Path, name: str) -> None:
    data = load_tofu(shared / "tofu", name)
    n = {"forget01": 40, "forget05": 200, "forget10": 400}[name]
    assert (len(data.full), len(data.forget), len(data.retain)) == (4000, n, 4000 - n)
    assert data.full == data.retain + data.forget
    assert (len(data.holdout), len(data.knowledge), data.rows_per_author) == (n, 217, 20)


def test_subset_of_real_tofu(shared: Path) -> None:
    data = load_tofu(shared / "tofu", forget_authors=3, retain_authors=25)
    assert (len(data.full), len(data.forget), len(data.retain_perturbed)) == (560, 60, 400)


# ---- what a user can get wrong --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "mini", "forget": "forget50"}, "split 'forget50': expected one of forget01"),
        ({"source": "mini", "forget": "forget01"}, "mini: no split 'forget01', expected one of"),
        ({"source": "no-such-folder"}, "expected 'mini', a folder, or a Hub name"),
        ({"source": "mini", "forget_authors": 0}, "forget_authors 0: expected between 1 and 6"),
        ({"source": "mini", "retain_authors": 99}, "retain_authors 99: expected between 1 and 54"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load_tofu(**arguments)
    one_line(error)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("forget10", lambda rows: [], "no rows, expected at least one"),
        (
            "retain90",
            lambda rows: [*rows, rows[0] | FORGOTTEN],
            "1 forget rows also stand in retain",
        ),
        ("forget10", lambda rows: rows[::-1], "not the same pairs in order"),
        ("retain_perturbed", lambda rows: [rows[0] | {"answer": "x"}], "is not in retain"),
        ("full", lambda rows: rows[:-1], "the forget row .* is not in full"),
        ("full", lambda rows: rows[1:], "the retain row .* is not in full"),
        ("holdout10", lambda rows: [FORGOTTEN], "1 holdout rows stand in full"),
        ("full", lambda rows: [{"question": "Who?"}], r"full\.jsonl:1: no field 'answer'"),
        ("full", lambda rows: [rows[0] | {"answer": 3}], "'answer' is not a text: 3"),
        ("full", lambda rows: [rows[0] | {"answer": " "}], "'answer' is not a text: ' '"),
        ("full", lambda rows: ["Who?"], "expected a JSON object, got str"),
        (
            "forget10_perturbed",
            lambda rows: [rows[0] | {"perturbed_answer": "no"}],
            "'perturbed_answer' is not a list of strings",
        ),
    ],
)
def test_wrong_files(folder: Path, name: str, edit: Any, message: str) -> None:
    change(folder, name, edit)
    with pytest.raises(InputError, match=message) as error:
        load_tofu(folder)
    one_line(error)


FORGOTTEN = mini_tofu().forget[0]


def test_missing_file(folder: Path) -> None:
    (folder / "holdout10.jsonl").unlink()
    with pytest.raises(InputError, match=r"no file holdout10\.jsonl"):
        load_tofu(folder)


def test_wrong_layout(folder: Path) -> None:
    for text, message in (("{}", "rows_per_author"), ('{"rows_per_author": 0}', "whole number")):
        (folder / "layout.json").write_text(text)
        with pytest.raises(InputError, match=message):
            load_tofu(folder)


def test_rows_cut_in_half(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n{"question": "c", "ans')
    with pytest.raises(
        InputError, match=r"rows\.jsonl:2: expected one JSON object a line"
    ) as error:
        read_rows(path)
    one_line(error)


def test_rows_of_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        read_rows(tmp_path)
    (tmp_path / "bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_rows(tmp_path / "bin")


def test_rows_from_other_systems(tmp_path: Path) -> None:
    """A byte-order mark, Windows line ends, blank lines, characters that split lines elsewhere."""
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "a\u2028b", "completion": "é"}
    text = json.dumps(row, ensure_ascii=False) + "\r\n\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_rows(path, ("prompt", "completion")) == [row]


class FakeHub(types.ModuleType):
    """Stands for the package datasets, over a local folder."""

    folder: Path

    def load_dataset(self, source: str, name: str, split: str) -> list[dict[str, Any]]:
        assert (source, split) == ("owner/TOFU", "train")
        if not (path := self.folder / f"{name}.jsonl").is_file():
            raise ValueError(f"BuilderConfig {name!r} not found.\nAvailable: …")
        return read_rows(path)


def test_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub("datasets")
    hub.folder = folder
    monkeypatch.setitem(sys.modules, "datasets", hub)
    (folder / "layout.json").unlink()
    data = load_tofu("owner/TOFU")
    assert isinstance(data, TofuData)
    assert data.full == mini_tofu().full
    (folder / "retain90.jsonl").unlink()
    with pytest.raises(InputError, match="neither a folder nor a Hub dataset with 'retain90'") as e:
        load_tofu("owner/TOFU")
    one_line(e)


def test_the_hub_without_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="needs the package datasets"):
        load_tofu("owner/TOFU")
