"""Scores and greedy answers against a plain loop over single, unpadded rows."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from llm.encoding import Encoded, encode_pair, encode_prompt
from llm.scoring import end_ids, greedy_answers, pad_id, score_rows
from llm.tofu.data import TofuData
from t3theory.exceptions import AssumptionError, InputError

# Batched float32 attention sums in another order than single rows.
ROUNDING = 2e-5


@pytest.fixture
def rows(tiny_tokenizer: Any, tiny_data: TofuData) -> list[Encoded]:
    return [
        encode_pair(tiny_tokenizer, r["question"], r["answer"])
        for r in tiny_data.full + tiny_data.knowledge
    ]


def one_by_one(model: Any, row: Encoded) -> tuple[np.ndarray, np.ndarray]:
    ids = torch.tensor([row.input_ids])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, row.prompt_length - 1 : -1]
    labels = ids[0, row.prompt_length :]
    picked = torch.log_softmax(logits, -1).gather(-1, labels[:, None])[:, 0]
    return picked.numpy(), (logits.argmax(-1) == labels).numpy()


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_scores_are_those_of_single_rows(
    tiny_llama: Any, rows: list[Encoded], batch_size: int
) -> None:
    scores = score_rows(tiny_llama, rows, 2, batch_size)
    assert len(scores) == len(rows)
    for row, score in zip(rows, scores, strict=True):
        log_probs, matches = one_by_one(tiny_llama, row)
        assert score.log_probs == pytest.approx(log_probs, abs=ROUNDING)
        assert score.matches.tolist() == matches.tolist()
        assert score.loss == pytest.approx(-log_probs.mean(), abs=ROUNDING)


def test_loss_is_transformers_own(tiny_llama: Any, rows: list[Encoded]) -> None:
    ids = torch.tensor([rows[0].input_ids])
    labels = ids.clone()
    labels[0, : rows[0].prompt_length] = -100
    theirs = float(tiny_llama(input_ids=ids, labels=labels).loss.detach())
    assert score_rows(tiny_llama, rows[:1], 2)[0].loss == pytest.approx(theirs, abs=ROUNDING)


def test_models_without_logits_to_keep_score_the_same(tiny_llama: Any, rows: list[Encoded]) -> None:
    class Plain(torch.nn.Module):
        device = tiny_llama.device

        def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
            return tiny_llama(
                input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache
            )

    plain, lean = (score_rows(m, rows, 2, 8) for m in (Plain(), tiny_llama))
    for a, b in zip(plain, lean, strict=True):
        assert a.log_probs == pytest.approx(b.log_probs, abs=ROUNDING)


def test_prompt_logits_are_left_out(tiny_llama: Any, rows: list[Encoded]) -> None:
    widths = []
    handle = tiny_llama.lm_head.register_forward_hook(
        lambda _m, _i, out: widths.append(out.shape[1])
    )
    score_rows(tiny_llama, rows[:1], 2)
    handle.remove()
    assert widths == [len(rows[0].input_ids) - rows[0].prompt_length + 1]


def test_half_precision_is_normalised_in_float32(tiny_llama: Any, rows: list[Encoded]) -> None:
    half = tiny_llama.to(torch.bfloat16)
    (score,) = score_rows(half, rows[:1], 2)
    ids = torch.tensor([rows[0].input_ids])
    with torch.no_grad():
        logits = half(input_ids=ids).logits[0, rows[0].prompt_length - 1 : -1].float()
    expected = torch.log_softmax(logits, -1).gather(-1, ids[0, rows[0].prompt_length :, None])[:, 0]
    # bfloat16 kernels differ by shape in the last of 8 bits of the logits
    assert score.log_probs == pytest.approx(expected.numpy(), abs=0.1)
    assert score.log_probs.dtype == np.float64


def test_lifting_in_parts_changes_nothing(
    tiny_llama: Any, rows: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = score_rows(tiny_llama, rows, 2, 8)
    monkeypatch.setattr("llm.scoring._LIFTED", 5 * 400)  # five label positions at a time
    for a, b in zip(score_rows(tiny_llama, rows, 2, 8), whole, strict=True):
        assert a.log_probs == pytest.approx(b.log_probs, abs=ROUNDING)
        assert a.matches.tolist() == b.matches.tolist()


def test_training_mode_is_restored(tiny_llama: Any, rows: list[Encoded]) -> None:
    tiny_llama.train()
    score_rows(tiny_llama, rows[:2], 2)
    assert tiny_llama.training


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_greedy_answers_are_those_of_single_prompts(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, batch_size: int
) -> None:
    questions = [row["question"] for row in tiny_data.full[:6]]
    answers = greedy_answers(tiny_llama, tiny_tokenizer, questions, batch_size, max_new_tokens=6)
    for question, answer in zip(questions, answers, strict=True):
        ids = encode_prompt(tiny_tokenizer, question)
        new: list[int] = []
        for _ in range(6):
            with torch.no_grad():
                token = int(tiny_llama(input_ids=torch.tensor([ids + new])).logits[0, -1].argmax())
            if token == tiny_tokenizer.eos_token_id:
                break
            new.append(token)
        assert answer == tiny_tokenizer.decode(new, skip_special_tokens=True).strip()


def test_greedy_is_greedy_whatever_the_model_prefers(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    """transformers takes the preferences of a model where a call says nothing about them."""
    asked = (tiny_llama, tiny_tokenizer, ["Who?", "Where was Ada born?"])
    expected = greedy_answers(*asked, max_new_tokens=20)
    own = GenerationConfig(
        repetition_penalty=5.0, no_repeat_ngram_size=1, suppress_tokens=[5], num_beams=3
    )
    tiny_llama.generation_config = own
    assert greedy_answers(*asked, max_new_tokens=20) == expected
    assert tiny_llama.generation_config is own


def test_answers_stop_at_the_end_token(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    with torch.no_grad():
        tiny_llama.lm_head.weight.zero_()  # every logit 0: the argmax is token 0 …
        assert greedy_answers(tiny_llama, tiny_tokenizer, ["Who?"], max_new_tokens=3) == [""]
    lengths = []
    generate = tiny_llama.generate

    def spy(**kwargs: Any) -> Any:
        kwargs["eos_token_id"] = 0  # … which is now the end
        out = generate(**kwargs)
        lengths.append(out.shape[1] - kwargs["input_ids"].shape[1])
        return out

    tiny_llama.generate = spy
    greedy_answers(tiny_llama, tiny_tokenizer, ["Who?"], max_new_tokens=50)
    greedy_answers(tiny_llama, tiny_tokenizer, ["Who?"], max_new_tokens=4, min_new_tokens=4)
    assert lengths == [1, 4]


def test_answers_stop_where_the_models_own_do(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    """Chat models end a turn with another token than a text: in their settings or their template."""
    ids = torch.tensor([encode_prompt(tiny_tokenizer, "Who?")])
    said = tiny_llama.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :].tolist()
    stop = next(i for i in range(2, 12) if said[i] not in said[:i])
    tiny_llama.generation_config.eos_token_id = [1, said[stop]]
    (answer,) = greedy_answers(tiny_llama, tiny_tokenizer, ["Who?"], max_new_tokens=12)
    assert answer == tiny_tokenizer.decode(said[:stop]).strip()
    assert end_ids(tiny_llama, tiny_tokenizer) == sorted({1, said[stop]})
    chatting = copy.deepcopy(tiny_tokenizer)
    chatting.chat_template = "{% for m in messages %}{{ m.content }}<pad>{% endfor %}"
    assert end_ids(tiny_llama, chatting) == sorted({1, 2, said[stop]})
    tiny_llama.generation_config.eos_token_id = None
    assert end_ids(tiny_llama, tiny_tokenizer) == [1]


def test_wrong_arguments(tiny_llama: Any, tiny_tokenizer: Any, rows: list[Encoded]) -> None:
    with pytest.raises(AssumptionError, match="batch_size must be ≥ 1, got 0"):
        score_rows(tiny_llama, rows, 2, batch_size=0)
    with pytest.raises(AssumptionError, match="max_new_tokens must be ≥ 1, got 0"):
        greedy_answers(tiny_llama, tiny_tokenizer, ["Who?"], max_new_tokens=0)


def test_padding_token(tiny_tokenizer: Any) -> None:
    assert pad_id(tiny_tokenizer) == 2

    class Bare:
        pad_token_id = None
        eos_token_id: int | None = 7

    assert pad_id(Bare()) == 7
    Bare.eos_token_id = None
    with pytest.raises(InputError, match="end-of-sequence"):
        pad_id(Bare())


def test_a_tokenizer_of_another_model(tiny_llama: Any) -> None:
    with pytest.raises(InputError, match="gives token 400, expected fewer than the model's 400"):
        score_rows(tiny_llama, [Encoded([0, 400, 1], 1)], 2)


def test_more_tokens_than_positions(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    with pytest.raises(InputError, match="row of 257 tokens: expected at most the model's 256"):
        score_rows(tiny_llama, [Encoded([0] * 257, 1)], 2)
    with pytest.raises(InputError, match="tokens and 256 new ones: expected at most"):
        greedy_answers(tiny_llama, tiny_tokenizer, ["Who?"], max_new_tokens=256)


def test_progress_goes_to_a_terminal_only(
    tiny_llama: Any,
    rows: list[Encoded],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    score_rows(tiny_llama, rows[:4], 2, 2, message="Scoring answers")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    score_rows(tiny_llama, rows[:4], 2, 2, message="Scoring answers")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Scoring answers" in err
