"""`t3 evaluate` on a saved tiny model and a saved adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llm.baselines.assistant import WithAssistant
from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from llm.tofu.mini import write_mini_tofu
from paper_repro.cli import main
from t3theory.exceptions import InputError

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SMALL: dict[str, Any] = {
    "vocab_size": len(ALPHABET) + 2,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "max_position_embeddings": 512,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama and a tokenizer of single bytes."""
    folder = tmp_path_factory.mktemp("base")
    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", *ALPHABET])}
    bytes_only = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SMALL)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mini-TOFU at its smallest, with few general-knowledge rows."""
    folder = tmp_path_factory.mktemp("data")
    write_mini_tofu(folder, authors=20)
    for name in ("real_authors_perturbed", "world_facts_perturbed"):
        path = folder / f"{name}.jsonl"
        path.write_text("\n".join(path.read_text().split("\n")[:2]) + "\n")
    return folder


def run(*words: str | Path) -> int:
    return main(["evaluate", "--max-new-tokens", "2", *map(str, words)])


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "TOFU_EVAL.json").read_text())


def test_model_then_adapter_against_it(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, unlearned = tmp_path / "plain", tmp_path / "unlearned"
    assert run("--model", base, "--data", data, "--out", plain) == 0
    assert "need --retain-logs" in capsys.readouterr().out
    assert "forget_quality" not in read(plain)

    model = LlamaForCausalLM.from_pretrained(base)
    torch.manual_seed(1)
    head = LowRankHead(16, 2, model.config.vocab_size)
    T3ForCausalLM(model, head, T3Config(temperature=2.0)).save_pretrained(tmp_path / "adapter")
    words = ("--adapter", tmp_path / "adapter", "--data", data, "--out", unlearned)
    how = ("--base", base, "--device", "cpu", "--dtype", "float32")
    assert run(*words, *how, "--retain-logs", plain / "TOFU_EVAL.json") == 0
    shown = capsys.readouterr().out
    found = read(unlearned)
    assert f"{found['forget_quality']['agg_value']:.4g}" in shown
    summary = json.loads((unlearned / "TOFU_SUMMARY.json").read_text())
    assert summary["model_utility"] == found["model_utility"]["agg_value"]


def test_the_same_evaluation_is_not_run_twice(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--model", base, "--data", data, "--out", tmp_path)
    assert run(*words) == 0
    first = (tmp_path / "TOFU_EVAL.json").read_bytes()

    class RanError(Exception):
        """The evaluation ran."""

    def refuse(*_: Any) -> None:
        raise RanError

    monkeypatch.setattr("llm.tofu.evaluate.evaluate", refuse)
    summary = (tmp_path / "TOFU_SUMMARY.json").read_bytes()
    (tmp_path / "TOFU_SUMMARY.json").unlink()
    assert run(*words) == 0
    assert (tmp_path / "TOFU_SUMMARY.json").read_bytes() == summary
    assert (tmp_path / "TOFU_EVAL.json").read_bytes() == first
    with pytest.raises(RanError):  # another setting is another evaluation, under the same name
        main(["evaluate", "--max-new-tokens", "3", *map(str, words)])
    assert (tmp_path / "TOFU_EVAL.json").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected --adapter FOLDER or --model"),
        (("--model", "./nowhere"), "model './nowhere': expected a folder or a Hub name"),
        (("--model", "m", "--batch-size", "0"), "batch_size must be at least 1, got 0"),
        (("--model", "m", "--max-new-tokens", "0"), "max_new_tokens must be at least 1, got 0"),
        (("--adapter", "nowhere"), "expected an adapter"),
        (("--model", "m", "--data", "nowhere"), "expected 'mini', a folder, or a Hub name"),
        (("--model", "m", "--split", "forget11"), "split 'forget11': expected one of"),
        (("--model", "m", "--retain-logs", "none.json"), "none.json: expected a TOFU_EVAL.json"),
        (("--model", "m", "--base", "b"), "--base: expected beside --adapter, without --model"),
        (("--base", "b"), "expected --adapter FOLDER or --model"),
        (
            ("--model", "m", "--out", "/proc/none"),
            "--out /proc/none: expected /proc to be a folder",
        ),
        (("--model", "m", "--split", "forget01"), "mini: no split 'forget01'"),
        (("--model", "m", "--device", "meta"), "device 'meta': cannot be used"),
        (("--model", "m", "--dtype", "int3"), "dtype 'int3': expected one of auto, float32"),
    ],
)
def test_wrong_use(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_retain_logs_of_another_split_before_the_model_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = tmp_path / "logs.json"
    logs.write_text('{"forget_truth_ratio": {"value_by_index": {"0": {"score": 1.0}}}}')
    assert run("--model", "nowhere", "--retain-logs", logs) == 2
    assert "logs.json: forget_truth_ratio has 1 rows, expected 60" in capsys.readouterr().err


def test_a_base_with_an_assistant_is_measured_with_it(
    base: Path, data: Path, tmp_path: Path
) -> None:
    """The folder that ULD leaves holds the whole base too, which has forgotten nothing."""
    model = LlamaForCausalLM.from_pretrained(base)
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "pair")
    torch.manual_seed(2)
    assistant = LlamaForCausalLM(model.config)
    assistant.lm_head.weight.data.mul_(50)  # random weights are sure of nothing
    WithAssistant(model, assistant, 0.8, 0.01).save_pretrained(tmp_path / "pair")
    found = []
    for name in (base, tmp_path / "pair"):
        assert run("--model", name, "--data", data, "--out", tmp_path / "out") == 0
        found.append(read(tmp_path / "out")["forget_Q_A_Prob"]["agg_value"])
    assert found[0] != pytest.approx(found[1], rel=1e-3)


@pytest.mark.parametrize("named", [("--base",), ("--model",), ()])
def test_the_base_is_loaded_where_and_as_the_user_says(
    named: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def load_base(*how: Any) -> None:
        seen.append(how)
        raise InputError("enough")

    own = LlamaForCausalLM(LlamaConfig(**SMALL))
    own.config._name_or_path = "named"
    T3ForCausalLM(own, LowRankHead(16, 2, 258), T3Config()).save_pretrained(tmp_path)
    monkeypatch.setattr("llm.loading.load_base", load_base)
    words = [word for option in named for word in (option, "given")]
    how = ("--device", "auto", "--dtype", "bfloat16", "--adapter", tmp_path, "--out", tmp_path)
    assert run(*words, *how) == 2
    assert seen == [("given" if named else "named", "auto", "bfloat16")]
