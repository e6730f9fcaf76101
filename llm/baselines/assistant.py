"""Two models decoded as one: a base, and an assistant whose logits are subtracted."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel

from llm.baselines.uld import logit_difference
from t3theory.exceptions import InputError
from t3theory.records import write_json

__all__ = ["WithAssistant", "first_layers"]

SETTINGS = "uld.json"
"""The file, in a folder of a saved base, that says how to subtract what lies in `assistant`."""


def first_layers(model: PreTrainedModel, share: float) -> PreTrainedModel:
    """A copy with the first ⌊share · layers⌋ layers, at least one: what assistants start from."""
    smaller: Any = copy.deepcopy(model)
    kept = max(1, math.floor(share * smaller.config.num_hidden_layers))
    smaller.model.layers = smaller.model.layers[:kept]
    smaller.config.num_hidden_layers = kept
    return smaller


class WithAssistant(PreTrainedModel, GenerationMixin):
    """Scores of `logit_difference`; both models' keys and values in one cache.

    Args:
        base, assistant: Llama-architecture models of one vocabulary; the base is not changed.
        weight, relative_top: as in `logit_difference`.
    """

    _supports_sdpa = True
    base_model_prefix = "base"

    def __init__(
        self, base: PreTrainedModel, assistant: PreTrainedModel, weight: float, relative_top: float
    ) -> None:
        config = copy.deepcopy(base.config)
        below = base.config.num_hidden_layers
        # Caches have a place for each layer: the assistant's come after the base's.
        config.num_hidden_layers = below + assistant.config.num_hidden_layers
        super().__init__(config)
        self.base, self.assistant = base, assistant
        self.weight, self.relative_top = weight, relative_top
        self.generation_config = base.generation_config
        for i, layer in enumerate(self.assistant.model.layers):
            layer.self_attn.layer_idx = below + i
        self.uld_config = {"weight": weight, "relative_top": relative_top}

    base: Any
    assistant: Any

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        **inputs: Any,
    ) -> Any:
        """The base's output with scores (batch, kept positions, vocab) in the place of logits."""
        inputs |= {"input_ids": input_ids, "attention_mask": attention_mask}
        inputs["logits_to_keep"] = logits_to_keep
        if inputs.get("cache", inputs.get("past_key_values")) is None:
            inputs["use_cache"] = False  # each would make one of its own
        # The assistant first: the number of past tokens is read off the base's layers.
        theirs = self.assistant(**inputs).logits
        output = self.base(**inputs)
        output.logits = logit_difference(output.logits, theirs, self.weight, self.relative_top)
        return output

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The base's."""
        return self.base.prepare_inputs_for_generation(*args, **kwargs)

    def get_input_embeddings(self) -> nn.Module:
        """The base's."""
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The base's."""
        return self.base.get_output_embeddings()

    def save_pretrained(self, save_directory: str | Path, **_: Any) -> None:  # type: ignore[override]
        """Write both models and the settings to a folder."""
        folder = Path(save_directory)
        self.base.save_pretrained(folder)
        self.assistant.save_pretrained(folder / "assistant")
        write_json(folder / SETTINGS, self.uld_config)

    @staticmethod
    def found_in(folder: str | Path) -> bool:
        """Whether a folder holds such a pair."""
        return (Path(folder) / SETTINGS).is_file()

    @classmethod
    def from_pretrained(cls, folder: str | Path, **how: Any) -> WithAssistant:  # type: ignore[override]
        """The pair that :meth:`save_pretrained` wrote.

        Args:
            how: for `from_pretrained` of both models (dtype, device_map, …).
        Raises:
            InputError: the settings are damaged.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            weight, relative_top = settings["weight"], settings["relative_top"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder / SETTINGS}: expected a weight and a relative_top, {error!r}"
            ) from error
        base = AutoModelForCausalLM.from_pretrained(folder, **how)
        assistant = AutoModelForCausalLM.from_pretrained(folder / "assistant", **how)
        return cls(base, assistant, weight, relative_top).eval()
