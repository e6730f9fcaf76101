"""From a published loss on tensors to a number for a batch: what each method needs of a model."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from llm.baselines import rmu
from llm.baselines.answers import Answers
from llm.baselines.assistant import WithAssistant, first_layers
from llm.baselines.gradascent import gradascent
from llm.baselines.idkdpo import idkdpo
from llm.baselines.npo import npo
from llm.baselines.simnpo import simnpo
from llm.baselines.uld import assistant_loss
from llm.baselines.undial import undial
from llm.encoding import Encoded, collate
from llm.pretrain import answer_states
from t3theory.exceptions import InputError

__all__ = ["OBJECTIVES", "Material", "Objective"]


class Objective(NamedTuple):
    """What is trained, by which loss, and what is decoded then.

    Attributes:
        loss: (indices of forget rows, indices of retain rows) → what to minimise.
        trained: the parameters that change.
        model: what to evaluate.
    """

    loss: Callable[[list[int], list[int]], Float[Tensor, ""]]
    trained: list[torch.nn.Parameter]
    model: PreTrainedModel


@dataclass(frozen=True)
class Material:
    """All that an objective is made from.

    Attributes:
        model: the full model, which training changes in place.
        refusals: row i asks the question of forget row i and refuses to answer.
        constants: the method's own configuration.
    """

    model: PreTrainedModel
    forget: Sequence[Encoded]
    retain: Sequence[Encoded]
    refusals: Sequence[Encoded]
    constants: dict[str, Any]
    batch_size: int
    seed: int

    def states(self, model: PreTrainedModel, rows: Sequence[Encoded]) -> tuple[Tensor, ...]:
        """(final hidden states, targets, rows) at the positions that predict answer tokens."""
        return answer_states(model, collate(rows, model.config.pad_token_id).to(model.device))

    def by_row(self, model: PreTrainedModel, rows: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
        """log π(y|x) and |y| of each row."""
        logits, targets, owner = self.logits(model, rows)
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        zero = losses.new_zeros(len(rows))
        return -zero.index_add(0, owner, losses), zero.index_add(0, owner, torch.ones_like(losses))

    def logits(self, model: PreTrainedModel, rows: Sequence[Encoded]) -> tuple[Tensor, ...]:
        """(logits, targets, rows) at the positions that predict answer tokens, float32."""
        states, targets, owner = self.states(model, rows)
        return model.get_output_embeddings()(states).to(torch.float32), targets, owner

    def references(self, rows: Sequence[Encoded]) -> Float[Tensor, " rows"]:
        """log π_ref(y|x) of every row, from the model as it is now."""
        with torch.no_grad():
            starts = range(0, len(rows), self.batch_size)
            parts = [self.by_row(self.model, rows[i : i + self.batch_size])[0] for i in starts]
        return torch.cat(parts)

    def retain_loss(self, kept: list[int]) -> Float[Tensor, ""]:
        """The mean loss a token of retain answers, times the method's `retain_weight`."""
        log_prob, length = self.by_row(self.model, _at(self.retain, kept))
        return -self.constants["retain_weight"] * log_prob.sum() / length.sum()

    def whole(self, loss: Callable[[list[int]], Tensor]) -> Objective:
        """All weights trained by a loss on forget rows and the retain loss."""

        def both(lost: list[int], kept: list[int]) -> Tensor:
            found = loss(lost)
            return found + self.retain_loss(kept) if self.constants["retain_weight"] else found

        return Objective(both, list(self.model.parameters()), self.model)

    def frozen(self) -> PreTrainedModel:
        """A copy of the model as it is now, which does not change."""
        return copy.deepcopy(self.model).eval().requires_grad_(False)


def _at(rows: Sequence[Encoded], indices: list[int]) -> list[Encoded]:
    return [rows[i] for i in indices]


def _of_answers(loss: Callable[..., Tensor], *names: str) -> Callable[[Material], Objective]:
    """A method whose loss is a function of `Answers` and of the constants in `names`."""

    def build(m: Material) -> Objective:
        reference, constants = m.references(m.forget), {name: m.constants[name] for name in names}

        def on_forget(lost: list[int]) -> Tensor:
            log_prob, length = m.by_row(m.model, _at(m.forget, lost))
            return loss(Answers(log_prob, reference[lost], length), **constants)

        return m.whole(on_forget)

    return build


