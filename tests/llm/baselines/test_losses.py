"""The baselines' losses against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from llm.baselines.answers import Answers
from llm.baselines.gradascent import gradascent
from llm.baselines.idkdpo import idkdpo
from llm.baselines.npo import npo
from llm.baselines.rmu import control_vector, state_distance
from llm.baselines.simnpo import simnpo
from llm.baselines.uld import assistant_loss, logit_difference
from llm.baselines.undial import undial

LOG_PROB, REFERENCE, LENGTH = [-2.0, -6.0], [-1.0, -2.0], [4.0, 2.0]


@pytest.fixture
def answers():
    return Answers(
        torch.tensor(LOG_PROB, dtype=torch.float64, requires_grad=True),
        torch.tensor(REFERENCE, dtype=torch.float64),
        torch.tensor(LENGTH, dtype=torch.float64),
    )


def test_gradascent(answers):
    """(−2 − 6)/(4 + 2) = −4/3."""
    assert gradascent(answers).item() == pytest.approx(-4 / 3, rel=1e-15)


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


def test_simnpo_is_the_published_one_at_its_constants(answers):
    """β = 4.5, γ = 0: (2/4.5)·mean log(1 + e^{−4.5·loss}), losses 1/2 and 3 nats a token."""
    expected = (math.log1p(math.exp(-2.25)) + math.log1p(math.exp(-13.5))) / 4.5
    assert simnpo(answers, beta=4.5, margin=0.0).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("loss", "constants"),
    [(gradascent, {}), (npo, {"beta": 0.1}), (simnpo, {"beta": 4.5, "margin": 0.0})],
)
def test_every_loss_falls_as_a_forget_answer_becomes_less_likely(loss, constants, answers):
    loss(answers, **constants).backward()
    assert (answers.log_prob.grad > 0).all()


def rows(log_prob, reference=(0.0, 0.0), length=(1.0, 1.0)):
    return Answers(*(torch.tensor(x, dtype=torch.float64) for x in (log_prob, reference, length)))


def test_idkdpo(answers):
    """β = 1/2. Refusals gained 1 and 0 nats, answers lost 1 and 4: margins 2 and 4.

    L = 4·mean log(1 + e^{−margin/2}) = 2 (log(1 + e^{−1}) + log(1 + e^{−2})).
    """
    refusal = rows([-3.0, -5.0], [-4.0, -5.0])
    expected = 2 * (math.log1p(math.exp(-1)) + math.log1p(math.exp(-2)))
    assert idkdpo(answers, refusal, beta=0.5).item() == pytest.approx(expected, rel=1e-14)


def test_idkdpo_with_refusals_that_do_not_change_is_npo(answers):
    still = rows([-3.0, -5.0], [-3.0, -5.0])
    both = idkdpo(answers, still, beta=0.1), npo(answers, beta=0.1)
    assert both[0].item() == pytest.approx(both[1].item(), rel=1e-14)


def test_undial():
    """Two words, teacher (log 3, 0), target the first, β = log 3: lowered to (0, 0), halves.

    Against a student of (log 3, 0), that is 3/4 and 1/4:
    H = −½ log ¾ − ½ log ¼ = log 4 − ½ log 3.
    """
    teacher = torch.tensor([[math.log(3), 0.0]], dtype=torch.float64)
    student = teacher.clone().requires_grad_(True)
    loss = undial(student, teacher, torch.tensor([0]), strength=math.log(3))
    assert loss.item() == pytest.approx(math.log(4) - math.log(3) / 2, rel=1e-14)
    loss.backward()
    # ∂H/∂z = softmax(z) − soft label = (3/4 − 1/2, 1/4 − 1/2).
    assert student.grad.tolist() == [pytest.approx([0.25, -0.25], rel=1e-14)]


def test_undial_is_least_at_the_lowered_teacher():
    """Gibbs: H(p, q) ≥ H(p), with equality at q = p alone."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    targets = torch.arange(5)
    lowered = teacher.clone()
    lowered[targets, targets] -= 2.0
    entropy = torch.distributions.Categorical(logits=lowered).entropy().mean().item()
    assert undial(lowered, teacher, targets, 2.0).item() == pytest.approx(entropy, rel=1e-13)
    assert undial(teacher, teacher, targets, 2.0).item() > entropy


