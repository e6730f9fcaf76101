"""Write the tables of README.md and docs/ anew from committed records.

    python docs/tables.py

A table stands between `<!-- name -->` and `<!-- /name -->`: `costs RESULTS` for the seconds of a
run, `choices RESULTS` for the settings that were chosen, `benchmarks` for their list, `bound_ratios`
for the largest ratios found of errors and bounds, the name of a file in `paper_repro/results/` for its methods,
with that of one of the report's other tables before it for this.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures.fig_tofu_methods import NAMES
from figures.statistics import group
from paper_repro.report.tables import TABLES, fill
from paper_repro.report.text import markdown, to_markdown
from paper_repro.results import read_results
from sims import studies as studies_of
from t3theory.records import atomic_path, config_hash, read_records

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "paper_repro" / "results"
BLOCK = re.compile(r"<!-- (?P<name>[\w -]+) -->\n.*?<!-- /(?P=name) -->", re.DOTALL)

Records = Sequence[Mapping[str, Any]]


def costs(records: Records) -> str:
    """Seconds by study, and by stage and method of the language models."""
    studies = group((r for r in records if r["kind"].startswith("sims.")), lambda r: r["kind"])
    stages = group((r for r in records if r["kind"] == "llm.stage"), _stage)
    rows = [["cell", "runs", "seconds each"]]
    rows += [[name, str(len(found)), f"{_seconds(found) / len(found):.1f}"]
             for name, found in stages.items()]  # fmt: skip
    for kind, found in studies.items():
        name = kind.partition(".")[2]
        cells = _cells(found, studies_of.get(name).within)
        rows.append([f"study {name}", "1", f"{_seconds(cells):.1f}"])
    return markdown(rows)


def _stage(record: Mapping[str, Any]) -> str:
    method = record["config"].get("method")
    return record["config"]["stage"] + (f", {method}" if method else "")


def _cells(records: Records, within: Sequence[str]) -> Records:
    """One record of each cell: those of a cell were measured together and state the same time."""
    found = {}
    for r in records:
        outer = {key: value for key, value in r["config"].items() if key not in within}
        found[config_hash(outer, r["seed"])] = r
    return list(found.values())


def _seconds(records: Records) -> float:
    return sum(r["provenance"]["seconds"] or 0 for r in records)


SYMBOLS = {
    "temperature": "T",
    "guidance_scale": "s",
    "stop": "stop",
    "learning_rate": "rate",
    "epochs": "epochs",
}


def choices(records: Records) -> str:
    """Each method's chosen setting, and what of it is the least or the most of its candidates."""
    tried = group((r for r in records if r["kind"] == "llm.tuning"), _method)
    made = group((r for r in records if r["kind"] == "llm.evaluation"), _method)
    rows = [["method", "chosen", "at an end of its candidates", "log₁₀ p then"]]
    for method in (m for m in NAMES if m in tried and m in made and m != "full"):
        config = made[method][0]["config"]
        grid = {
            name: sorted({r["config"]["setting"][name] for r in tried[method]})
            for name in SYMBOLS
            if name in config
        }
        free = {name: values for name, values in grid.items() if len(values) > 1}
        ends = [
            f"{SYMBOLS[name]} {'least' if config[name] == values[0] else 'most'}"
            for name, values in free.items()
            if config[name] in (values[0], values[-1])
        ]
        (chosen,) = (
            r for r in tried[method]
            if all(r["config"]["setting"][name] == config[name] for name in free)
        )  # fmt: skip
        said = ", ".join(f"{SYMBOLS[name]} {config[name]:g}" for name in free)
        quality = chosen["values"]["forget_quality_log10_p"]
        rows.append([NAMES[method], said, ", ".join(ends) or "–", f"{quality:.2f}"])
    return markdown(rows)


def _method(record: Mapping[str, Any]) -> str:
    return str(record["config"]["method"])


def benchmarks() -> str:
    """Each benchmark's command, and what it says of itself."""
    rows = [["benchmark", "measures"]]
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.If) for node in tree.body):  # the others are their helpers
            said = " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())
            rows.append([f"`python benchmarks/{path.name}`", said])
    return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], ["---", "---"], *rows[1:]))


def bound_ratios() -> str:
    """The largest error/bound that `benchmarks/bound_ratios.py` found, by form, at T = 1 and above."""
    records = read_records(ROOT / "benchmarks" / "results" / "bound_ratios.jsonl")
    rows = [["bound", "form", "T = 1", "T > 1"]]
    for record in records:
        found = {(r["form"], r["above_one"]): r["ratio"] for r in record["values"]["ratios"]}
        for form in sorted({form for form, _ in found}):
            both = (found.get((form, hot)) for hot in (False, True))
            cells = ("–" if ratio is None else f"{ratio:.6f}" for ratio in both)
            rows.append([record["config"]["letter"], form or "–", *cells])
    return markdown(rows)


OWN = {"costs": costs, "choices": choices}
"""Tables that the report does not have."""

ALONE = {"benchmarks": benchmarks, "bound_ratios": bound_ratios}
"""Tables of no run."""


def table(name: str) -> str:
    """The table of that name."""
    what, _, which = name.rpartition(" ")
    if which in ALONE:
        return ALONE[which]()
    records = read_results(RESULTS / f"{which}.jsonl")
    if what in OWN:
        return OWN[what](records)
    filled = fill(next(t for t in TABLES if t.name == (what or "methods")), records)
    return to_markdown(filled) if filled else "Not measured.\n"


def rewritten(text: str) -> str:
    """The text with its tables made anew."""
    return BLOCK.sub(lambda found: f"<!-- {found['name']} -->\n{table(found['name'])}"
                                   f"<!-- /{found['name']} -->", text)  # fmt: skip


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


if __name__ == "__main__":
    for page in pages():
        old = page.read_text(encoding="utf-8")
        if (new := rewritten(old)) != old:
            with atomic_path(page) as temporary:
                temporary.write_text(new, encoding="utf-8")
