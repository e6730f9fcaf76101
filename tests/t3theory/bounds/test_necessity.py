"""F by numbers worked out by hand, and what it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest

from t3theory import AssumptionError
from t3theory.bounds import necessity_forget_error, necessity_instance


def test_by_hand():
    m, f = necessity_instance(8.0, 0.25, epsilon=0.5)
    assert m.retain.tolist() == [1.0, 0.0]
    assert m.forget.tolist() == [0.0, 1.0]
    assert m.reference.tolist() == [1.0, 0.125]
    assert m.gamma == 0.25
    assert f.tolist() == [1.0, 0.5]
    # δ = γ log 2 makes ε = 1/2: FE_1 = γεh/(1−γ(1−ε)) = 1/(7/8)
    delta = 0.25 * np.log(2.0)
    assert necessity_instance(8.0, 0.25, delta=delta)[1] == pytest.approx([1.0, 0.5], rel=1e-15)
    assert necessity_forget_error(8.0, 0.25, delta) == pytest.approx(8 / 7, rel=1e-15)
    # T = 2: √(8/3)·½ / (1 + √(8/3)/16)
    root = (8 / 3) ** 0.5
    wanted = root / 2 / (1 + root / 16)
    assert necessity_forget_error(8.0, 0.25, delta, 2.0) == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize("given", [{"epsilon": 0.0}, {"delta": 0.0}])
def test_no_leak_is_allowed(given):
    assert necessity_instance(1.0, 0.5, **given)[1].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("h", "given", "said"),
    [
        (1.0, {}, "epsilon, delta must be given one, not both, got (None, None)"),
        (1.0, {"epsilon": 0.1, "delta": 0.1}, "epsilon, delta must be given one, not both, got (0"),
        (0.0, {"epsilon": 0.1}, "h must be positive and finite, got 0.0"),
        (np.inf, {"epsilon": 0.1}, "h must be positive and finite, got inf"),
        (1.0, {"delta": -0.1}, "delta must be ≥ 0 and finite, got -0.1"),
        (1.0, {"delta": np.inf}, "delta must be ≥ 0 and finite, got inf"),
        (1.0, {"epsilon": -0.1}, "epsilon must lie in [0, 1), got -0.1"),
        (1.0, {"epsilon": 1.0}, "epsilon must lie in [0, 1), got 1.0"),
        (1.0, {"epsilon": np.nan}, "epsilon must lie in [0, 1), got nan"),
    ],
)
def test_wrong_use_is_named(h, given, said):
    with pytest.raises(AssumptionError, match="^" + re.escape(said)):
        necessity_instance(h, 0.5, **given)


@pytest.mark.parametrize("temperature", [1.5, 2.0, 8.0])
def test_the_bound_above_one_is_attained(temperature):
    """FE_T ≤ (γh/(1−γ))^{1/T}, which 1 % less would make false."""
    h, gamma = 1e12, 0.1
    found = necessity_forget_error(h, gamma, 5.0, temperature)
    assert 0.99 <= found / (gamma * h / (1 - gamma)) ** (1 / temperature) <= 1


def test_a_share_cooled_beyond_the_floats_reaches_all_mass_on_the_forget_data():
    """(γh/(1−γ))^{1000} has no float64; the error tends to h."""
    assert necessity_forget_error(1e3, 0.5, 1.0, 1e-3) == pytest.approx(1e3, rel=1e-12)
    assert necessity_forget_error(1e3, 0.5, 0.0, 1e-3) == 0.0


@pytest.mark.parametrize("temperature", [1e-308, 1e-300, 1e-3])
def test_at_temperatures_near_zero_all_mass_is_on_the_spike(temperature):
    """p^{1/T} is then all on the densest atom: the error is h, where the leak is above 1."""
    assert necessity_forget_error(10.0, 0.1, 0.01, temperature) == pytest.approx(10.0, rel=1e-12)