def test_rmu_distance():
    """Rows of two tokens and of one, width 2, target (1, 0).

    Squares (0 + 4)/2 = 2 and (1 + 1)/2 = 1: mean 1.5; and (9 + 0)/2 = 4.5: mean 4.5. Mean 3.
    """
    states = torch.tensor([[1.0, 2.0], [0.0, 1.0], [4.0, 0.0]])
    found = state_distance(states, torch.tensor([1.0, 0.0]), torch.tensor([0, 0, 1]), 2)
    assert found.item() == 3.0


def test_rmu_control_vector_is_of_its_length_and_seed():
    vector = control_vector(16, 7.0, seed=3)
    # float32: sixteen squares summed.
    assert vector.norm().item() == pytest.approx(7.0, rel=1e-6)
    assert (vector >= 0).all()
    assert torch.equal(vector, control_vector(16, 7.0, seed=3))
    assert not torch.equal(vector, control_vector(16, 7.0, seed=4))


def test_uld_assistant(answers):
    """Forget: (2 + 6)/6 = 4/3. Retain: logits (log 3, 0), so H(uniform, ·) = log 4 − ½ log 3."""
    retain = torch.tensor([[math.log(3), 0.0]], dtype=torch.float64)
    expected = 4 / 3 + 6.5 * (math.log(4) - math.log(3) / 2)
    assert assistant_loss(answers, retain, 6.5).item() == pytest.approx(expected, rel=1e-14)


def test_uld_difference():
    """p = (½, ½ − ε, ε) beside z_a = log(¼, ½, ¼), α = ½: p/√π_a ∝ 2p₁ : √2 p₂, and p₃ untouched."""
    p = torch.tensor([0.5, 0.499, 0.001]).log()
    a = torch.tensor([0.25, 0.5, 0.25]).log()
    found = logit_difference(p, a, weight=0.5, relative_top=0.01).exp().tolist()
    # float32 logarithms and back.
    assert found == pytest.approx([1.0, 0.499 * math.sqrt(2), 0.001], rel=1e-5)
    everywhere = logit_difference(p, a, weight=0.5, relative_top=0.0).exp().tolist()
    assert everywhere[2] == pytest.approx(0.002, rel=1e-5)


def test_uld_subtracts_from_what_the_base_is_sure_of():
    """p = (0.97, 0.01, 0.01, 0.01), τ = ½ of 4 tokens: the likeliest two count, though one is below τ.

    z_a = (4, 0, 0, 0), α = 1: log p − z_a on the first, log p on the others.
    """
    p = torch.tensor([0.97, 0.0101, 0.01, 0.0099])
    z = torch.tensor([4.0, -1.0, 7.0, 7.0])
    found = logit_difference(p.log(), z, weight=1.0, relative_top=0.5).exp().tolist()
    expected = [0.97 * math.exp(-4), 0.0101 * math.e, 0.01, 0.0099]
    assert found == pytest.approx(expected, rel=1e-5)  # float32 logarithms and back
    alone = logit_difference(p.log(), z, weight=1.0, relative_top=0.2)
    assert alone.softmax(-1)[0] < 0.7, "τV = 0.8: the likeliest itself"


def test_uld_with_an_ignorant_assistant_changes_nothing():
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(4, 9, generator=generator)
    found = logit_difference(base, torch.zeros(4, 9), weight=0.8, relative_top=0.0)
    # A constant shift of float32 scores near 2.
    assert torch.allclose(found.softmax(-1), base.softmax(-1), atol=1e-6)
