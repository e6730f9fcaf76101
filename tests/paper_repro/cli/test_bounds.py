"""`t3 bounds` end to end: the README's example, and one line for each mistake in a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from paper_repro.cli import main
from t3theory.ledger import LEDGER

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "spike.npz"


def rows(text: str) -> list[tuple[str, str, float]]:
    """(statement, sign, value) of the lines of a table."""
    found = re.findall(r"^│\s*(.+?)\s*│ ([=≤≥]) │\s*(\S+) │", text, re.MULTILINE)
    return [(name, sign, float(value)) for name, sign, value in found]


def test_the_readme_shows_what_the_command_prints(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^t3 (bounds examples/\S+ --temperature \d)$", readme, re.MULTILINE)
    shown = rows(readme)
    words = command[1].split()
    assert main([words[0], str(ROOT / words[1]), *words[2:]]) == 0
    printed = rows(capsys.readouterr().out)
    assert len(shown) >= 9
    for name, sign, value in shown:
        (found,) = (v for n, s, v in printed[-len(shown) :] if (n, s) == (name, sign))
        assert found == pytest.approx(value, rel=1e-3), name  # what a certificate promises


@pytest.mark.parametrize("temperature", ["1", "2"])
def test_every_bound_shown_is_stated_in_the_ledgers_words(capsys, temperature):
    assert main(["bounds", str(EXAMPLE), "--temperature", temperature]) == 0
    out = capsys.readouterr().out
    words = " ".join(out.split())
    letters = {name.split()[0] for name, _, _ in rows(out)} & set(LEDGER)
    assert letters == set("AFBCEGHIQ" if temperature == "1" else "FGHIQ")
    for letter in letters:
        statement = LEDGER[letter]
        assert f"{statement.proof}: {' '.join(statement.text.split())}" in words


def test_the_order_of_the_numbers(capsys):
    """Lower bounds ≤ the true error ≤ the worst case of its risk ≤ every guarantee."""
    assert main(["bounds", str(EXAMPLE), "--temperature", "2"]) == 0
    for table in capsys.readouterr().out.split("forget error")[:2]:
        found = rows(table)
        true = found[0][2]
        assert found[0][:2] == ("true error", "=")
        for name, sign, value in found[1:]:
            # six digits are printed
            ok = true <= value * (1 + 1e-5) if sign == "≤" else value <= true * 2
            assert ok, name


MISTAKES = [
    ({"classifier": [0.5, 1.5, 0.5]}, r"classifier[1] must lie in [0, 1], got 1.5"),
    ({"classifier": [0.5, np.nan, 0.5]}, r"classifier[1] must lie in [0, 1], got nan"),
    ({"classifier": [0.0, 0.0, 0.0]}, r"classifier must be positive somewhere that P > 0"),
    ({"classifier": [0.5]}, r"classifier: expected retain's shape (3,), got (1,)"),
    ({"gamma": 1.5}, r"gamma must lie in (0, 1), got 1.5"),
    ({"gamma": [0.1, 0.2]}, r"gamma: expected one number, got shape (2,)"),
    ({"retain": [0.5, 0.6, 0.0]}, r"retain must sum to 1"),
    ({"forget": [0.5, 0.5]}, r"forget must have retain's shape (3,), got (2,)"),
    ({"reference": [1.0, 0.0, 1.0]}, r"reference[1] must be positive and finite, got 0.0"),
]


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path, capsys, change, said):
    file = tmp_path / "mine.npz"
    with np.load(EXAMPLE) as example:
        np.savez(file, **(dict(example) | change))
    assert main(["bounds", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"t3: {file}: {said}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("option", [["--temperature", "0"], ["--guidance-scale", "-1"]])
def test_a_wrong_option_is_named(capsys, option):
    assert main(["bounds", str(EXAMPLE), *option]) == 2
    err = capsys.readouterr().err
    assert "unrecognized" not in err
    assert option[0].strip("-").replace("-", "_") in err


def test_with_a_scale_each_number_says_whose_risk_it_goes_by(capsys):
    assert main(["bounds", str(EXAMPLE), "--guidance-scale", "2"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert re.search(r"δ\(f\) = \S+ nats \(worst case\), δ\(f\^s\) = \S+ nats \(bounds\)", out)
    assert "I worst case of δ(f)" in out
    assert "bounds by δ(f^s)" in out
