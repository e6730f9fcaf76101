"""A run makes what is missing, keeps what is not, and survives kills and failures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paper_repro.pipeline.execute import execute
from paper_repro.pipeline.graph import Cell, Graph
from t3theory.exceptions import InputError
from t3theory.records import read_records


class Silent:
    def started(self, name): ...

    def ended(self, name, how, seconds=None): ...


def chain(out: Path, text: str = "a", seconds: float = 0.0, extra: tuple[Cell, ...] = ()) -> Graph:
    """a, b → both; both waits for two."""

    def path(name):
        return str(out / f"{name}.jsonl")

    def cell(name, text, inputs=()):
        arguments = {"out": path(name), "text": text, "seconds": seconds}
        arguments["inputs"] = [path(i) for i in inputs]
        return Cell(name, "pipeline_work:write", arguments, (f"{name}.jsonl",), needs=inputs)

    return Graph([cell("a", text), cell("b", "b"), cell("both", "c", ("a", "b")), *extra])


def run(graph: Graph, out: Path):
    return execute(graph, out, 2, Silent())


def test_a_second_run_has_nothing_to_do_and_a_changed_setting_runs_what_follows_it(tmp_path):
    assert set(run(chain(tmp_path), tmp_path).done) == {"a", "b", "both"}
    assert run(chain(tmp_path), tmp_path).done == []
    changed = run(chain(tmp_path, text="other"), tmp_path)
    assert set(changed.done) == {"a", "both"}
    assert changed.current == ["b"]


@pytest.mark.parametrize("harm", ["cut", "remove", "stamp"])
def test_a_harmed_product_is_made_again(tmp_path, harm):
    run(chain(tmp_path), tmp_path)
    product = tmp_path / "a.jsonl"
    if harm == "cut":
        product.write_bytes(product.read_bytes()[:20])
    elif harm == "remove":
        product.unlink()
    else:
        (tmp_path / ".cells" / "a.json").write_text('{"key": "')
    assert run(chain(tmp_path), tmp_path).done == ["a"]
    assert len(read_records(product)) == 1


def test_failures_are_one_line_each_and_leave_the_rest_alone(tmp_path):
    extra = (
        Cell("wrong", "pipeline_work:fail", {}, ("w",)),
        Cell("bug", "pipeline_work:break_down", {}, ("x",)),
        Cell("after", "pipeline_work:write", {"out": "y", "text": ""}, ("y",), needs=("bug",)),
        Cell("idle", "builtins:list", {}, ("never",)),
    )
    outcome = run(chain(tmp_path, extra=extra), tmp_path)
    assert set(outcome.done) == {"a", "b", "both"}
    assert outcome.failed["wrong"] == "gamma must lie in (0, 1), got 2.0"
    assert outcome.failed["bug"].startswith("ZeroDivisionError: one two (see ")
    assert "idle left no never" in outcome.failed["idle"]
    assert outcome.blocked == {"after": "bug"}
    assert "Traceback" in (tmp_path / ".cells" / "bug.log").read_text()


def test_a_worker_that_dies_does_not_take_the_run_with_it(tmp_path):
    extra = (Cell("dies", "pipeline_work:die", {}, ("w",)),)
    outcome = run(chain(tmp_path, extra=extra), tmp_path)
    assert "died" in outcome.failed["dies"]
    assert run(chain(tmp_path), tmp_path).missing == set()


_PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_execute import chain, run
if __name__ == "__main__":
    run(chain(Path({out!r}), seconds=0.7), Path({out!r}))
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
    resumed = run(chain(out, seconds=0.7), out)
    assert "a" in resumed.current
    assert resumed.missing == set()
    undisturbed = tmp_path / "undisturbed"
    run(chain(undisturbed), undisturbed)
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
            run(chain(tmp_path), tmp_path)


def test_a_moved_run_is_still_up_to_date_but_for_its_times(tmp_path):
    graph = chain(tmp_path)
    run(graph, tmp_path)
    stamp = json.loads((tmp_path / ".cells" / "a.json").read_text())
    product = tmp_path / "a.jsonl"
    product.write_bytes(product.read_bytes())
    assert product.stat().st_mtime_ns != stamp["products"]["a.jsonl"]["."]["time"]
    assert run(graph, tmp_path).done == []