def _idkdpo(m: Material) -> Objective:
    if len(m.refusals) != len(m.forget):
        raise InputError(f"idkdpo: expected {len(m.forget)} refusals, got {len(m.refusals)}")
    references = m.references(m.forget), m.references(m.refusals)

    def on_forget(lost: list[int]) -> Tensor:
        forget, refusal = (
            Answers(log_prob, reference[lost], length)
            for rows, reference in zip((m.forget, m.refusals), references, strict=True)
            for log_prob, length in [m.by_row(m.model, _at(rows, lost))]
        )
        return idkdpo(forget, refusal, m.constants["beta"])

    return m.whole(on_forget)


def _undial(m: Material) -> Objective:
    before = m.frozen()

    def on_forget(lost: list[int]) -> Tensor:
        rows = _at(m.forget, lost)
        with torch.no_grad():
            teacher = m.logits(before, rows)[0]
        logits, targets, _ = m.logits(m.model, rows)
        return undial(logits, teacher, targets, m.constants["strength"])

    return m.whole(on_forget)


_DOWN = re.compile(r"model\.layers\.(\d+)\.mlp\.down_proj\.weight")


def _rmu(m: Material) -> Objective:
    """Steered at the middle layer; what changes is the outward matrix of it and of two below."""
    before, model = m.frozen(), m.model
    layer = (model.config.num_hidden_layers - 1) // 2

    def at_layer(which: Any, rows: list[Encoded]) -> tuple[Tensor, Tensor]:
        batch = collate(rows, model.config.pad_token_id).to(model.device)
        caught: list[Tensor] = []

        def catch(_module: Any, _args: Any, output: Any) -> None:
            caught.append(output[0] if isinstance(output, tuple) else output)

        handle = which.model.layers[layer].register_forward_hook(catch)
        try:
            which.model(input_ids=batch.input_ids, use_cache=False)
        finally:
            handle.remove()
        # The states of the answer's own tokens, as published: not those that predict them.
        row, place = (batch.labels >= 0).nonzero(as_tuple=True)
        return caught[0][row, place], row

    with torch.no_grad():
        usual = at_layer(before, list(m.forget[: m.batch_size]))[0].norm(dim=-1).mean()
    norm = m.constants["steering"] * float(usual)
    target = rmu.control_vector(model.config.hidden_size, norm, m.seed).to(model.device)

    def loss(lost: list[int], kept: list[int]) -> Tensor:
        states, rows = at_layer(model, _at(m.forget, lost))
        steered = rmu.state_distance(states, target, rows, len(lost))
        with torch.no_grad():
            wanted, _ = at_layer(before, _at(m.retain, kept))
        states, rows = at_layer(model, _at(m.retain, kept))
        held = rmu.state_distance(states, wanted, rows, len(kept))
        return steered + m.constants["retain_weight"] * held

    layers = {n: _DOWN.fullmatch(n) for n, _ in model.named_parameters()}
    near = {n for n, found in layers.items() if found and layer - 2 <= int(found[1]) <= layer}
    return Objective(loss, [p for n, p in model.named_parameters() if n in near], model)


def _uld(m: Material) -> Objective:
    assistant = first_layers(m.model, m.constants["layer_share"])
    both = WithAssistant(m.model, assistant, m.constants["weight"], m.constants["relative_top"])

    def loss(lost: list[int], kept: list[int]) -> Tensor:
        log_prob, length = m.by_row(assistant, _at(m.forget, lost))
        logits = m.logits(assistant, _at(m.retain, kept))[0]
        answers = Answers(log_prob, torch.zeros_like(log_prob), length)
        return assistant_loss(answers, logits, m.constants["uniform_weight"])

    return Objective(loss, list(assistant.parameters()), both)


OBJECTIVES: dict[str, Callable[[Material], Objective]] = {
    "gradascent": _of_answers(gradascent),
    "graddiff": _of_answers(gradascent),
    "npo": _of_answers(npo, "beta"),
    "simnpo": _of_answers(simnpo, "beta", "margin"),
    "idkdpo": _idkdpo,
    "rmu": _rmu,
    "undial": _undial,
    "uld": _uld,
}
"""Method -> what makes its objective."""
