"""A tokenizer and a small Llama-architecture model, trained from nothing on a set of pairs.

So the experiment needs no weights from elsewhere, and what the retain model never saw it
cannot know. The loss is the mean over the answer's tokens. Training goes on exactly where
it was stopped: the order of the data follows from seed and epoch alone, and a checkpoint
holds weights and optimizer state, bit for bit.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from llm.encoding import IGNORED, Batch, Encoded, collate
from llm.experiment import BaseSettings
from t3theory.exceptions import InputError
from t3theory.records import atomic_path

__all__ = [
    "answer_loss",
    "answer_losses",
    "answer_states",
    "build_model",
    "cosine_rate",
    "pretrain",
    "shuffled_batches",
    "train_tokenizer",
]

PAD, BOS, EOS = "<pad>", "<s>", "</s>"

_LOG = logging.getLogger(__name__)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: no text is outside its vocabulary, and decoding is exact.

    >>> tokenizer = train_tokenizer(["to be or not to be"], 300)
    >>> tokenizer.decode(tokenizer("not to be: ☃")["input_ids"])
    'not to be: ☃'
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS
    )


def build_model(settings: BaseSettings, tokenizer: Any, seed: int) -> LlamaForCausalLM:
    """A Llama-architecture model with random weights that `seed` decides; embeddings are tied."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.max_length,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    # Weights are drawn on the CPU: no GPU's generator is seeded, nor kept (torch warns at several).
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return LlamaForCausalLM(config)


def shuffled_batches(
    rows: Sequence[Encoded], batch_size: int, seed: int, epoch: int
) -> Iterator[list[int]]:
    """Indices in batches of similar length, in an order that seed and epoch decide.

    Lengths are jittered by up to four tokens, so that batches differ between epochs.
    """
    rng = random.Random(f"{seed}/{epoch}")
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].input_ids) + 4 * rng.random())
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    rng.shuffle(batches)
    yield from batches


def answer_states(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Final hidden states (n, hidden) that predict the n answer tokens; the tokens; their rows.

    Rows are padded on the right and attention is causal: no answer sees padding, so no mask
    is passed and the fast kernel is taken.
    """
    hidden = model.base_model(input_ids=batch.input_ids, use_cache=False).last_hidden_state
    labels = batch.labels[:, 1:]
    rows, places = (labels != IGNORED).nonzero(as_tuple=True)
    return hidden[rows, places], labels[rows, places], rows


def answer_losses(model: PreTrainedModel, batch: Batch) -> tuple[Float[Tensor, " n"], Tensor]:
    """Cross-entropy of every answer token, float32, and its row; logits nowhere else."""
    states, targets, rows = answer_states(model, batch)
    logits = model.get_output_embeddings()(states).to(torch.float32)
    return nn.functional.cross_entropy(logits, targets, reduction="none"), rows


def answer_loss(model: PreTrainedModel, batch: Batch) -> Float[Tensor, ""]:
    """Mean cross-entropy over all answer tokens of the batch, in nats."""
    return answer_losses(model, batch)[0].mean()


def cosine_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Learning rate at `step` of `steps`: linear to `peak`, then half a cosine to 0.

    >>> [round(cosine_rate(s, 4, 1.0, 0.25), 3) for s in range(4)]
    [1.0, 1.0, 0.75, 0.25]
    """
    rise = max(1, round(warmup * steps))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def save_checkpoint(
    path: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, epoch: int, key: str
) -> None:
    """Weights and optimizer state after `epoch` epochs, in one safetensors file."""
    tensors = {f"model.{n}": p.detach().contiguous() for n, p in model.named_parameters()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value.contiguous() for name, value in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"epoch": str(epoch), "key": key})


def load_checkpoint(
    path: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, key: str
) -> int:
    """Take up a checkpoint made under the same key; the number of epochs behind it, or 0."""
    if not path.is_file():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if metadata.get("key") != key:
                return 0
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: the checkpoint is damaged ({error}); delete it") from error
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    state = optimizer.state_dict()
    for name, value in tensors.items():
        part, index, field = name.split(".", 2)
        if part == "optimizer":
            state["state"].setdefault(int(index), {})[field] = value
    optimizer.load_state_dict(state)
    return int(metadata["epoch"])


def pretrain(
    model: PreTrainedModel,
    rows: Sequence[Encoded],
    settings: BaseSettings,
    seed: int,
    checkpoint: Path | None = None,
    key: str = "",
    on_epoch: Callable[[int], None] | None = None,
) -> float:
    """Train `model` on the answers of `rows`, in place; each epoch is a line of the log.

    Args:
        checkpoint: file to go on from and to write every `checkpoint_epochs` epochs.
        key: what decides the result besides these arguments; a checkpoint of another key is
            not taken up.
        on_epoch: called after every epoch with the epochs done; it may evaluate the model.
    Returns:
        mean loss of the last epoch, nats a token (nan if there was nothing left to do).
    Raises:
        InputError: the checkpoint is damaged.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=model.device.type == "cuda",
    )
    done = 0 if checkpoint is None else load_checkpoint(checkpoint, model, optimizer, key)
    per_epoch = math.ceil(len(rows) / settings.batch_size)
    steps, mean = per_epoch * settings.epochs, math.nan
    pad_id = model.config.pad_token_id
    model.train()
    for epoch in range(done, settings.epochs):
        total = 0.0
        for i, chosen in enumerate(shuffled_batches(rows, settings.batch_size, seed, epoch)):
            rate = cosine_rate(
                epoch * per_epoch + i, steps, settings.learning_rate, settings.warmup
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = answer_loss(model, collate([rows[j] for j in chosen], pad_id).to(model.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        mean = total / per_epoch
        _LOG.info("epoch %d of %d: %.3f nats a token", epoch + 1, settings.epochs, mean)
        if checkpoint is not None and (epoch + 1) % settings.checkpoint_epochs == 0:
            save_checkpoint(checkpoint, model, optimizer, epoch + 1, key)
        if on_epoch is not None:
            on_epoch(epoch + 1)
            model.train()
    model.eval()
    return mean
