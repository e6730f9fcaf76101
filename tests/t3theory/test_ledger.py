"""The ledger against the code, the tests and docs/theory.md."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from t3theory import Mixture
from t3theory.bounds import evaluate
from t3theory.ledger import LEDGER

ROOT = Path(__file__).parents[2]
SECTIONS = dict(
    re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)",
        (ROOT / "docs/theory.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
TESTED = [(s.letter, name) for s in LEDGER.values() for name in s.tests]
COMPUTED = [(s.letter, name) for s in LEDGER.values() for name in s.functions]


def test_letters_are_in_order_and_none_is_missing():
    letters = "".join(LEDGER)
    assert letters == "".join(sorted(letters))
    assert letters.startswith("ABCDEFGHIJKLMNOPQ")


@pytest.mark.parametrize("letter", LEDGER)
def test_docs_state_and_prove_it(letter):
    statement = LEDGER[letter]
    section = SECTIONS[statement.proof]
    assert section.startswith(f"> {statement.text}\n")
    # a proof, or for what is computed, chosen or open, the argument under its own name
    assert re.search(r"\*(Proof|Why|The worst case|Add-one|A negative result)", section)


def test_docs_state_nothing_else():
    assert set(SECTIONS) - {s.proof for s in LEDGER.values()} == {"How sharp"}


@pytest.mark.parametrize(("letter", "name"), COMPUTED)
def test_functions_exist_and_are_documented(letter, name):
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        break
    for part in parts[cut:]:
        found = getattr(found, part)
    assert found.__doc__, letter


@pytest.mark.parametrize(("letter", "name"), TESTED)
def test_tests_exist(letter, name):
    file, test = name.split("::")
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(), letter


def test_every_bound_has_its_letter():
    bounds = ROOT / "t3theory" / "bounds"
    used = {
        letter
        for file in bounds.glob("*.py")
        for letter in re.findall(r'Bound\(\s*"([A-Z])"', file.read_text())
    }
    assert set("ABCEFGHQ") <= used <= set(LEDGER)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_every_form_is_named_in_its_statement(temperature):
    """As `t3 bounds` prints letter, form and statement."""
    m = Mixture([0.7, 0.3], [0.2, 0.8], 0.3)
    for bound in evaluate(m, [0.9, 0.4], temperature):
        assert bound.variant.lower() in LEDGER[bound.letter].text.lower(), bound
