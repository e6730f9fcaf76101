"""A small neural network as classifier; the only place in `sims` where torch is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np

from sims.features import cosine_features
from t3theory.exceptions import InputError

__all__ = ["available", "network"]

_FEATURES, _WIDTH, _RATE = 32, 32, 1e-2


def available() -> None:
    """Refuse, where torch is not installed, before any work starts.

    Raises:
        InputError: says what to install.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError("learner: network needs torch, which is not installed (the `llm` extra)")


def network(
    counts: np.ndarray, steps: Sequence[int], generator: np.random.Generator
) -> dict[int, np.ndarray]:
    """Two layers on cosine features of the atom's place, full-batch Adam on the mean log-loss.

    Nothing regularises it but stopping.

    Args:
        counts: labelled draws, row 0 retain, row 1 forget, shape (2, n_atoms).
        steps: when to look; the largest is the last step taken.
        generator: seeds the first weights.
    Returns:
        steps -> log-odds on the atoms, shape (n_atoms,).
    Raises:
        InputError: torch is not installed.
    """
    available()
    import torch
    from torch.nn.functional import softplus

    features = torch.from_numpy(cosine_features(counts.shape[1], _FEATURES)).float()
    weight = torch.from_numpy(counts / counts.sum()).float()
    own = torch.Generator().manual_seed(int(generator.integers(2**63)))
    first = torch.randn(_FEATURES, _WIDTH, generator=own) / _FEATURES**0.5
    last = torch.randn(_WIDTH, generator=own) / _WIDTH**0.5
    parameters = [first.requires_grad_(), torch.zeros(_WIDTH).requires_grad_()]
    parameters += [last.requires_grad_(), torch.zeros(()).requires_grad_()]
    optimiser = torch.optim.Adam(parameters, lr=_RATE)
    wanted, kept = set(steps), {}
    for step in range(1, max(steps) + 1):
        log_odds = torch.relu(features @ parameters[0] + parameters[1]) @ last + parameters[3]
        loss = weight[0] @ softplus(-log_odds) + weight[1] @ softplus(log_odds)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in wanted:
            with torch.no_grad():
                hidden = torch.relu(features @ parameters[0] + parameters[1])
                kept[step] = (hidden @ last + parameters[3]).double().numpy()
    return kept
