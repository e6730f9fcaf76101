"""Links lead somewhere, commands and options exist, code runs, tables are the records'."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import fmean

import pytest

from figures.statistics import mean
from llm.experiment import BASELINES
from paper_repro.claims import judge_all
from paper_repro.cli import COMMANDS
from paper_repro.results import read_results

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = ("t3theory", "sims", "llm", "figures", "paper_repro", "tests", "docs", "benchmarks")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLES = runpy.run_path(str(ROOT / "docs" / "tables.py"))

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(path):
    """A page's text, or a notebook's."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return text


def anchors(path):
    """The headings of a page as the anchors that GitHub gives them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def links(path):
    text = re.sub(r"^```.*?^```$", "", prose(path), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("path", PAGES + NOTEBOOKS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in links(path):
        if re.match(r"https?://", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_every_page_can_be_reached_from_the_readme():
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in found or page.suffix not in (".md", ".ipynb") or not page.exists():
            continue
        found.add(page)
        targets = [link.partition("#")[0] for link in links(page) if "://" not in link]
        waiting += [(page.parent / target).resolve() for target in targets if target]
    assert {p for p in PAGES if p.name != "CHANGELOG.md"} | set(NOTEBOOKS) <= found


def test_the_readme_is_read_in_ten_minutes():
    text = re.sub(
        r"^\|[^\n]*$|^```.*?^```$", "", prose(ROOT / "README.md"), flags=re.MULTILINE | re.DOTALL
    )
    # Technical prose is read at 150 words a minute or so; tables and code are looked at.
    assert len(text.split()) < 10 * 150


@every_page
def test_files_that_are_named_exist(page):
    named = re.findall(rf"`((?:{'|'.join(OURS)})/[\w./-]*)`", prose(page))
    created = re.findall(r"file=(\S+)", prose(page))
    for name in named:
        assert (ROOT / name).exists() or name in created, name


def commands(text):
    """(command, options) of every `t3 …` in the text; lines may go on after a backslash."""
    joined = text.replace("\\\n", " ")
    for line in re.findall(r"(?:^|`|\$ )t3 ([a-z]+[^`\n#|]*)", joined, re.MULTILINE):
        name, *rest = line.split()
        yield name, [word.lstrip("[").partition("=")[0] for word in rest if "--" in word[:3]]


def checked(text):
    count = 0
    for name, options in commands(text):
        assert name in COMMANDS, name
        command = COMMANDS[name]
        module = importlib.import_module(f"paper_repro.cli.{command.module}")
        known = inspect.signature(getattr(module, command.function)).parameters
        for option in options:
            key = option.rstrip("]").removeprefix("--").replace("-", "_")
            assert key in known or key == "help", f"t3 {name} {option}"
            count += 1
    return count


def test_commands_and_options_exist():
    assert sum(checked(prose(page)) for page in PAGES) > 15
    for verdict in judge_all([]):
        assert checked(f"`{verdict.command}`")


def test_numbers_in_the_text_are_the_records():
    """Of the README and docs/results.md, those that the verdicts rest on."""
    records = read_results(ROOT / "paper_repro" / "results" / "small-tofu.jsonl")
    claims = {v.name: v.evidence for v in judge_all(records)}
    readme, results = (
        " ".join((ROOT / page).read_text(encoding="utf-8").split())
        for page in ("README.md", "docs/results.md")
    )
    found = re.search(r": (\S+) \[(\S+), (\S+)\]", claims["t3-beats-guidance"])
    gain, low, high = map(float, found.groups())
    assert f"T3 above guidance by {gain:.1f} [{low:.2g}, {high:.2g}]" in readme

    def of(method, value, kind="llm.evaluation", **config):
        return [r["values"][value] for r in records if r["kind"] == kind
                and r["config"]["method"] == method and config.items() <= r["config"].items()]  # fmt: skip

    kept = fmean(of("t3-soft", "model_utility")) / fmean(of("full", "model_utility"))
    assert f"at {kept:.0%} of the full model's utility".replace("%", " %") in readme
    best = max(x for m in BASELINES for x in of(m, "forget_quality_log10_p"))
    assert best < -6, "no trained baseline is above 10⁻⁶ on any seed"
    blind = {m: fmean(of(m, "forget_quality_log10_p", "llm.blind"))
             for m in ("t3-gated", "t3-soft", "t3", "guidance", *BASELINES)}  # fmt: skip
    assert f"{blind['t3-gated']:.1f} {blind['t3-soft']:.1f}" == "-0.5 -0.5"
    third, uld, guidance = (f"−{-blind[m]:.1f}" for m in ("t3", "uld", "guidance"))
    assert f"uniform T3 {third}, ULD {uld}, guidance {guidance}" in readme
    assert max(BASELINES, key=blind.__getitem__) == "uld"
    shown = {m: fmean(of(m, "forget_probability", "llm.robustness", attack="relearn"))
             for m in BASELINES if m != "uld"}  # fmt: skip
    least, most = min(shown.values()), max(shown.values())
    assert (shown["npo"], shown["undial"]) == (least, most)
    assert f"between {least:.2f} (NPO) and {most:.2f} (UNDIAL)" in results
    t3, full, retain = (fmean(of(m, "fluency_loss", "llm.robustness", attack="fluency"))
                        for m in ("t3", "full", "retain"))  # fmt: skip
    assert (
        f"cost the retain model {t3:.1f} nats a token: less than the full model's ({full:.1f})"
        in results
    )
    assert f"far more than its own ({retain:.1f})" in results


def test_the_four_questions_are_answered_by_the_records():
    records = read_results(ROOT / "paper_repro" / "results" / "small-tofu.jsonl")
    claims = {v.name: v.evidence for v in judge_all(records)}
    text = prose(ROOT / "docs" / "results.md")
    told = " ".join(text[text.index("## Four") : text.index("## What was chosen")].split())
    values = {
        (r["config"]["method"], r["seed"]): r["values"]
        for r in records
        if r["kind"] == "llm.evaluation"
    }
    seeds = sorted(seed for method, seed in values if method == "full")

    def above(method, other, value, digits):
        return difference(
            [values[method, s][value] - values[other, s][value] for s in seeds], digits
        )

    quality, utility = "forget_quality_log10_p", "model_utility"
    best = max(BASELINES, key=lambda m: fmean(values[m, s][quality] for s in seeds))
    assert best == "uld"
    assert f"by {above('t3', best, quality, 1)}, and" in told
    assert f"softly gated T3 by {above('t3-soft', best, quality, 1)}. Not" in told
    assert f"ULD's is {above(best, 't3', utility, 3)} above uniform T3's" in told
    assert f"and {above(best, 't3-soft', utility, 3)} above softly" in told
    assert f"above guidance by {above('t3', 'guidance', quality, 1)}, for" in told
    assert f"for {above('guidance', 't3', utility, 3)} of utility" in told
    assert f"utility, {above('t3-gated', 't3', utility, 3)} come back" in told
    assert f"hard gate and {above('t3-soft', 't3', utility, 3)} with the soft" in told
    assert f"better too, by {above('t3-soft', 't3', quality, 1)};" in told
    assert f"undecided, {above('t3-gated', 't3', quality, 1)}." in told
    assert f"({re.search('of ([0-9]+) violated', claims['risk-controls-errors'])[1]} comp" in told
    assert claims["risk-controls-errors"].startswith("0 of ")
    assert f"error is {claims['theory-predicts'].rpartition('error ')[2]}" in told


def difference(numbers, digits):
    """A mean and its interval as the pages write them."""
    e = mean(numbers)
    return f"{e.value:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]".replace("-", "−")


def test_what_the_theory_needs_is_told_whole():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [re.match(r"[\w-]+", each)[0] for each in project["dependencies"]]
    for page in ("README.md", "docs/faq.md"):
        [told] = re.findall(r"`t3theory`\sneeds([^.]*)\.", prose(ROOT / page))
        assert [name for name in needed if name not in told.lower()] == [], page


def test_every_command_is_in_the_docs():
    named = {name for page in PAGES for name, _ in commands(prose(page))}
    assert named >= set(COMMANDS)


@every_page
def test_python_is_python_and_imports_what_exists(page):
    for block in PYTHON.findall(prose(page)):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_a_figure_is_made_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = PYTHON.findall(prose(ROOT / "docs" / "figures.md"))
    made = {}
    exec(compile(block, "docs/figures.md", "exec"), made)  # noqa: S102 our own text
    assert (tmp_path / "necessity.svg").exists()
    assert "no intervals" in made["caption"]


@pytest.mark.parametrize("page", TABLES["pages"](), ids=lambda page: page.name)
def test_tables_are_the_records(page):
    text = prose(page)
    assert TABLES["rewritten"](text) == text, "python docs/tables.py writes them"


def test_tables_change_with_their_records(monkeypatch):
    monkeypatch.setitem(TABLES["rewritten"].__globals__, "table", lambda name: f"{name}!\n")
    changed = TABLES["rewritten"]("a\n<!-- costs x -->\n| 1 |\n<!-- /costs x -->\nb")
    assert changed == "a\n<!-- costs x -->\ncosts x!\n<!-- /costs x -->\nb"


def test_the_reference_is_built_from_docstrings(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "build.py"), str(tmp_path), "t3theory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not done.stderr, done.stderr[-2000:]
    page = (tmp_path / "api" / "t3theory" / "bounds" / "evaluate.html").read_text(encoding="utf-8")
    assert 'id="evaluate"' in page
    assert 'id="guarantee"' in page
    for file in (tmp_path / "api").rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        for target in re.findall(r'href="([^"#:]+\.html)(?:#[^"]*)?"', text):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_site_has_every_page_and_no_broken_link(tmp_path):
    build = runpy.run_path(str(ROOT / "docs" / "build.py"))
    build["pages"](tmp_path)
    (tmp_path / "notebooks").mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        (tmp_path / "notebooks" / f"{notebook.stem}.html").write_text("<html></html>")
    built = [p for p in tmp_path.rglob("*.html") if p.parent.name != "notebooks"]
    assert len(built) == len(build["sources"]()) + 1
    for page in built:
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r'(?:href|src)="([^":#]*)(?:#([^"]*))?"', text):
            file = page.parent / target if target else page
            assert file.is_file(), f"{page.name}: {target}"
            if anchor:
                assert f'id="{anchor}"' in file.read_text(encoding="utf-8"), (
                    f"{page.name}: {anchor}"
                )
