"""The final hidden states of a base, read on the way while it is called as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from llm.bases import decoder_of

__all__ = ["final_hidden", "listen", "reading"]

_Reader = tuple[nn.Module, list[Tensor]]
_READER: ContextVar[_Reader | None] = ContextVar("reader", default=None)
# Graphs know lists and no context variables; a graph is traced by one thread.
_TRACED: list[_Reader] = []


def _read(decoder: nn.Module, _args: Any, output: Any) -> None:
    traced = torch.compiler.is_compiling()
    last = _TRACED[-1] if _TRACED else None
    reader = last if traced else _READER.get()
    if reader is not None and reader[0] is decoder:
        reader[1].append(output[0] if isinstance(output, tuple) else output.last_hidden_state)


def listen(base: Any) -> nn.Module:
    """The base's decoder, with a hook that :func:`final_hidden` opens and closes.

    Registered once and for good: a compiled graph cannot register hooks, but runs them.
    """
    decoder: Any = decoder_of(base)
    if not getattr(decoder, "_t3_listens", False):
        decoder.register_forward_hook(_read)
        decoder._t3_listens = True
    return decoder


def final_hidden(base: Any) -> AbstractContextManager[list[Tensor]]:
    """While open, calls of `base` in this thread append its final hidden states (after the norm)."""
    return reading(listen(base))


@contextmanager
def reading(decoder: nn.Module) -> Iterator[list[Tensor]]:
    """:func:`final_hidden` of the base whose decoder :func:`listen` gave: to find it takes time."""
    found: list[Tensor] = []
    reader = (decoder, found)
    if torch.compiler.is_compiling():
        _TRACED.append(reader)
        yield found
        _TRACED.pop()
        return
    token = _READER.set(reader)
    try:
        yield found
    finally:
        _READER.reset(token)
