"""One pass of the frozen base: everything the head needs to train, on disk or in memory.

The head reads the running mean of the final hidden states up to the position that predicts
a token. The base never changes, so these means are computed once, in float32, for the answer
tokens of every pair, and the head trains on them without the base.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from llm import processes
from llm.bases import base_fingerprint, decoder_of
from llm.encoding import IGNORED, Encoded, collate, length_sorted_batches
from llm.head import running_mean
from llm.hidden import final_hidden
from llm.model import T3ForCausalLM
from t3theory.exceptions import InputError
from t3theory.records import atomic_path, config_hash, write_json

__all__ = ["Features", "answer_targets", "batch_means", "cache_features", "pooled_answers"]

FORMAT = 1
"""Changes whenever the numbers or the layout of a cache do."""

POSITIONS = 1_024
"""Of a batch on a processor, at most: larger intermediate states do not stay in the memory that a
process holds, and to fetch it anew at each operation took up to half of the pass."""


@dataclass(frozen=True)
class Features:
    """Pooled states and targets of the answer tokens of some pairs, pair after pair.

    Attributes:
        shards: pooled states, each (tokens, hidden) float32; memory-mapped where they come
            from a file.
        targets: the token that each state predicts, (all tokens,).
        offsets: pair i owns tokens offsets[i] to offsets[i+1]; always in the processor's memory,
            where batches are drawn.
    """

    shards: tuple[Float[Tensor, "tokens hidden"], ...]
    targets: Int[Tensor, " tokens"]
    offsets: Int[Tensor, " pairs_plus_one"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def hidden_size(self) -> int:
        """Width of the pooled states."""
        return self.shards[0].shape[1]

    def tokens_of(self, pairs: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
        """Indices of all answer tokens of these pairs, in their order, where the targets are."""
        # In NumPy, whose calls are the shorter ones: a step of training asks twice.
        offsets, own = self.offsets.numpy(), pairs.cpu().numpy()
        start, length = offsets[own], offsets[own + 1] - offsets[own]
        ends = length.cumsum()
        shift = np.repeat(start - ends + length, length)
        tokens = torch.from_numpy(shift + np.arange(len(shift)))
        return tokens.to(self.targets.device)

    def pooled(
        self, tokens: Int[Tensor, " m"], out: Float[Tensor, "m hidden"] | None = None
    ) -> Float[Tensor, "m hidden"]:
        """The pooled states of these tokens, read from one shard after another; written to `out`."""
        if out is None:
            out = self.shards[0].new_empty((len(tokens), self.hidden_size))
        if len(self.shards) == 1:
            return torch.index_select(self.shards[0], 0, tokens, out=out)
        first = 0
        for shard in self.shards:
            here = ((tokens >= first) & (tokens < first + len(shard))).nonzero()[:, 0]
            out[here] = shard.index_select(0, tokens[here] - first)
            first += len(shard)
        return out

    def select(self, pairs: Int[Tensor, " n"] | Sequence[int]) -> Features:
        """The features of some of the pairs, copied into memory."""
        pairs = torch.as_tensor(pairs, dtype=torch.long).to(self.offsets.device)
        tokens = self.tokens_of(pairs)
        lengths = self.offsets[pairs + 1] - self.offsets[pairs]
        offsets = torch.cat([lengths.new_zeros(1), torch.cumsum(lengths, 0)])
        return Features((self.pooled(tokens),), self.targets[tokens], offsets)

    def to(self, device: torch.device | str) -> Features:
        """The same on another device; on the same one shards stay memory-mapped."""
        shards = tuple(shard.to(device) for shard in self.shards)
        return Features(shards, self.targets.to(device), self.offsets)


def _width(base: Any) -> int:
    """Of the states, as the output matrix reads them."""
    return int(base.get_output_embeddings().weight.shape[1])


@torch.inference_mode()
def pooled_answers(
    model: Any, rows: Sequence[Encoded], batch_size: int = 32, shared: bool = False
) -> Float[Tensor, "answers hidden"]:
    """Pooled states that predict the answer tokens, row after row, float32 on the CPU.

    Args:
        shared: among the processes of `accelerate launch`, which all get all of them.
    Raises:
        InputError: a state is not finite.
    """
    base = model.base if isinstance(model, T3ForCausalLM) else model
    positions = POSITIONS if base.device.type == "cpu" else None
    batches = list(length_sorted_batches(rows, batch_size, positions))
    ends = np.cumsum([len(row.input_ids) - row.prompt_length for row in rows])
    # Filled in place: a shard and the states of one batch are all that is in memory.
    out = torch.empty(int(ends[-1]), _width(base))
    ours = processes.share(batches) if shared else batches
    mine = (_by_row(base, [rows[i] for i in index]) for index in ours)
    parts = processes.merge(list(mine)) if shared and processes.count() > 1 else mine
    for index, states in zip(batches, parts, strict=True):
        for i, state in zip(index, states, strict=True):
            out[ends[i] - len(state) : ends[i]] = state
    return out


def _by_row(base: Any, rows: Sequence[Encoded]) -> list[Float[Tensor, "answer hidden"]]:
    lengths = [len(row.input_ids) - row.prompt_length for row in rows]
    return list(batch_means(base, rows).cpu().split(lengths))


@torch.inference_mode()
def batch_means(base: Any, rows: Sequence[Encoded]) -> Float[Tensor, "answers hidden"]:
    """Pooled states of one batch, row after row, float32, where the base computes them.

    Raises:
        InputError: a state is not finite.
    """
    batch = collate(rows, pad_id=0).to(base.device)
    ids, mask = batch.input_ids[:, :-1], batch.attention_mask[:, :-1]  # the last predicts nothing
    with final_hidden(base) as found:
        decoder_of(base)(input_ids=ids, attention_mask=mask, use_cache=False)
    hidden = found[-1]
    row, place = (batch.labels[:, 1:] != IGNORED).to(hidden.device).nonzero(as_tuple=True)
    means = running_mean(hidden, mask.to(hidden.device))[row, place]
    if not means.isfinite().all():
        raise InputError(
            f"model {base.config.name_or_path or type(base).__name__}: its hidden states in "
            f"{hidden.dtype} are not finite; expected sound weights, or another precision"
        )
    return means


def answer_targets(rows: Sequence[Encoded]) -> Int[Tensor, " answers"]:
    """The tokens of the answers, row after row: what the pooled states predict."""
    return torch.tensor([token for ids, start in rows for token in ids[start:]])


def _check_rows(rows: Sequence[Encoded]) -> None:
    if not rows:
        raise InputError("pairs: expected at least one")
    for i, (ids, start) in enumerate(rows):
        if not 0 < start < len(ids):
            raise InputError(
                f"pair {i}: expected a prompt and an answer of at least one token each, "
                f"got {start} and {len(ids) - start}"
            )


def _shards(rows: Sequence[Encoded], shard_tokens: int) -> Iterator[list[Encoded]]:
    """Consecutive rows with at most `shard_tokens` answer tokens together (at least one row)."""
    shard: list[Encoded] = []
    size = 0
    for row in rows:
        answer = len(row.input_ids) - row.prompt_length
        if shard and size + answer > shard_tokens:
            yield shard
            shard, size = [], 0
        shard.append(row)
        size += answer
    yield shard


def cache_features(
    model: Any,
    rows: Sequence[Encoded],
    folder: str | Path | None = None,
    batch_size: int = 32,
    shard_tokens: int = 65_536,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """Pooled states and targets of every answer token of `rows`, from one pass of the base.

    Args:
        model: the base model (or a T3 model, whose base is taken).
        rows: encoded pairs.
        folder: where shards are kept, under a name that hashes model, token ids (data and
            tokenizer) and precision; a complete cache there is read back, memory-mapped.
            Default: memory only. Under `accelerate launch` the processes share the batches, and
            the main one writes, to a folder that all of them see.
        batch_size: rows at a time, at most; on a processor no more than `POSITIONS` allow.
        shard_tokens: answer tokens a shard; no more than one shard is in memory.
        progress: called with (rows done, rows in all) after each shard.
    Raises:
        InputError: no rows, an empty prompt or answer, a state that is not finite, a cache that is
            damaged.
    """
    _check_rows(rows)
    base = model.base if isinstance(model, T3ForCausalLM) else model
    was_training = base.training
    base.eval()
    try:
        if folder is None:
            shards = [pooled_answers(base, rows, batch_size, shared=True)]
            return _assemble(shards, rows)
        precision = str(base.dtype)
        key = config_hash(FORMAT, base_fingerprint(base), precision, [list(r) for r in rows])
        place = Path(folder) / key
        if not (place / "index.json").is_file():
            _write(base, rows, place, batch_size, shard_tokens, progress)
        return _assemble(_read(place, rows, _width(base)), rows)
    finally:
        base.train(was_training)


def _write(
    base: Any,
    rows: Sequence[Encoded],
    place: Path,
    batch_size: int,
    shard_tokens: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    shards = [(f"{i:05d}.safetensors", s) for i, s in enumerate(_shards(rows, shard_tokens))]
    done = 0
    for name, shard in shards:
        pooled = pooled_answers(base, shard, batch_size, shared=True)
        if processes.is_main():
            _save(pooled, place / name)
        done += len(shard)
        if progress is not None:
            progress(done, len(rows))
    # Last: a cache without its index is one that was interrupted.
    if processes.is_main():
        write_json(place / "index.json", {"shards": [name for name, _ in shards]})
    processes.wait()


def _save(pooled: Tensor, path: Path) -> None:
    try:
        with atomic_path(path) as temporary:
            save_file({"pooled": pooled}, temporary)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: features cannot be written, {error}") from error


def _read(place: Path, rows: Sequence[Encoded], width: int) -> list[Tensor]:
    """The shards of a complete cache, checked against what `_write` would have written."""
    file = place / "index.json"
    shards = []
    try:
        for name in json.loads(file.read_text(encoding="utf-8"))["shards"]:
            file = place / name
            shards.append(load_file(file)["pooled"])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _damaged(file, error) from error
    for shard in shards:
        if (shard.dtype, *shard.shape[1:]) != (torch.float32, width):
            raise _damaged(place, f"{shard.dtype} of shape {tuple(shard.shape)}, not {width} wide")
        if not shard.isfinite().all():
            raise _damaged(place, "a state is not finite")
    expected, got = sum(len(ids) - start for ids, start in rows), sum(map(len, shards))
    if got != expected:
        raise _damaged(place, f"{got} tokens, not {expected}")
    return shards


def _damaged(where: Path, reason: object) -> InputError:
    folder = where if where.is_dir() else where.parent
    return InputError(
        f"{where}: expected whole features ({reason}); delete {folder} to compute them again"
    )


def _assemble(shards: Sequence[Tensor], rows: Sequence[Encoded]) -> Features:
    lengths = torch.tensor([0] + [len(ids) - start for ids, start in rows])
    return Features(tuple(shards), answer_targets(rows), torch.cumsum(lengths, 0))
