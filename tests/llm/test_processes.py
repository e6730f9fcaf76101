"""Work shared by the processes of `accelerate launch` gives what one process gives, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bases import tiny_base
from tiny_tokenizers import byte_tokenizer

from llm import processes
from llm.tofu.mini import write_mini_tofu

ROOT = Path(__file__).parents[2]


@given(st.lists(st.integers(), max_size=9), st.integers(1, 4))
def test_shares_make_up_the_work(work, many):
    """Each piece is done once, and merging puts all in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", str(many))
        parts = []
        for rank in range(many):
            patch.setenv("RANK", str(rank))
            parts.append(list(processes.share(work)))
            assert processes.is_main() == (rank == 0)

        def gather(out, _own):
            out[:] = parts

        patch.setattr("torch.distributed.all_gather_object", gather)
        patch.setattr("llm.processes._state", lambda: None)
        assert processes.merge(parts[0]) == work
    assert processes.count() == 1


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launched")
    tiny_base(
        "llama",
        vocab_size=300,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        max_position_embeddings=512,
    ).save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    for name, rows in (
        ("forget", [{"question": f"Who is {i}?", "answer": f"Person {i}."} for i in range(5)]),
        ("retain", [{"prompt": f"What is {i}?", "completion": "A number."} for i in range(9)]),
    ):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_mini_tofu(folder / "data", authors=20)
    for name in ("real_authors_perturbed", "world_facts_perturbed"):
        path = folder / "data" / f"{name}.jsonl"
        path.write_text("\n".join(path.read_text().split("\n")[:2]) + "\n")
    return folder


def run(place, out, *launcher):
    script = str(ROOT / "tests" / "llm" / "launched_work.py")
    words = [*launcher, script, str(place), str(out), str(out / "adapter")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def written(folder):
    """All files by name; of an evaluation what it says, not the hash of the code that said it."""
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    evaluation = json.loads(files["TOFU_EVAL.json"])
    del evaluation["provenance"]["key"]
    return files | {"TOFU_EVAL.json": evaluation}


def test_two_processes_give_what_one_gives(place, tmp_path):
    said = {}
    launch = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")
    machine = ("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
    for name, launcher in (("one", ()), ("two", (*launch, *machine))):
        said[name] = run(place, tmp_path / name, *launcher)
    one, two = (written(tmp_path / name) for name in ("one", "two"))
    assert {"TOFU_EVAL.json", "adapter/head.safetensors"} < one.keys()
    assert sum(name.startswith("cache/") and name.endswith(".safetensors") for name in two) == 3
    assert one == two
    # One process speaks.
    assert said["one"].replace("/one", "/two") == said["two"]
