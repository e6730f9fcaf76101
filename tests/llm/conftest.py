"""A tiny random Llama and a byte-level BPE tokenizer, made in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llm.encoding import encode_pair
from llm.experiment import DataSettings, ExperimentConfig, load_scale
from llm.head import LowRankHead
from llm.model import T3ForCausalLM
from llm.tofu.data import TofuData, load_tofu
from llm.tofu.logs import EVAL_FILE
from t3theory.records import write_json

SPECIAL = ["<s>", "</s>", "<pad>"]


@pytest.fixture(scope="session")
def tiny_data() -> TofuData:
    """Two forget and two retain authors of mini-TOFU, few general-knowledge rows."""
    whole = load_tofu("mini", forget_authors=1, retain_authors=1)
    fields = vars(whole) | {
        "real_authors_perturbed": whole.real_authors_perturbed[:3],
        "world_facts_perturbed": whole.world_facts_perturbed[:3],
    }
    fields.pop("content_hash", None)
    return TofuData(**fields)


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_data: TofuData) -> Any:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(
        (f"{row['question']} {row['answer']}" for row in tiny_data.full), trainer
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def random_llama(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=400,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    ).eval()


@pytest.fixture
def tiny_llama() -> LlamaForCausalLM:
    return random_llama(0)


@pytest.fixture
def other_llama() -> LlamaForCausalLM:
    return random_llama(1)


class Saved(NamedTuple):
    """A small run without training: what the stages would have left, drawn at random.

    One author to forget, three to retain: γ = 1/4. `full` and `retain` are folders of two random
    models; `heads` holds one for each of mini's stops; `retain_logs` the scores of the ten rows.
    """

    config: ExperimentConfig
    full: Path
    retain: Path
    heads: Path
    retain_logs: Path


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Saved:
    out = tmp_path_factory.mktemp("saved")
    config = replace(load_scale("mini"), data=DataSettings(forget_authors=1, retain_authors=3))
    for seed, name in enumerate(("full", "retain")):
        random_llama(seed).save_pretrained(out / name)
        tiny_tokenizer.save_pretrained(out / name)
    for seed, stop in enumerate(config.head.stops):
        generator = torch.Generator().manual_seed(seed)
        head = LowRankHead(32, 4, 400, "published", generator)
        model = T3ForCausalLM(random_llama(0), head.requires_grad_(False))
        model.save_pretrained(out / "heads" / f"risk-{stop:g}")
    ratios = {str(i): {"score": 0.5 + i / 20} for i in range(10)}
    write_json(out / "logs" / EVAL_FILE, {"forget_truth_ratio": {"value_by_index": ratios}})
    return Saved(config, out / "full", out / "retain", out / "heads", out / "logs")


def law_of_answer(model: Any, tokenizer: Any, question: str, answer: str) -> tuple[Any, Any]:
    """(log-law at each token of the answer, the tokens), float64, of a pair that stands alone."""
    ids, start = encode_pair(tokenizer, question, answer)
    with torch.no_grad():
        logits = model(torch.tensor([ids], device=model.device)).logits[0, start - 1 : -1].cpu()
    return logits.double().log_softmax(-1), torch.tensor(ids[start:])


@pytest.fixture(scope="session")
def answer_law() -> Any:
    """`law_of_answer`: what stages must find, one pair at a time."""
    return law_of_answer


@pytest.fixture(scope="session")
def answer_loss() -> Any:
    """(model, tokenizer, question, answer) → mean loss of the answer's tokens, nats."""

    def loss(*pair: Any) -> float:
        law, tokens = law_of_answer(*pair)
        return float(-law.gather(1, tokens[:, None]).mean())

    return loss
