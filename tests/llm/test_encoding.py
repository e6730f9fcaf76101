"""Prompts and pairs as token ids: what a chat template sets around them, and where they end."""

from __future__ import annotations

import pytest
from tiny_tokenizers import byte_tokenizer

from llm.encoding import encode_pair, encode_prompt, turn_end
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
