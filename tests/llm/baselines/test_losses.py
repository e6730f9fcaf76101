"""The baselines' losses against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from llm.baselines.answers import Answers
from llm.baselines.graddiff import graddiff
from llm.baselines.npo import npo
from llm.baselines.simnpo import simnpo

LOG_PROB, REFERENCE, LENGTH = [-2.0, -6.0], [-1.0, -2.0], [4.0, 2.0]


@pytest.fixture
def answers():
    return Answers(
        torch.tensor(LOG_PROB, dtype=torch.float64, requires_grad=True),
        torch.tensor(REFERENCE, dtype=torch.float64),
        torch.tensor(LENGTH, dtype=torch.float64),
    )


def test_graddiff(answers):
    """(−2 − 6)/(4 + 2) = −4/3."""
    assert graddiff(answers).item() == pytest.approx(-4 / 3, rel=1e-15)


def test_npo(answers):
    """β = 1/2: (2/β)·mean of log(1 + e^{−1/2}) and log(1 + e^{−2})."""
    expected = 2 * (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-2.0)))
    assert npo(answers, beta=0.5).item() == pytest.approx(expected, rel=1e-14)


def test_npo_weighs_each_row_of_gradient_ascent_by_twice_a_sigmoid(answers):
    """∂L/∂ log π_i = 2σ(β log π_i/π_ref,i)/rows."""
    npo(answers, beta=0.5).backward()
    expected = [2 / (1 + math.exp(0.5)) / 2, 2 / (1 + math.exp(2.0)) / 2]
    assert answers.log_prob.grad.tolist() == pytest.approx(expected, rel=1e-14)


def test_simnpo(answers):
    """β = 2, γ = 1: mean of log(1 + e^{2·(−1/2)+1}) = log 2 and log(1 + e^{2·(−3)+1})."""
    expected = (math.log(2) + math.log1p(math.exp(-5.0))) / 2
    assert simnpo(answers, beta=2.0, margin=1.0).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("loss", [graddiff, npo, simnpo])
def test_every_loss_falls_as_a_forget_answer_becomes_less_likely(loss, answers):
    loss(answers).backward()
    assert (answers.log_prob.grad > 0).all()
