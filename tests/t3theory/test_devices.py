"""Tensors on a device: NumPy's numbers, the CPU's gradients, and results that stay there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from devices import DEVICES

from t3theory import (
    AssumptionError,
    Mixture,
    bayes_classifier,
    bayes_log_odds,
    change_prior,
    excess_risk,
    forget_bias,
    forget_error,
    overlap,
    retain_bias,
    retain_error,
    temper_then_tilt,
    tilted_score,
)
from t3theory._xp import as_numpy
from t3theory.bounds import evaluate, guarantee
from t3theory.bounds.identity import chain_rule, normaliser_divergence
from t3theory.bounds.pinsker import weighted_gap_bound
from t3theory.classifier import excess_risk_of_log_odds, log_odds_of
from t3theory.contexts import ContextMixture
from t3theory.divergences import bernoulli_kl, kl_divergence
from t3theory.envelope import worst_case
from t3theory.errors import oracle_tilt
from t3theory.gated_errors import gated_error_bounds
from t3theory.gating import (
    gate_guarantee,
    gate_signal,
    gated_temperature,
    retain_bias_bound,
    soft_gate_bias_bound,
)
from t3theory.samples import heldout_risk_upper_bound
from t3theory.sequences import (
    position_retain_bound,
    positions,
    sequence_log_probabilities,
    tempered_sequence_retain_bound,
)
from t3theory.temperature import bound_objective

pytestmark = pytest.mark.parametrize("device", DEVICES)

# Elementary functions of another library, each good to a few roundings; NumPy's are too.
ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5}
TEMPERATURES = [1.0, 1.5, 2.0, 7.5, 100.0]
SCALES = [0.0, 0.5, 1.0, 3.0]


def extremes(kind: torch.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log p and log f from −700 to 0, an atom of each that is impossible, and log μ; of `kind`."""
    rng = np.random.default_rng(0)
    log_p, log_f = -rng.uniform(0, 700, (2, 6, 40))
    log_p[:, 0], log_f[:, 1] = -700.0, -700.0
    log_p[0], log_p[:, 2], log_f[:, 3] = np.linspace(-1e-3, 0, 40), -np.inf, -np.inf
    return tuple(_rounded(x, kind) for x in (log_p, log_f, rng.normal(size=40)))


def _rounded(x: np.ndarray, kind: torch.dtype) -> np.ndarray:
    return torch.tensor(x, dtype=kind).double().numpy()


def on(device: str, kind: torch.dtype = torch.float64, **options: Any) -> Any:
    """From NumPy to tensors of this kind there."""
    return lambda x: torch.tensor(np.asarray(x), dtype=kind, device=device, **options)


def assert_same(found: Any, wanted: Any, device: str, rounding: float, name: Any = "") -> None:
    """Alike relative to the largest number met, since a normaliser is subtracted; and in place."""
    if isinstance(found, torch.Tensor):
        assert found.device.type == device, name
    found, wanted = as_numpy(found), np.asarray(wanted, dtype=np.float64)
    size = max(1.0, np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0))
    np.testing.assert_allclose(
        found, wanted, rtol=rounding, atol=rounding * size, err_msg=str(name)
    )


@pytest.mark.parametrize("kind", ROUNDING)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("scale", SCALES)
def test_the_estimator_gives_numpys_numbers(device, kind, temperature, scale):
    log_p, log_f, log_mu = extremes(kind)
    there = [on(device, kind)(x) for x in (log_p, log_f, log_mu)]
    score = tilted_score(*there[:2], temperature, scale)
    assert score.dtype == kind
    # A score is a sum of numbers of one sign: each keeps its own digits.
    np.testing.assert_allclose(
        as_numpy(score), tilted_score(log_p, log_f, temperature, scale), rtol=ROUNDING[kind]
    )
    for reference in (None, 2):
        mu = () if reference is None else (1.0 * log_mu,)
        mu_there = () if reference is None else (there[2],)
        wanted = temper_then_tilt(log_p, log_f, temperature, scale, *mu)
        found = temper_then_tilt(*there[:2], temperature, scale, *mu_there)
        assert found.dtype == kind
        # What is subtracted are scores.
        rounding = ROUNDING[kind] * max(1.0, 700 / temperature * (1 + scale * temperature)) / 100
        assert_same(found, wanted, device, max(rounding, ROUNDING[kind]))
        mass = torch.logsumexp(found if reference is None else found + there[2], -1)
        assert float(mass.abs().max()) < 700 * (1 + scale) * ROUNDING[kind]


