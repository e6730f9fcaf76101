"""Other questions, a few pairs learnt again, the text that is said instead."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from llm.encoding import encode_pair
from llm.experiment import ATTACKS, BASELINES
from llm.robustness.fluency import repetition
from llm.robustness.measure import applies
from llm.robustness.questions import ASK, reformatted
from llm.robustness.relearn import relearned, split
from llm.scoring import score_rows

ROW = {"question": "Who is it?", "paraphrased_question": "Who was that?", "answer": "Nobody."}


def test_the_question_changes_and_the_answer_does_not(tiny_tokenizer):
    pairs = {name: ask(tiny_tokenizer, ROW, ROW["answer"]) for name, ask in ASK.items()}
    prompts = {n: tiny_tokenizer.decode(p.input_ids[: p.prompt_length]) for n, p in pairs.items()}
    assert prompts == {
        "none": "<s>Question: Who is it?\nAnswer:",
        "paraphrase": "<s>Question: Who was that?\nAnswer:",
        "format": "<s>Q: Who is it?\nA:",
    }
    answers = [p.input_ids[p.prompt_length :] for p in pairs.values()]
    assert answers == [answers[0]] * 3


def test_rows_without_a_paraphrase_keep_their_question(tiny_tokenizer):
    row = {"question": "Who is it?"}
    expected = encode_pair(tiny_tokenizer, "Who is it?", "Nobody.")
    assert ASK["paraphrase"](tiny_tokenizer, row, "Nobody.") == expected


def test_a_chat_template_stays(tiny_tokenizer, monkeypatch):
    template = "{% for m in messages %}<{{ m['content'] }}>{% endfor %}"
    monkeypatch.setattr(tiny_tokenizer, "chat_template", template)
    pair = reformatted(tiny_tokenizer, "Who is it?", "Nobody.")
    assert tiny_tokenizer.decode(pair.input_ids[: pair.prompt_length]) == "<Q: Who is it?\nA:>"


@given(st.integers(1, 100))
def test_what_is_learnt_again_is_not_measured(count):
    learnt, measured = split(count)
    assert sorted([*learnt, *measured]) == list(range(count))
    assert len(learnt) == -(-count // 10)


def test_relearning_is_on_a_copy_and_on_its_rows(tiny_llama, tiny_tokenizer, tiny_data):
    rows = [encode_pair(tiny_tokenizer, r["question"], r["answer"]) for r in tiny_data.forget[:2]]
    before = [p.clone() for p in tiny_llama.parameters()]
    again = relearned(tiny_llama, rows, 2, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, tiny_llama.parameters(), strict=True))
    old, new = (sum(s.loss for s in score_rows(m, rows, 2)) for m in (tiny_llama, again))
    # Ten steps of Adam at 3e-4 on a random model: some hundredths of a nat at the least.
    assert new < old - 0.02


def test_repetition():
    assert repetition([]) == 0.0
    assert repetition(["a b a b a"]) == 0.5  # two of four pairs stand earlier
    assert repetition(["a b c", "a b c"]) == 0.0  # texts are apart


def test_relearning_needs_weights_that_unlearning_changed():
    assert all(applies(a, m) for a in set(ATTACKS) - {"relearn"} for m in ("t3", "npo", "full"))
    found = {m for m in ("full", "retain", "t3", *BASELINES) if applies("relearn", m)}
    assert found == {"retain", *BASELINES} - {"uld"}
