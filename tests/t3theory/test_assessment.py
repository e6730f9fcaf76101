"""`t3 bounds`: what it reads, what it refuses, and that its parts agree."""

from __future__ import annotations

import numpy as np
import pytest

from t3theory import InputError
from t3theory.assessment import assess, read_instance

ARRAYS = {
    "retain": np.array([0.5, 0.5, 0.0]),
    "forget": np.array([0.0, 0.2, 0.8]),
    "gamma": np.array(0.1),
    "reference": np.array([0.5, 0.499, 0.001]),
    "classifier": np.array([0.99, 0.9, 0.05]),
}


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_errors_lie_within_bounds_and_worst_case(tmp_path, temperature):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    found = assess(*read_instance(tmp_path / "x.npz"), temperature)
    assert found.bounds
    for bound in found.bounds:
        true = found.errors[bound.quantity]
        # 1e-9: A is an identity, so its bound equals the error up to rounding.
        if bound.direction == "upper":
            assert true <= bound.value * (1 + 1e-9)
        else:
            assert true >= bound.value * (1 - 1e-9)
    for quantity, worst in found.worst_cases.items():
        assert found.errors[quantity] <= worst.upper


@pytest.mark.parametrize("name", ["retain", "forget", "gamma", "classifier"])
def test_names_the_array_that_is_missing(tmp_path, name):
    np.savez(tmp_path / "x.npz", **{k: v for k, v in ARRAYS.items() if k != name})
    with pytest.raises(InputError, match=f"no {name}"):
        read_instance(tmp_path / "x.npz")


def test_refuses_what_is_no_archive_of_numbers(tmp_path):
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "objects.npz", **(ARRAYS | {"gamma": np.array({"a": 1}, dtype=object)}))
    for name in ("text.npz", "objects.npz", "absent.npz"):
        with pytest.raises(InputError, match=name):
            read_instance(tmp_path / name)