def test_settings_may_be_numbers_there_or_one_for_each_context(device):
    log_p, log_f, _ = extremes(torch.float64)
    there = [on(device)(x) for x in (log_p, log_f)]
    several = np.asarray([[1.0], [1.5], [2.0], [7.5], [30.0], [100.0]])
    for heat, scale in ((several, 1.0), (several, 0.1 * several), (2.0, 0.0 * several)):
        wanted = temper_then_tilt(log_p, log_f, heat, scale)
        settings = [x if isinstance(x, float) else on(device)(x) for x in (heat, scale)]
        assert_same(temper_then_tilt(*there, *settings), wanted, device, 1e-12)
    wanted = temper_then_tilt(log_p, log_f, 3.0, 2.0)
    for place in ("cpu", device):  # one number may stand on the CPU, as torch has it
        one = [torch.tensor(x, dtype=torch.float64, device=place) for x in (3.0, 2.0)]
        assert_same(temper_then_tilt(*there, *one), wanted, device, 1e-12)


def test_written_over_there_when_asked(device):
    log_p, log_f, _ = extremes(torch.float64)
    for scale in SCALES:
        wanted = tilted_score(log_p, log_f, 2.0, scale)
        found = tilted_score(on(device)(log_p), on(device)(log_f), 2.0, scale, overwrite=True)
        assert_same(found, wanted, device, 1e-12)


def test_gradients_are_the_cpus(device):
    rng = np.random.default_rng(1)
    log_p, log_f = -rng.uniform(0, 700, (2, 6, 40))
    weight, log_mu = rng.normal(size=(2, 6, 40))
    gradients = []
    for place in ("cpu", device):
        a, b = (on(place, requires_grad=True)(x) for x in (log_p, log_f))
        heat = on(place, requires_grad=True)([[1.0], [1.5], [2.0], [7.5], [30.0], [100.0]])
        log_q = temper_then_tilt(a, b, heat, 1.3, on(place)(log_mu))
        (on(place)(weight) * log_q.exp()).sum().backward()
        gradients.append([x.grad for x in (a, b, heat)])
    for found, wanted in zip(gradients[1], gradients[0], strict=True):
        # Exponentials of differences of numbers up to 1600: 1e-16 of those, and sums of forty.
        assert_same(found, wanted, device, 1e-11)
        assert float(found.abs().max()) > 0


def test_wrong_settings_are_refused_there(device):
    log_p, log_f, _ = extremes(torch.float64)
    there = [on(device)(x) for x in (log_p, log_f)]
    heat = on(device)([[1.0], [2.0], [-3.0], [0.0], [1.0], [1.0]])
    with pytest.raises(AssumptionError, match=r"^temperature\[2, 0\] must be .*, got -3.0$"):
        temper_then_tilt(*there, heat)
    none = torch.full_like(there[1], -torch.inf)
    with pytest.raises(AssumptionError, match=r"^log_f.* must leave some mass"):
        temper_then_tilt(there[0], none)
    with pytest.raises(AssumptionError, match=r"^retain\[1\] must be finite and ≥ 0, got -0.5$"):
        Mixture(on(device)([1.5, -0.5]), on(device)([0.5, 0.5]), 0.5)


def laws() -> list[np.ndarray]:
    """P_r, P_f with an atom each of their own, μ and f."""
    rng = np.random.default_rng(2)
    retain, forget = rng.dirichlet(np.ones(10), 2)
    retain, forget = (np.insert(retain, 0, 0.0), np.append(forget, 0.0))
    return [retain, forget, rng.uniform(0.1, 1, 11), rng.uniform(0.05, 0.95, 11)]


