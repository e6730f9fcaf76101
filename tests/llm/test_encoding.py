"""Prompts and pairs as token ids: what a chat template sets around them, and where they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_tokenizers import byte_tokenizer

from llm.encoding import Encoded, encode_pair, encode_prompt, length_sorted_batches, turn_end
from llm.tofu.data import load_tofu
from t3theory.exceptions import InputError

# The forms that chat models come in: a marker of the turn, a line after it, the end of sequence.
TURN = "{% for m in messages %}<s>[{{ m['role'] }}]{{ m['content'] | trim }}%s{% endfor %}"
ASKED = "{% if add_generation_prompt %}<s>[assistant]{% endif %}"


def chatting(after, *, special=True, template=None):
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<turn>"], special_tokens=special)
    tokenizer.chat_template = template or TURN.replace("%s", after) + ASKED
    return tokenizer


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("after", "end"),
    [("<turn>\n", "<turn>"), (" <turn></s>", "<turn>"), ("", "</s>"), (".", "</s>")],
)
def test_an_answer_ends_as_the_chat_template_ends_a_turn(after, end, special):
    tokenizer = chatting(after, special=special)
    pair = encode_pair(tokenizer, "Who?", "Ada.")
    whole = f"<s>[user]Who?{after}<s>[assistant]Ada.{end}"
    assert tokenizer.decode(pair.input_ids) == whole
    assert tokenizer.decode(pair.input_ids[pair.prompt_length :]) == f"Ada.{end}"
    assert encode_prompt(tokenizer, "Who?") == pair.input_ids[: pair.prompt_length]


def test_without_a_template_an_answer_ends_the_sequence():
    tokenizer = byte_tokenizer()
    pair = encode_pair(tokenizer, "Who?", "Ada.")
    assert tokenizer.decode(pair.input_ids) == "<s>Question: Who?\nAnswer: Ada.</s>"
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="end-of-sequence"):
        turn_end(tokenizer)


def test_a_template_that_takes_no_answer_is_one_line():
    tokenizer = chatting("", template="{{ messages[1].content + 1 if messages[1] else 'Q:' }}")
    assert tokenizer.decode(encode_prompt(tokenizer, "Who?")) == "Q:"
    with pytest.raises(InputError, match="a chat template that takes a message and an answer; can"):
        encode_pair(tokenizer, "Who?", "Ada.")


@pytest.mark.parametrize("template", [None, ASKED])
def test_a_raw_pair_is_its_text(template):
    tokenizer = chatting("", template=template) if template else byte_tokenizer()
    pair = encode_pair(tokenizer, "The quick brown f", "ox jumps", raw=True)
    assert tokenizer.decode(pair.input_ids) == "<s>The quick brown fox jumps"
    assert tokenizer.decode(pair.input_ids[pair.prompt_length :]) == "ox jumps"
    prompt = encode_prompt(tokenizer, "The quick brown f", raw=True)
    assert prompt == pair.input_ids[: pair.prompt_length]
    tokenizer.bos_token = None
    with pytest.raises(InputError, match="prompt: expected a text"):
        encode_pair(tokenizer, "", "ox", raw=True)


def test_a_token_across_the_border_belongs_to_the_completion(tiny_tokenizer):
    """A text is cut into tokens as the base met it, not at the border between the two fields."""
    text = " ".join(row["answer"] for row in load_tofu("mini", forget_authors=1).forget[:3])
    whole = tiny_tokenizer(text, add_special_tokens=False)["input_ids"]
    across = 0
    for place in range(1, len(text) - 1, 7):
        ids, start = encode_pair(tiny_tokenizer, text[:place], text[place:], raw=True)
        assert ids == [tiny_tokenizer.bos_token_id, *whole]
        before = tiny_tokenizer.decode(ids[1:start])
        assert text[:place].startswith(before)
        across += before != text[:place]
    assert across


@given(
    st.lists(st.integers(0, 40), max_size=30),
    st.integers(1, 8),
    st.none() | st.integers(1, 100),
)
def test_batches_hold_every_row_once_longest_first_and_no_more_positions(lengths, size, positions):
    rows = [Encoded([3] * n, 0) for n in lengths]
    batches = list(length_sorted_batches(rows, size, positions))
    taken = [i for batch in batches for i in batch]
    assert sorted(taken) == list(range(len(rows)))
    assert [lengths[i] for i in taken] == sorted(lengths, reverse=True)
    for batch in batches:
        room = size if positions is None else positions // max(1, lengths[batch[0]])
        assert 1 <= len(batch) <= max(1, min(size, room))
        if batch is not batches[-1]:  # as many as there is room for
            assert len(batch) == max(1, min(size, room))
