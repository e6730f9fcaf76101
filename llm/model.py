"""T3 as a causal language model of transformers: the base frozen, its scores tempered and tilted.

    score(v | c) = log p(v | c) / T + s · log σ(ℓ(v) + log prior odds)

The wrapper calls the base as it is (its own logit scales and caps included), reads the
final hidden states on the way, and keeps what the head needs of the past in the cache, so
that everything `generate()` offers works.
"""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from llm import adapter
from llm.bases import check_sizes, device_of
from llm.cache_layer import CACHE, can_follow, means_of_new, pooled_layer
from llm.head import LowRankHead
from llm.hidden import listen, reading
from llm.loading import load_causal_lm, named_base
from llm.tilt import T3Config, tilt
from t3theory.exceptions import InputError

__all__ = ["T3Config", "T3ForCausalLM"]

# What a trainer passes for the loss alone: the base must not see it.
_OF_THE_LOSS = ("num_items_in_batch", "shift_labels", "ignore_index")

# What trainers and hubs pass to say how large weights are written: a head is one small file.
_SAVED_ALIKE = {
    "is_main_process",
    "max_shard_size",
    "safe_serialization",
    "save_function",
    "save_original_format",
    "state_dict",
}


class T3ForCausalLM(PreTrainedModel, GenerationMixin):
    """A base model with its scores tempered and tilted, at every position.

    Args:
        base: any causal language model of transformers; it is not changed.
        head: a :class:`~llm.head.LowRankHead` of its width and vocabulary.
        config: temperature, guidance scale, prior and gate.

    Raises:
        InputError: the base has no output matrix, or the head has other sizes than the base.
    """

    # The base has already chosen its attention and experts: whatever it uses, the wrapper takes.
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = True
    _supports_attention_backend = True
    base_model_prefix = "base"
    base: Any
    head: LowRankHead

    def __init__(
        self, base: PreTrainedModel, head: LowRankHead, config: T3Config | None = None
    ) -> None:
        check_sizes(base, head)
        super().__init__(base.config)
        self.base, self.head = base, head
        self.t3_config = T3Config() if config is None else config
        self.generation_config = copy.deepcopy(base.generation_config)
        self.loss_type = base.loss_type
        self._can_compile_fullgraph = base._can_compile_fullgraph
        self._is_stateful = base._is_stateful
        if hasattr(base, "hf_device_map"):
            self.hf_device_map = base.hf_device_map
        self._listening = (listen(base),)  # in a tuple: no module of this one
        self.base.requires_grad_(False)
        self.head.to(device_of(base.get_output_embeddings()))
        self.train(base.training)
        self._takes = frozenset(inspect.signature(base.forward).parameters)
        self._follows_cache: bool = can_follow(base)
        if not self._follows_cache:  # all of the past is seen at every step
            self.generation_config.use_cache = False

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        cache: Any = None,
        past_key_values: Any = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        pooling_mask: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Tilted scores (batch, kept positions, vocab), float32; the loss where `labels` are given.

        Args:
            attention_mask: (batch, past + length); default all ones.
            pooling_mask: the same, where `attention_mask` is of another form (static caches).
            labels: (batch, kept positions), −100 where ignored. The loss is transformers' own:
                the mean over the others (nan if there are none), or their sum over
                `num_items_in_batch`.
        """
        del return_dict  # always one
        if not self._follows_cache:
            if use_cache:
                raise InputError(
                    f"use_cache: expected False, {type(self.base).__name__} keeps its past where "
                    "the pooled state cannot follow"
                )
            use_cache = False
        aside = {k: kwargs.pop(k) for k in _OF_THE_LOSS if k in kwargs}
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": position_ids,
            "inputs_embeds": inputs_embeds,
            "use_cache": use_cache,
            CACHE: past_key_values if cache is None else cache,
            "logits_to_keep": logits_to_keep,
        }
        output, hidden = self._run_base(inputs, kwargs)
        mask = attention_mask if pooling_mask is None else pooling_mask
        latent = self._pooled_latent(hidden, mask, getattr(output, CACHE, None))
        scores = self._tilted(output.logits, latent, logits_to_keep)
        loss = None if labels is None else self._loss(scores, labels, aside)
        return _output(loss, scores, output)

    def _run_base(self, inputs: dict[str, Any], more: dict[str, Any]) -> tuple[Any, Tensor]:
        """The base's output and final hidden states, of those inputs that its forward names."""
        taken = {k: v for k, v in inputs.items() if k in self._takes}
        with reading(*self._listening) as found:
            output = self.base(**taken, **more)
        if not found:
            raise InputError(
                f"base model {type(self.base).__name__}: its decoder was not called, so that its "
                "final hidden states cannot be read"
            )
        return output, found[-1]

    def _tilted(self, logits: Tensor, latent: Tensor, keep: int | Tensor) -> Tensor:
        log_odds = self.head.up(_kept(latent, keep)).to(logits.device)
        if "logits_to_keep" not in self._takes:
            logits = _kept(logits, keep)
        return tilt(logits, log_odds, self.t3_config, overwrite=True)

    def _loss(self, scores: Tensor, labels: Tensor, aside: dict[str, Any]) -> Tensor:
        if labels.shape != scores.shape[:-1]:
            raise InputError(
                f"labels: expected one for each score, {tuple(scores.shape[:-1])}, got "
                f"{tuple(labels.shape)}; logits_to_keep leaves out the scores of all others"
            )
        vocab_size = scores.shape[-1]
        return self.loss_function(logits=scores, labels=labels, vocab_size=vocab_size, **aside)

    def _pooled_latent(self, hidden: Tensor, mask: Tensor | None, cache: Any) -> Tensor:
        """down · u_t at the new positions, (batch, length, rank); updates the cache."""
        head, length = self.head, hidden.shape[1]
        down = head.down
        latent = down(hidden.to(device=down.weight.device, dtype=torch.float32))
        if mask is not None:
            _check_mask(mask, hidden)
            mask = mask[:, -length:].to(latent.device)
        if cache is None:
            return means_of_new(latent, mask)[0]
        return pooled_layer(cache, length, head).advance(latent, mask)

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The base's inputs, and the mask of tokens in a form that static caches leave alone."""
        inputs = self.base.prepare_inputs_for_generation(
            input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, **kwargs
        )
        ids = inputs.get("input_ids")
        ids = inputs["inputs_embeds"] if ids is None else ids
        if attention_mask is not None and attention_mask.ndim == 2:
            inputs["pooling_mask"] = attention_mask[:, -ids.shape[1] :]
        elif attention_mask is None and inputs.get("attention_mask") is not None:
            # Without padding `generate` drops the mask; a static cache then makes one of its own.
            inputs["pooling_mask"] = torch.ones(ids.shape[:2], device=ids.device)
        return inputs

    def get_input_embeddings(self) -> nn.Module:
        """The base's."""
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The base's."""
        return self.base.get_output_embeddings()

    def resize_token_embeddings(self, *_: Any, **__: Any) -> Any:
        """Refused: the head has a row for each token that it was trained with."""
        raise InputError("resize_token_embeddings: resize the base before its head is trained")

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:  # type: ignore[override]
        """Write head and configuration, not the base, to a folder: safetensors and JSON.

        Raises:
            InputError: the folder cannot be written; an option that would change what is written.
        """
        if unknown := sorted(options.keys() - _SAVED_ALIKE):
            raise InputError(f"save_pretrained: unknown option {unknown[0]!r}")
        adapter.save(Path(save_directory), self.base, self.head, self.t3_config)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        folder: str | Path,
        base: PreTrainedModel | str | Path | None = None,
        check_base: bool = True,
        **kwargs: Any,
    ) -> T3ForCausalLM:
        """The model of a saved adapter.

        Args:
            folder: what :meth:`save_pretrained` wrote.
            base: a model in hand, a folder or a hub name; default the one the adapter names.
            check_base: refuse a base that is not the one the head was trained for.
            kwargs: for the base's `from_pretrained` (dtype, device_map, …).

        Raises:
            InputError: a file is missing or cut short, or the base is another one.
        """
        description, head = adapter.load(Path(folder))
        if not isinstance(base, PreTrainedModel):
            with named_base(folder, description.base, base) as name:
                base = cast(PreTrainedModel, load_causal_lm(name, **kwargs))
        if check_base:
            adapter.check_base(base, head, description, folder)
        return cls(base, head, description.t3).eval()