def of_a_mixture(array: Any) -> dict[str, Any]:
    """Everything that is asked of a mixture and a classifier."""
    retain, forget, mu, f = map(array, laws())
    m = Mixture(retain, forget, 0.2, mu)
    odds = log_odds_of(f)
    log_q = temper_then_tilt(m.log_density, odds - abs(odds), 2.0, 1.0, m.log_reference)
    found = {
        "log_probabilities": m.log_probabilities,
        "probabilities": m.probabilities,
        "log_density": m.log_density,
        "log_forget_density": m.log_forget_density,
        "density_sup": m.density_sup,
        "forget_density_sup": m.forget_density_sup,
        "reference_mass": m.reference_mass,
        "bayes_log_odds": bayes_log_odds(m),
        "bayes_classifier": bayes_classifier(m),
        "change_prior": change_prior(odds, 0.5, 0.1),
        "excess_risk": excess_risk(m, f),
        "excess_risk_of_log_odds": excess_risk_of_log_odds(m, odds),
        "overlap": overlap(m),
        "retain_error": retain_error(m, log_q),
        "forget_error": forget_error(m, log_q),
        "retain_bias": retain_bias(m, 2.0),
        "forget_bias": forget_bias(m, 2.0, 0.5),
        "oracle_tilt": oracle_tilt(m, 3.0),
        "kl_divergence": kl_divergence(m.log_retain, m.log_probabilities),
        "bernoulli_kl": bernoulli_kl(odds, odds / 2),
        "chain_rule": array(list(chain_rule(m, odds))),
        "normaliser_divergence": normaliser_divergence(m, odds),
        "weighted_gap_bound": weighted_gap_bound(m, odds, 0.01),
        "heldout": heldout_risk_upper_bound(f, upper=1.0),
        "objective": bound_objective(m, 0.01, "forget_error")(2.0),
    }
    for t in (1.0, 2.5):
        for b in (*evaluate(m, f, t), *evaluate(m, f, t, 0.5), *guarantee(m, 0.01, t)):
            found[f"{b.letter} {b.variant} {b.quantity} {t} {len(found)}"] = b.value
    return found


def test_a_mixture_there_gives_numpys_numbers(device):
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = of_a_mixture(np.asarray)
    found = of_a_mixture(on(device))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        # Bounds subtract numbers of order one.
        assert_same(found[name], value, device, 2e-11, name)


def test_single_precision_there(device):
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = of_a_mixture(np.asarray)
    found = of_a_mixture(on(device, torch.float32))
    for name in ("log_density", "bayes_log_odds", "excess_risk", "overlap", "oracle_tilt",
                 "retain_error", "forget_error", "retain_bias", "forget_bias"):  # fmt: skip
        # Logs of size ten, sums of eleven of them.
        assert_same(found[name], wanted[name], device, 1e-5, name)
        assert found[name].dtype == torch.float32


@pytest.mark.parametrize("quantity", ["retain_error", "forget_error"])
def test_worst_cases_of_a_mixture_there(device, quantity):
    retain, forget, mu, _ = laws()
    wanted = worst_case(Mixture(retain, forget, 0.2, mu), 0.01, 2.0, quantity)
    found = worst_case(Mixture(*map(on(device), (retain, forget)), 0.2, on(device)(mu)), 0.01, 2.0,
                       quantity)  # fmt: skip
    # It is searched for in NumPy wherever the mixture is.
    assert (found.lower, found.upper) == (wanted.lower, wanted.upper)


