"""The estimator by numbers worked out by hand, and every kind of number it may be given."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
import torch

from t3theory import AssumptionError, Mixture, temper_then_tilt, tilted_score
from t3theory.errors import forget_error, retain_error

P, F = np.log([0.64, 0.36]), np.log([0.25, 1.0])
KINDS = [
    float, np.float32, np.float64, np.asarray, lambda x: np.full(2, x),
    torch.tensor, lambda x: torch.full((2,), x), array_api_strict.asarray,
]  # fmt: skip
WHOLE = [
    int,
    np.int64,
    np.int32,
    np.uint8,
    lambda x: np.asarray(int(x)),
    lambda x: torch.tensor(int(x)),
]


def test_by_hand():
    # √0.64·¼ = 0.2 and √0.36·1 = 0.6
    assert tilted_score(P, F, 2.0) == pytest.approx(np.log([0.2, 0.6]))
    assert np.exp(temper_then_tilt(P, F, 2.0)) == pytest.approx([0.25, 0.75])
    # √0.64·½ = 0.4, and with measure 3 on the second atom 0.4/(0.4 + 3·0.6)
    found = np.exp(temper_then_tilt(P, F, 2.0, 0.5, np.log([1.0, 3.0])))
    assert found == pytest.approx([0.4 / 2.2, 0.6 / 2.2])
    # with a square of f, √0.64/16 = 0.05
    assert np.exp(tilted_score(P, F, 2.0, 2.0)) == pytest.approx([0.05, 0.6])
    # T = 2 and s = 1 unless said otherwise
    assert tilted_score(P, F) == pytest.approx(tilted_score(P, F, 2.0, 1.0))
    assert temper_then_tilt(P, F) == pytest.approx(temper_then_tilt(P, F, 2.0, 1.0))


@pytest.mark.parametrize("convert", [np.array, torch.tensor, array_api_strict.asarray])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_written_over_only_when_asked(convert, scale):
    log_p, log_f = convert(P.copy()), convert(F.copy())
    want = tilted_score(log_p, log_f, 2.0, scale)
    assert np.array_equal(log_p, P)
    assert np.array_equal(log_f, F)
    got = tilted_score(log_p, log_f, 2.0, scale, overwrite=True)
    assert np.array_equal(got, want)
    # No fresh memory, and none passed over, where one of the two is all that is needed.
    assert (got is log_p) == (scale == 0)
    assert (got is log_f) == (scale == 1)


def test_along_another_axis():
    log_p = np.log([[0.64, 0.1], [0.36, 0.9]])
    log_f = np.log([[0.25, 1.0], [1.0, 1.0]])
    found = np.exp(temper_then_tilt(log_p, log_f, 2.0, axis=0))
    assert found[:, 0] == pytest.approx([0.25, 0.75])
    assert found.sum(axis=0) == pytest.approx([1.0, 1.0])
    for rows in (2, 3):  # as many as there are atoms would hide a sum over the wrong axis
        many = np.exp(temper_then_tilt(np.tile(P, (rows, 1)), F, 2.0))
        assert many == pytest.approx(np.tile([0.25, 0.75], (rows, 1)))


@pytest.mark.parametrize("convert", [torch.tensor, array_api_strict.asarray])
def test_a_list_beside_an_array_becomes_one(convert):
    want = temper_then_tilt(P, F, 2.0, 1.0, P)
    for arguments in ((convert(P), F.tolist()), (P.tolist(), convert(F))):
        found = temper_then_tilt(*arguments, 2.0, 1.0, P.tolist())
        assert type(found) is type(convert(P))
        assert np.asarray(found) == pytest.approx(want, rel=1e-12)


def test_decoding_does_not_look_into_tensors():
    for settings in ((torch.tensor(-1.0), 1.0), (1.0, torch.tensor(-1.0))):
        assert torch.all(torch.isfinite(tilted_score(torch.tensor(P), torch.tensor(F), *settings)))


def arrays(kind, x):
    value = kind(x)
    if isinstance(value, torch.Tensor):
        return torch.tensor(P), torch.tensor(F), value
    if type(value).__module__.startswith("array_api_strict"):
        return array_api_strict.asarray(P), array_api_strict.asarray(F), value
    return P, F, value


@pytest.mark.parametrize("kind", KINDS + WHOLE)
def test_numbers_of_any_kind_mean_the_same(kind):
    log_p, log_f, value = arrays(kind, 3.0)
    found = temper_then_tilt(log_p, log_f, value, value)
    assert np.asarray(found) == pytest.approx(temper_then_tilt(P, F, 3.0, 3.0), rel=1e-6)
    assert found.dtype == log_p.dtype


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_wrong_settings_of_any_kind_are_refused(kind, bad):
    log_p, log_f, value = arrays(kind, bad)
    with pytest.raises(
        AssumptionError, match=rf"^temperature\S* must be positive and finite, got {bad}$"
    ):
        temper_then_tilt(log_p, log_f, value)
    with pytest.raises(
        AssumptionError, match=rf"^guidance_scale\S* must be ≥ 0 and finite, got {bad}$"
    ):
        temper_then_tilt(log_p, log_f, 2.0, value)
    if not isinstance(value, torch.Tensor | type(array_api_strict.asarray(0.0))):
        with pytest.raises(AssumptionError, match="temperature"):
            tilted_score(log_p, log_f, value)
        with pytest.raises(AssumptionError, match="guidance_scale"):
            tilted_score(log_p, log_f, 2.0, value)


@pytest.mark.parametrize("kind", KINDS + WHOLE)
def test_zero_is_no_temperature_but_a_scale(kind):
    log_p, log_f, value = arrays(kind, 0.0)
    with pytest.raises(AssumptionError, match="temperature"):
        temper_then_tilt(log_p, log_f, value)
    none = -np.inf * (log_f * 0 + 1)  # switched off, even where log f = −inf
    found = temper_then_tilt(log_p, none, 1.0, value)
    assert np.asarray(found) == pytest.approx(P, rel=1e-6)


def test_the_first_wrong_temperature_is_named():
    with pytest.raises(AssumptionError, match=r"^temperature\[1\] must be .*, got -3.0$"):
        temper_then_tilt(P, F, np.asarray([1.0, -3.0]))


def test_a_tilt_that_leaves_nothing_is_refused():
    with pytest.raises(AssumptionError, match=r"^log_f.* must leave some mass"):
        temper_then_tilt(np.asarray([0.0, -np.inf]), np.asarray([-np.inf, 0.0]))


def test_single_precision_is_kept_and_half_is_lifted():
    single, half = (tilted_score(P.astype(kind), F.astype(kind)) for kind in ("f4", "f2"))
    assert single.dtype == half.dtype == np.float32


@pytest.mark.parametrize("gamma", [np.float32(0.25), np.float64(0.25), np.asarray(0.25)])
def test_a_share_is_a_number_of_any_kind(gamma):
    m = Mixture([0.5, 0.5], [0.0, 1.0], gamma)
    assert type(m.gamma) is float
    assert m.probabilities == pytest.approx([0.375, 0.625])


def test_a_share_that_is_no_number_is_named():
    with pytest.raises(AssumptionError, match="gamma must be one number, got ndarray"):
        Mixture([0.5, 0.5], [0.0, 1.0], np.asarray([0.1, 0.2]))
    with pytest.raises(AssumptionError, match="gamma must be one number, got str"):
        Mixture([0.5, 0.5], [0.0, 1.0], "0.1")
    for gamma in (0, 1, 0.0, 1.0, -0.5, float("nan"), np.float32(2.0)):
        with pytest.raises(AssumptionError, match=r"gamma must lie in \(0, 1\), got"):
            Mixture([0.5, 0.5], [0.0, 1.0], gamma)


@pytest.mark.parametrize("error", [retain_error, forget_error])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 3), (4,)])
def test_errors_refuse_another_shape(error, shape):
    m = Mixture([0.5, 0.3, 0.2], [0.0, 0.0, 1.0], 0.1)
    with pytest.raises(AssumptionError, match=r"log_q must have shape \(3,\), got \("):
        error(m, np.zeros(shape))
