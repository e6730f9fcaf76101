"""Every wrong argument of the theory's formulas is refused by name, requirement and value."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from t3theory import AssumptionError
from t3theory.bounds.guidance import fast_rate, retain_rate, slow_rate
from t3theory.bounds.necessity import necessity_forget_error, necessity_instance
from t3theory.bounds.pinsker import gap_bound, kl_inverse, local_pinsker, weighted_gap_bound
from t3theory.contexts import ContextMixture
from t3theory.gated_errors import gated_error_bounds
from t3theory.gating import (
    gate_guarantee,
    gate_signal,
    gated_temperature,
    retain_bias_bound,
    soft_gate_bias_bound,
)
from t3theory.samples import erm_excess_risk, heldout_risk_upper_bound, tabular_excess_risk
from t3theory.sequences import (
    position_retain_bound,
    risk_retain_bound,
    sequence_log_probabilities,
    sequence_retain_bound,
    tempered_sequence_retain_bound,
)
from t3theory.temperature import (
    bound_objective,
    optimal_temperature,
    pareto_front,
    spike_temperature,
    spike_worst_forget_error,
)

NAN = math.nan
M = ContextMixture([[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]], 0.1)
F = np.full((2, 2), 0.5)
Q = np.log(F)

POSITIVE = (0.0, -1.0, math.inf, NAN, "2", None, np.ones(2))
NONNEGATIVE = (-1e-300, math.inf, NAN, "0", np.zeros(3))
SHARE = (0.0, 1.0, 2.0, -0.1, NAN, "0.1")
AT_LEAST_ONE = (0.5, 0.0, math.inf, NAN, "1")
PROBABILITY = (-0.1, 1.1, NAN)
COUNT = (0, -3, 1.5, NAN, math.inf, "3")
UNIT_ARRAY = (3 * F, -F, NAN * F)

Call = Callable[[object], object]

# the argument's name, a call of it, values that the argument may not have
TABLE: dict[str, tuple[Call, tuple[object, ...]]] = {
    "excess_risk retain_rate": (lambda x: retain_rate(x, 0.1), NONNEGATIVE),
    "gamma retain_rate": (lambda x: retain_rate(0.1, x), SHARE),
    "forget_sup slow_rate": (lambda x: slow_rate(x, 0.1, 0.1), POSITIVE),
    "excess_risk slow_rate": (lambda x: slow_rate(1.0, x, 0.1), NONNEGATIVE),
    "gamma slow_rate": (lambda x: slow_rate(1.0, 0.1, x), SHARE),
    "forget_sup fast_rate": (lambda x: fast_rate(x, 0.1, 0.1, 0.9), POSITIVE),
    "gap fast_rate": (lambda x: fast_rate(1.0, x, 0.1, 0.9), NONNEGATIVE),
    "retain_on_forget fast_rate": (lambda x: fast_rate(1.0, 0.1, x, 0.9), NONNEGATIVE),
    "normaliser fast_rate": (lambda x: fast_rate(1.0, 0.1, 0.1, x), POSITIVE),
    "a local_pinsker": (lambda x: local_pinsker(x, 0.1), PROBABILITY),
    "k local_pinsker": (lambda x: local_pinsker(0.5, x), NONNEGATIVE),
    "overlap gap_bound": (lambda x: gap_bound(x, 0.1), PROBABILITY),
    "excess_risk gap_bound": (lambda x: gap_bound(0.1, x), NONNEGATIVE),
    "excess_risk weighted": (lambda x: weighted_gap_bound(M.joint, np.zeros(4), x), NONNEGATIVE),
    "log_weight weighted": (
        lambda x: weighted_gap_bound(M.joint, x, 0.1),
        (np.full(4, NAN), np.zeros(3), np.zeros((2, 2))),
    ),
    "a kl_inverse": (lambda x: kl_inverse(x, 0.1), PROBABILITY),
    "k kl_inverse": (lambda x: kl_inverse(0.1, x), (-1.0, NAN, "0")),
    "h instance": (lambda x: necessity_instance(x, 0.1, 0.1), POSITIVE),
    "gamma instance": (lambda x: necessity_instance(2.0, x, delta=0.1), SHARE),
    "epsilon instance": (lambda x: necessity_instance(2.0, 0.1, x), (-0.1, 1.0, NAN, "0")),
    "delta instance": (lambda x: necessity_instance(2.0, 0.1, delta=x), NONNEGATIVE),
    "h necessity": (lambda x: necessity_forget_error(x, 0.1, 0.1), POSITIVE),
    "gamma necessity": (lambda x: necessity_forget_error(2.0, x, 0.1), SHARE),
    "delta necessity": (lambda x: necessity_forget_error(2.0, 0.1, x), NONNEGATIVE),
    "temperature necessity": (lambda x: necessity_forget_error(2.0, 0.1, 0.1, x), POSITIVE),
    "atoms tabular": (lambda x: tabular_excess_risk(x, 10), COUNT),
    "n tabular": (lambda x: tabular_excess_risk(10, x), COUNT[1:]),
    "n erm": (lambda x: erm_excess_risk(x, 1.0, 1.0), COUNT),
    "weight_norm erm": (lambda x: erm_excess_risk(9, x, 1.0), NONNEGATIVE),
    "feature_norm erm": (lambda x: erm_excess_risk(9, 1.0, x), NONNEGATIVE),
    "confidence erm": (lambda x: erm_excess_risk(9, 1.0, 1.0, x), SHARE),
    "approximation erm": (lambda x: erm_excess_risk(9, 1.0, 1.0, 0.9, x), NONNEGATIVE),
    "confidence heldout": (lambda x: heldout_risk_upper_bound([0.5], x, upper=1.0), SHARE),
    "upper heldout": (lambda x: heldout_risk_upper_bound([0.5], upper=x), POSITIVE),
    "losses heldout": (
        lambda x: heldout_risk_upper_bound([0.5, x], upper=1.0),
        (2.0, -0.1, NAN, math.inf),
    ),
    "f gate_signal": (lambda x: gate_signal(M, x), (*UNIT_ARRAY, 0.5, np.ones(2))),
    "f estimate": (lambda x: M.estimate(x), (*UNIT_ARRAY, 0.5, np.ones(2))),
    "f excess_risk": (lambda x: M.excess_risk(x), (*UNIT_ARRAY, np.full(4, 0.5))),
    "temperature estimate": (
        lambda x: M.estimate(F, x),
        (0.0, -1.0, NAN, math.inf, np.ones(3), np.ones((2, 1)), np.asarray([1.0, NAN])),
    ),
    "log_q retain_errors": (lambda x: M.retain_errors(x), (NAN * Q, Q[0], math.inf * F)),
    "log_q forget_error": (lambda x: M.forget_error(x), (NAN * Q, Q[0], math.inf * F)),
    "signal": (lambda x: gated_temperature(x, 2.0), (NAN * F, 2 * F + 0.1, -F)),
    "threshold": (lambda x: gated_temperature(F, 2.0, x), (1.0, -0.1, NAN, "0")),
    "temperature gated": (lambda x: gated_temperature(F, x), AT_LEAST_ONE),
    "temperature bias": (lambda x: retain_bias_bound(x, 3, F), (F, NAN * F, math.inf * F)),
    "outcomes bias": (lambda x: retain_bias_bound(2 + F, x, F), COUNT),
    "forget_share bias": (lambda x: retain_bias_bound(2 + F, 3, x), (2.1 * F, -F, NAN * F)),
    "excess_risk gate": (lambda x: gate_guarantee(M, x, 2.0), NONNEGATIVE),
    "temperature gate": (lambda x: gate_guarantee(M, 0.1, x), AT_LEAST_ONE),
    "threshold gate": (lambda x: gate_guarantee(M, 0.1, 2.0, x), SHARE),
    "lower_threshold gate": (
        lambda x: gate_guarantee(M, 0.1, 2.0, 0.3, x),
        (0.3, -0.1, NAN, "0"),
    ),
    "excess_risk gated_errors": (lambda x: gated_error_bounds(M, x, 2.0), NONNEGATIVE),
    "temperature gated_errors": (lambda x: gated_error_bounds(M, 0.1, x), AT_LEAST_ONE),
    "threshold gated_errors": (lambda x: gated_error_bounds(M, 0.1, 2.0, x), SHARE),
    "lower_threshold gated_errors": (
        lambda x: gated_error_bounds(M, 0.1, 2.0, 0.3, x),
        (0.3, -0.1, NAN, "0"),
    ),
    "excess_risk soft": (lambda x: soft_gate_bias_bound(M, x, 2.0), NONNEGATIVE),
    "temperature soft": (lambda x: soft_gate_bias_bound(M, 0.1, x), AT_LEAST_ONE),
    "gamma sequence": (lambda x: sequence_retain_bound([0.1], x), SHARE),
    "excess_risks sequence": (lambda x: sequence_retain_bound([0.1, x], 0.1), NONNEGATIVE),
    "excess_risk position": (lambda x: position_retain_bound(M, x), NONNEGATIVE),
    "temperature position": (
        lambda x: position_retain_bound(M, 0.1, x),
        (0.5, math.inf, NAN, np.asarray([1.0, 0.5]), np.ones(3)),
    ),
    "temperature risk": (
        lambda x: risk_retain_bound(M, 0.1, x),
        (0.5, math.inf, NAN, np.asarray([1.0, 0.5]), np.ones(3)),
    ),
    "excess_risks tempered": (
        lambda x: tempered_sequence_retain_bound([M], x, [1.0]),
        ([], [0.1, 0.1]),
    ),
    "log_conditionals": (sequence_log_probabilities, ([], [Q], [Q[:1], Q[:1]])),
    "excess_risk objective": (lambda x: bound_objective(M.joint, x, "forget_error"), NONNEGATIVE),
    "quantity": (lambda x: bound_objective(M.joint, 0.1, x), ("forget", "", None)),
    "grid": (lambda x: optimal_temperature(float, grid=x), (1, *COUNT)),
    "temperatures": (
        lambda x: optimal_temperature(float, temperatures=x),
        ((2.0, 1.0), (0.0, 2.0), (1.0, math.inf), (NAN, 2.0), (1.0, NAN)),
    ),
    "forget optimal": (lambda x: optimal_temperature(lambda _: x), (NAN, "1")),
    "retain optimal": (lambda x: optimal_temperature(float, lambda _: x), (NAN, "1")),
    "retain_budget": (lambda x: optimal_temperature(float, float, x), (NAN, 0.5)),
    "temperatures front": (lambda x: pareto_front(float, float, [1.0, x]), POSITIVE),
    "forget front": (lambda x: pareto_front(lambda _: x, float, [1.0]), (NAN,)),
    "retain front": (lambda x: pareto_front(float, lambda _: x, [1.0]), (NAN,)),
    "h spike": (lambda x: spike_temperature(x, 0.1, 0.1), (1.0, *POSITIVE)),
    "gamma spike": (lambda x: spike_temperature(9.0, x, 0.1), SHARE),
    "excess_risk spike": (lambda x: spike_temperature(9.0, 0.1, x), NONNEGATIVE),
    "h worst": (lambda x: spike_worst_forget_error(x, 0.1, 0.1), (1.0, *POSITIVE)),
    "gamma worst": (lambda x: spike_worst_forget_error(9.0, x, 0.1), SHARE),
    "excess_risk worst": (lambda x: spike_worst_forget_error(9.0, 0.1, x), NONNEGATIVE),
    "temperature worst": (lambda x: spike_worst_forget_error(9.0, 0.1, 0.1, x), (0.0, -2.0, NAN)),
}


@pytest.mark.parametrize("case", TABLE)
def test_wrong_arguments_are_named(case):
    call, values = TABLE[case]
    name = case.split()[0]
    for value in values:
        with np.errstate(all="ignore"), pytest.raises(AssumptionError) as caught:
            call(value)
        message = str(caught.value)
        assert caught.value.symbol == name, (value, message)
        assert " must " in message, (value, message)
        assert ", got " in message, (value, message)
        assert "\n" not in message, (value, message)


def test_numbers_of_every_kind_are_taken():
    """An integer, NumPy's scalars and 0-d arrays are numbers; a whole float is a count."""
    for kind in (int, float, np.float32, np.int64, np.asarray):
        assert retain_rate(kind(1), 0.5) == 2.0
        assert necessity_forget_error(kind(4), 0.5, kind(0)) == 0.0
        assert tabular_excess_risk(kind(2), 1e1) == 2 / 11
