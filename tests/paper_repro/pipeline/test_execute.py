"""A run makes what is missing, keeps what is not, and survives kills and failures."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

import paper_repro.pipeline.execute as execution
from paper_repro.pipeline.execute import execute
from paper_repro.pipeline.graph import Cell, Graph
from paper_repro.pipeline.screen import Progressing, last_line
from t3theory.exceptions import InputError
from t3theory.records import read_records


class Silent:
    def started(self, name, log): ...

    def ended(self, name, how, seconds=None): ...


def chain(text: str = "a", seconds: float = 0.0, extra: tuple[Cell, ...] = ()) -> Graph:
    """a, b → both; both waits for two."""

    def cell(name, text, inputs=()):
        product = f"{name}.jsonl"
        paths = {"out": product} | {f"input_{i}": f"{i}.jsonl" for i in inputs}
        return Cell(
            name, "pipeline_work:write", {"text": text}, (product,), paths, {"seconds": seconds},
            needs=inputs,
        )  # fmt: skip

    return Graph([cell("a", text), cell("b", "b"), cell("both", "c", ("a", "b")), *extra])


def run(graph: Graph, out: Path):
    return execute(graph, out, 2, Silent())


def test_a_second_run_has_nothing_to_do_and_a_changed_setting_runs_what_follows_it(tmp_path):
    assert set(run(chain(), tmp_path).done) == {"a", "b", "both"}
    assert run(chain(), tmp_path).done == []
    changed = run(chain(text="other"), tmp_path)
    assert set(changed.done) == {"a", "both"}
    assert changed.current == ["b"]


@pytest.mark.parametrize("harm", ["cut", "remove", "stamp"])
def test_a_harmed_product_is_made_again(tmp_path, harm):
    run(chain(), tmp_path)
    product = tmp_path / "a.jsonl"
    if harm == "cut":
        product.write_bytes(product.read_bytes()[:20])
    elif harm == "remove":
        product.unlink()
    else:
        (tmp_path / ".cells" / "a.json").write_text('{"key": "')
    # A record says when it was made: what reads it follows, unless it was made in the same second.
    assert run(chain(), tmp_path).done in (["a"], ["a", "both"])
    assert len(read_records(product)) == 1


def test_failures_are_one_line_each_and_leave_the_rest_alone(tmp_path):
    extra = (
        Cell("wrong", "pipeline_work:fail", {}, ("w",)),
        Cell("bug", "pipeline_work:break_down", {}, ("x",)),
        Cell("after", "pipeline_work:write", {"text": ""}, ("y",), {"out": "y"}, needs=("bug",)),
        Cell("idle", "builtins:list", {}, ("never",)),
    )
    outcome = run(chain(extra=extra), tmp_path)
    assert set(outcome.done) == {"a", "b", "both"}
    assert outcome.failed["wrong"] == "gamma must lie in (0, 1), got 2.0"
    assert outcome.failed["bug"].startswith("ZeroDivisionError: one two (see ")
    assert "idle left no never" in outcome.failed["idle"]
    assert outcome.blocked == {"after": "bug"}
    assert "Traceback" in (tmp_path / ".cells" / "bug.log").read_text()


def test_a_worker_that_dies_does_not_take_the_run_with_it(tmp_path):
    extra = (Cell("dies", "pipeline_work:die", {}, ("w",)),)
    outcome = run(chain(extra=extra), tmp_path)
    assert "died" in outcome.failed["dies"]
    assert run(chain(), tmp_path).missing == set()


def test_a_worker_that_dies_while_another_cell_is_booked(tmp_path, monkeypatch):
    """Booking hashes what was made, of which a checkpoint has gigabytes: the pool breaks meanwhile."""
    real = execution.stamp

    def stamp(*args):
        made = real(*args)
        if args[1].name == "a":
            until = time.monotonic() + 60
            while not any(p.exitcode for p in workers) and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.5)  # until the pool knows
        return made

    workers, prepared = [], execution.multiprocessing.active_children

    class Watching(Silent):
        def started(self, name, log):
            workers[:] = prepared()

    monkeypatch.setattr(execution, "stamp", stamp)
    extra = (Cell("dies", "pipeline_work:die", {"seconds": 1.0}, ("w",)),)
    cells = chain(extra=extra).cells
    graph = Graph([cells["a"], cells["dies"], cells["b"]])
    outcome = execute(graph, tmp_path, 2, Watching())
    assert outcome.failed.keys() == {"dies"}
    assert set(outcome.done) == {"a", "b"}


_PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_execute import chain, run
if __name__ == "__main__":
    run(chain(seconds=0.7), Path({out!r}))
"""


def test_a_kill_loses_at_most_the_cells_in_work(tmp_path):
    out, program = tmp_path / "run", tmp_path / "program.py"
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1]), str(here.parents[2])]
    program.write_text(_PROGRAM.format(paths=paths, out=str(out)))
    process = subprocess.Popen([sys.executable, str(program)])
    deadline = time.monotonic() + 60
    while not (out / ".cells" / "a.json").exists():
        assert time.monotonic() < deadline, "the first cell never finished"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = run(chain(seconds=0.7), out)
    assert "a" in resumed.current
    assert resumed.missing == set()
    undisturbed = tmp_path / "undisturbed"
    run(chain(), undisturbed)
    for name in ("a", "b", "both"):
        found, expected = (
            [{k: v for k, v in r.items() if k != "provenance"} for r in read_records(f)]
            for f in (out / f"{name}.jsonl", undisturbed / f"{name}.jsonl")
        )
        assert found == expected


def test_two_runs_do_not_share_a_folder(tmp_path):
    import fcntl

    (tmp_path / ".cells").mkdir()
    with (tmp_path / ".cells" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run"):
            run(chain(), tmp_path)


def test_a_moved_run_is_still_up_to_date_but_for_its_times(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    run(chain(), before)
    before.rename(after)
    stamp = json.loads((after / ".cells" / "a.json").read_text())
    product = after / "a.jsonl"
    product.write_bytes(product.read_bytes())
    assert product.stat().st_mtime_ns != stamp["products"]["a.jsonl"]["."]["time"]
    assert run(chain(seconds=0.1), after).done == []


def test_the_screen_shows_the_last_line_of_a_log(tmp_path):
    log = tmp_path / "a.log"
    assert last_line(log) == ""
    log.write_bytes(b"x" * 1000 + b"\nepoch 2 of 9\x1b[0m\n\n")
    assert last_line(log) == "epoch 2 of 9[0m"
    log.write_bytes(b"\xff\xfe")
    assert last_line(log) == "\ufffd\ufffd"
    log.write_text("epoch [red]3 of 9\n")
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Progressing(console, 2) as screen:
        screen.started("lm.0.full", log)
        screen.ended("lm.0.retain", "failed: [/no/path] gone")
    shown = console.file.getvalue()
    assert "epoch [red]3 of 9" in shown
    assert "failed: [/no/path] gone" in shown
