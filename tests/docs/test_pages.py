"""Links lead somewhere, commands and options exist, code runs, tables are the records'."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import math
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


def told(page, start="", end=None):
    """A part of a page as one line, for texts that are broken anywhere."""
    text = (ROOT / page).read_text(encoding="utf-8")
    first = text.index(start)
    return " ".join(text[first : None if end is None else text.index(end, first)].split())


class Run:
    """A committed run of the language models, asked for means over its seeds."""

    def __init__(self, name):
        self.records = read_results(ROOT / "paper_repro" / "results" / f"{name}.jsonl")
        self.claims = {v.name: v.evidence for v in judge_all(self.records)}
        self.baselines = [m for m in BASELINES if self.of(m, QUALITY)]

    def of(self, method, value, kind="llm.evaluation", **config):
        return [r["values"][value] for r in self.records if r["kind"] == kind
                and r["config"]["method"] == method and config.items() <= r["config"].items()]  # fmt: skip

    def mean(self, *what, **config):
        return fmean(self.of(*what, **config))

    def above(self, method, other, value, digits):
        values = {
            (r["config"]["method"], r["seed"]): r["values"]
            for r in self.records
            if r["kind"] == "llm.evaluation"
        }
        seeds = sorted(seed for name, seed in values if name == "full")
        return difference(
            [values[method, s][value] - values[other, s][value] for s in seeds], digits
        )

    def best(self):
        return max(self.baselines, key=lambda m: self.mean(m, QUALITY))


QUALITY, UTILITY = "forget_quality_log10_p", "model_utility"
TILTED = ("t3", "t3-prior", "t3-gated", "t3-soft")


def test_numbers_of_all_of_tofu_are_the_records():
    run, readme = Run("full-tofu"), told("README.md", "## What it shows", "## The theory")
    passing = {m: sum(x > math.log10(0.05) for x in run.of(m, QUALITY))
               for m in ("guidance", "tempering", *TILTED, *run.baselines)}  # fmt: skip
    assert {passing[m] for m in TILTED} == {3, 4}, "three or four seeds of five"
    assert not any(n for m, n in passing.items() if m not in TILTED)
    assert all(run.mean(m, QUALITY) > math.log10(0.05) for m in TILTED)
    assert run.best() == "uld"
    assert f"guidance by {run.above('t3', 'guidance', QUALITY, 1)} orders" in readme
    assert f"baseline, by {run.above('t3', 'uld', QUALITY, 1)}; gated" in readme
    gated = [run.above("t3-gated", other, QUALITY, 1) for other in ("guidance", "uld")]
    assert f"seed, by {gated[0]} and {gated[1]}." in readme
    assert all(mean(run.of(m, QUALITY)).low < math.log10(0.05) for m in TILTED)
    kept = {m: f"{run.mean(m, UTILITY) / run.mean('full', UTILITY):.0%}" for m in TILTED}
    assert (kept["t3"], kept["t3-gated"], kept["t3-soft"]) == ("96%", "99%", "99%")
    blind = {m: f"−{-run.mean(m, QUALITY, 'llm.blind'):.1f}" for m in (*TILTED, "guidance")}
    assert f"same setting ({blind['t3']})" in readme
    assert f"is good ({blind['t3-gated']} and {blind['t3-soft']})" in readme
    assert f"large a scale ({blind['guidance']})" in readme
    assert set(BASELINES) - set(run.baselines) == {"gradascent", "graddiff", "undial"}


def test_numbers_of_the_subset_are_the_records():
    run, results = Run("small-tofu"), told("docs/results.md")
    assert f"T3 above guidance by {run.above('t3', 'guidance', QUALITY, 1)}" in results
    kept = run.mean("t3-soft", UTILITY) / run.mean("full", UTILITY)
    assert f"at {kept:.0%} of the full model's utility".replace("%", " %") in results
    best = max(x for m in BASELINES for x in run.of(m, QUALITY))
    assert best < -6, "no trained baseline is above 10⁻⁶ on any seed"
    assert "no trained baseline is above 10⁻⁶ on any seed" in told("README.md")
    blind = {m: run.mean(m, QUALITY, "llm.blind")
             for m in ("t3-gated", "t3-soft", "t3", "guidance", *BASELINES)}  # fmt: skip
    assert f"{blind['t3-gated']:.1f} {blind['t3-soft']:.1f}" == "-0.5 -0.5"
    third, uld, guidance = (f"−{-blind[m]:.1f}" for m in ("t3", "uld", "guidance"))
    assert f"uniform T3 {third}, ULD {uld}, guidance {guidance}" in results
    assert max(BASELINES, key=blind.__getitem__) == "uld"


def test_numbers_of_other_authors_are_the_records():
    run = Run("small-forget05-tofu")
    text = told("docs/results.md", "## Other authors", "## A hundredth")
    passing = {m: sum(x > math.log10(0.05) for x in run.of(m, QUALITY))
               for m in ("guidance", "tempering", *TILTED, *run.baselines)}  # fmt: skip
    assert {m: n for m, n in passing.items() if n} == {"guidance": 1, "t3-gated": 4, "t3-soft": 3}
    assert max(x for m in run.baselines for x in run.of(m, QUALITY)) < -6
    assert run.baselines == list(BASELINES)
    for method, other in (("t3-gated", "guidance"), ("t3-gated", "t3"), ("t3", "guidance")):
        assert run.above(method, other, QUALITY, 1) in text
    kept = run.mean("t3-gated", UTILITY) / run.mean("full", UTILITY)
    assert f"{kept:.0%} of the full model's utility".replace("%", " %") in text
    blind = {
        m: f"{run.mean(m, QUALITY, 'llm.blind'):.1f}".replace("-", "−")
        for m in (*TILTED, "guidance")
    }
    assert f"softly gated T3 is at {blind['t3-soft']}; uniform T3 falls to {blind['t3']}" in text
    assert f"guidance to {blind['guidance']};" in text
    trained = {m: run.mean(m, QUALITY, "llm.blind") for m in run.baselines}
    assert sorted(trained, key=trained.__getitem__)[-2:] == ["npo", "uld"], "the best two"
    best = " and ".join(f"−{-trained[m]:.1f}" for m in ("uld", "npo"))
    assert f"ULD and NPO stay at {best}, and the other baselines are below" in text


def test_numbers_of_a_hundredth_are_the_records():
    run = Run("small-forget01-tofu")
    text, blind = told("docs/results.md", "## A hundredth", "## Settings chosen"), "llm.blind"
    passing, unseen = (
        {m: sum(x > math.log10(0.05) for x in run.of(m, QUALITY, kind))
         for m in ("guidance", *TILTED, *run.baselines)}
        for kind in ("llm.evaluation", blind)
    )  # fmt: skip
    assert [passing[m] for m in ("guidance", "t3", "t3-soft", "t3-gated")] == [5, 5, 5, 4]
    baselines = {m: n for m in run.baselines if (n := passing[m])}
    assert baselines == {"graddiff": 2, "npo": 1, "uld": 1}
    assert [unseen[m] for m in ("t3", "guidance", "t3-soft", "t3-gated")] == [5, 0, 2, 4]
    assert all(run.mean(m, QUALITY, kind) < math.log10(0.05)
               for m in run.baselines for kind in ("llm.evaluation", blind))  # fmt: skip
    assert f"({run.above('t3', 'guidance', QUALITY, 1)} orders" in text
    kept = {
        m: run.mean(m, UTILITY) / run.mean("full", UTILITY) for m in ("graddiff", "t3-gated", "t3")
    }
    graddiff = f"(−{-run.mean('graddiff', QUALITY):.1f}, with {100 * kept['graddiff']:.0f} % of the"
    assert f"GradDiff {graddiff} full model's utility)" in text
    gated, uniform = (f"{100 * kept[m]:.0f}" for m in ("t3-gated", "t3"))
    assert f"Gated T3 keeps {gated} % of the utility, uniform T3 {uniform}." in text
    means = {m: f"−{-run.mean(m, QUALITY, blind):.1f}" for m in ("guidance", "t3-soft", "t3-gated")}
    assert f"guidance ({means['guidance']}) on none" in text
    chosen = told("docs/results.md", "## Settings chosen")
    assert f"({means['t3-soft']} in the mean), gated T3 on four ({means['t3-gated']})" in chosen


@pytest.mark.parametrize(
    ("name", "relearnt", "fluent"),
    [
        (
            "full-tofu",
            "between {idkdpo:.2f} (IdkDPO) and {rmu:.2f} (RMU)",
            "cost the retain model {t3:.1f} nats a token, the full model's {full:.1f}, its own {retain:.1f}",
        ),
        (
            "small-tofu",
            "between {npo:.2f} (NPO) and {undial:.2f} (UNDIAL)",
            (
                "cost the retain model {t3:.1f} nats a token: less than the full model's ({full:.1f}), "
                "and far more than its own ({retain:.1f})"
            ),
        ),
        (
            "small-forget01-tofu",
            "between {npo:.2f} (NPO) and {rmu:.2f} (RMU)",
            "cost the retain model {t3:.1f} nats a token, the full model's {full:.1f}, its own {retain:.1f}",
        ),
        (
            "small-forget05-tofu",
            "between {npo:.2f} (NPO) and {undial:.2f} (UNDIAL)",
            "cost the retain model {t3:.1f} nats a token, the full model's {full:.1f}, its own {retain:.1f}",
        ),
    ],
)
def test_numbers_of_the_attacks_are_the_records(name, relearnt, fluent):
    run, results = Run(name), told("docs/results.md")
    shown = {m: run.mean(m, "forget_probability", "llm.robustness", attack="relearn")
             for m in run.baselines if m != "uld"}  # fmt: skip
    assert relearnt.format(**shown) in results
    assert relearnt.startswith(f"between {{{min(shown, key=shown.__getitem__)}")
    assert f"{{{max(shown, key=shown.__getitem__)}" in relearnt
    losses = {m: run.mean(m, "fluency_loss", "llm.robustness", attack="fluency")
              for m in ("t3", "full", "retain")}  # fmt: skip
    assert fluent.format(**losses) in results


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("full-tofu", "## Four questions", "On a subset, with all"),
        ("small-tofu", "On a subset, with all", "## What was chosen"),
    ],
)
def test_the_four_questions_are_answered_by_the_records(name, start, end):
    run, text = Run(name), told("docs/results.md", start, end)
    best = run.best()
    assert best == "uld"
    assert f"by {run.above('t3', best, QUALITY, 1)}, and" in text
    assert f"softly gated T3 by {run.above('t3-soft', best, QUALITY, 1)}. Not" in text
    assert f"ULD's is {run.above(best, 't3', UTILITY, 3)} above uniform T3's" in text
    assert f"and {run.above(best, 't3-soft', UTILITY, 3)} above softly" in text
    assert f"above guidance by {run.above('t3', 'guidance', QUALITY, 1)}, for" in text
    assert f"for {run.above('guidance', 't3', UTILITY, 3)} of utility" in text
    assert f"utility, {run.above('t3-gated', 't3', UTILITY, 3)} come back" in text
    assert f"hard gate and {run.above('t3-soft', 't3', UTILITY, 3)} with the soft" in text
    soft, hard = (run.above(m, "t3", QUALITY, 1) for m in ("t3-soft", "t3-gated"))
    if name == "full-tofu":
        assert f"neither is told apart from uniform T3, by {hard} and {soft}." in text
        bound = re.search(r"is (0.*) of its bound", run.claims["theory-predicts"])[1]
        assert f"Guidance's retain error is {bound} of its bound" in text
    else:
        assert f"better too, by {soft}; the hard one is undecided, {hard}." in text
    compared = re.search("of ([0-9]+) violated", run.claims["risk-controls-errors"])[1]
    assert f"({compared} comp" in text
    assert run.claims["risk-controls-errors"].startswith("0 of ")
    ratio = run.claims["theory-predicts"].rpartition("error ")[2]
    assert f"error {ratio}" in text or f"error is {ratio}" in text


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