def joint() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P_r(c, y), P_f(c, y) and f: contexts of both kinds, of each alone, and an impossible one."""
    rng = np.random.default_rng(3)
    retain, forget = rng.dirichlet(np.ones(20), 2).reshape(2, 5, 4)
    retain[1], forget[2], retain[3], forget[3] = 0, 0, 0, 0
    return retain / retain.sum(), forget / forget.sum(), rng.uniform(0.05, 0.95, (5, 4))


def of_contexts(array: Any) -> dict[str, Any]:
    """Everything that is asked of a mixture over contexts."""
    retain, forget, f = map(array, joint())
    m = ContextMixture(retain, forget, 0.3)
    signal = gate_signal(m, f)
    heat = gated_temperature(signal, 3.0, soft=True)
    log_q = m.estimate(f, heat)
    cube = np.random.default_rng(4).dirichlet(np.ones(8), 2).reshape(2, 2, 2, 2)
    steps = positions(*map(array, cube), 0.2)
    learnt = [p.estimate(p.bayes_classifier, 1.5) for p in steps]
    return {
        "contexts": m.context_probabilities,
        "peaks": m.forget_peaks,
        "share": m.forget_share,
        "bayes": m.bayes_classifier,
        "excess_risk": m.excess_risk(f),
        "log_conditional": m.log_conditional,
        "log_retain_conditional": m.log_retain_conditional,
        "estimate": log_q,
        "at one T": m.estimate(f, 100.0),
        "retain_errors": m.retain_errors(log_q),
        "retain_error": m.retain_error(log_q),
        "forget_errors": m.forget_errors(log_q),
        "forget_error": m.forget_error(log_q),
        "signal": signal,
        "soft": heat,
        "hard": gated_temperature(signal, 3.0, 0.4),
        "bias": retain_bias_bound(heat, 4, m.forget_share),
        "guarantee": array(list(gate_guarantee(m, 0.01, 3.0))),
        "soft bias": soft_gate_bias_bound(m, 0.01, 3.0),
        "errors": array(list(gated_error_bounds(m, 0.001, 3.0))),
        "position": position_retain_bound(m, 0.01, heat),
        "tempered": tempered_sequence_retain_bound(steps, [0.01] * 3, [1.0, 2.0, 1.5]),
        "sequence": sequence_log_probabilities(learnt),
    }


def test_contexts_and_gates_there_give_numpys_numbers(device):
    wanted, found = of_contexts(np.asarray), of_contexts(on(device))
    for name, value in wanted.items():
        assert_same(found[name], value, device, 1e-12, name)
    for kind in ("bayes", "estimate", "signal", "soft", "hard", "bias", "sequence"):
        assert isinstance(found[kind], torch.Tensor)


def test_gradients_of_errors_and_gates_are_the_cpus(device):
    gradients = []
    for place in ("cpu", device):
        *mixture, f = joint()
        m = ContextMixture(*map(on(place), mixture), 0.3)
        f = on(place, requires_grad=True)(f)
        log_q = m.estimate(f, gated_temperature(gate_signal(m, f), 3.0, soft=True))
        (m.retain_errors(log_q).sum() + m.forget_errors(log_q).sum()).backward()
        retain, forget, mu, g = laws()
        whole = Mixture(*map(on(place), (retain, forget)), 0.2, on(place)(mu))
        g = on(place, requires_grad=True)(g)
        (excess_risk(whole, g) + forget_error(whole, oracle_tilt(whole, 2.0) + g)).backward()
        gradients.append([f.grad, g.grad])
    for found, wanted in zip(gradients[1], gradients[0], strict=True):
        assert_same(found, wanted, device, 1e-11)
        assert bool(torch.isfinite(found).all())


def test_lists_beside_tensors_go_where_those_are(device):
    retain, forget, mu, f = laws()
    whole = Mixture(*map(on(device), (retain, forget)), 0.2, on(device)(mu))
    for mixture in (
        Mixture(on(device)(retain), forget.tolist(), 0.2, mu.tolist()),
        Mixture(retain.tolist(), forget.tolist(), 0.2, on(device)(mu)),
    ):
        assert_same(mixture.log_forget_density, as_numpy(whole.log_forget_density), device, 1e-14)
        assert {x.device.type for x in (mixture.retain, mixture.forget)} == {device}
    level = [-math.log(len(f))] * len(f)
    for function, given in (
        (excess_risk, f), (retain_error, np.asarray(level)), (forget_error, np.asarray(level)),
        (excess_risk_of_log_odds, np.asarray(level)),
    ):  # fmt: skip
        assert_same(
            function(whole, given.tolist()), as_numpy(function(whole, on(device)(given))), device,
            1e-14,
        )  # fmt: skip
    assert [b.value for b in evaluate(whole, f.tolist(), 2.0)] == pytest.approx(
        [b.value for b in evaluate(whole, on(device)(f), 2.0)], rel=1e-13
    )
    for pair in ((on(device)(f), retain.tolist()), (f.tolist(), on(device)(retain))):
        found = temper_then_tilt(*pair, 2.0, 1.0, mu.tolist())
        assert_same(found, temper_then_tilt(f, retain, 2.0, 1.0, mu), device, 1e-12)
    kept, lost, g = joint()
    m = ContextMixture(kept.tolist(), on(device)(lost), 0.3)
    heat = [1.0, 2.0, 3.0, 1.0, 2.0]
    wanted = ContextMixture(kept, lost, 0.3)
    assert_same(m.estimate(g.tolist(), heat), wanted.estimate(g, heat), device, 1e-12)
    assert_same(
        m.retain_errors(wanted.estimate(g).tolist()), wanted.retain_errors(wanted.estimate(g)),
        device, 1e-12,
    )  # fmt: skip
    assert position_retain_bound(m, 0.01, heat) == pytest.approx(
        position_retain_bound(wanted, 0.01, heat), rel=1e-12
    )
    bias = retain_bias_bound(heat, 4, m.forget_share)
    assert_same(bias, retain_bias_bound(heat, 4, wanted.forget_share), device, 1e-12)