def _output(loss: Tensor | None, scores: Tensor, output: Any) -> CausalLMOutputWithPast:
    """Another of the base's output, whatever else that holds, with these scores and this loss."""
    values = dict(output.items())  # the base's own stays as it is: others may hold it
    values["logits"] = scores
    if loss is not None:
        values["loss"] = loss
    return cast(CausalLMOutputWithPast, type(output)(**values))


def _check_mask(mask: Tensor, hidden: Tensor) -> None:
    if mask.ndim != 2:
        raise InputError(
            f"attention_mask: expected (batch, length), got {mask.ndim} dimensions; "
            "pass the mask of tokens as pooling_mask beside it"
        )
    if mask.shape[0] != hidden.shape[0] or mask.shape[1] < hidden.shape[1]:
        raise InputError(
            f"attention_mask: expected (batch, past + length) for {tuple(hidden.shape[:2])} "
            f"tokens, got {tuple(mask.shape)}"
        )


def _kept(states: Tensor, keep: int | Tensor) -> Tensor:
    """The positions that `logits_to_keep` names, in all the forms that transformers takes."""
    if isinstance(keep, int):
        return states[:, -keep:] if 0 < keep < states.shape[1] else states
    if keep.ndim == 1:
        return states[:, keep]
    if keep.dtype == torch.bool:
        return states[keep]
    return states[torch.arange(len(states), device=states.device)[:, None], keep]
