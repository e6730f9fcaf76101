"""`t3 bounds`: what it reads, what it refuses, and that its parts agree."""

from __future__ import annotations

import re
import struct
import tokenize
import zipfile
import zlib

import numpy as np
import pytest

from t3theory import InputError, excess_risk
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


def damaged(tmp_path, kind: str):
    """ARRAYS in an archive one of whose members is broken as a disk or a liar would."""
    file = tmp_path / "x.npz"
    np.savez_compressed(file, **ARRAYS)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "classifier.npy"
    if kind == "header":  # a dict that Python cannot even tokenise
        members[name] = members[name].replace(b"'descr'", b"('''scr")
    elif kind == "shape":  # 72 TiB
        members[name] = (
            members[name]
            .replace(b"(3,), ", b"(9999999999999,), ")
            .replace(b"            \n", b"\n")
        )
    elif kind == "version":
        members[name] = members[name][:8]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    if kind == "deflate":
        content = bytearray(file.read_bytes())
        at = content.index(name.encode()) + len(name)
        content[at : at + 8] = b"\xff" * 8
        file.write_bytes(content)
    elif kind == "cut":
        file.write_bytes(file.read_bytes()[:200])
    elif kind == "empty":
        file.write_bytes(b"PK\x05\x06")
    return file


@pytest.mark.parametrize("kind", ["header", "shape", "version", "deflate", "cut", "empty"])
def test_a_damaged_archive_is_one_line_that_names_it(tmp_path, kind):
    file = damaged(tmp_path, kind)
    with pytest.raises(InputError, match=f"^{re.escape(str(file))}: ") as caught:
        read_instance(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        zlib.error("bad"),
        tokenize.TokenError("bad", (1, 1)),
        MemoryError(),
        EOFError(),
        struct.error("bad"),
        zipfile.BadZipFile("bad"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
)
def test_whatever_the_reader_raises_names_the_file(tmp_path, monkeypatch, error):
    def load(*_, **__):
        raise error

    np.savez(tmp_path / "x.npz", **ARRAYS)
    monkeypatch.setattr(np, "load", load)
    with pytest.raises(InputError, match=r"x\.npz: cannot be read; \S"):
        read_instance(tmp_path / "x.npz")


def test_a_text_is_said_to_be_no_archive(tmp_path):
    (tmp_path / "x.npz").write_text("retain,forget\n")
    with pytest.raises(InputError, match=r"x\.npz: expected an \.npz archive, got a file of anoth"):
        read_instance(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.9 + 1j, 0.5, 0.1]),
        np.array(["0.9", "0.5", "0.1"]),
        np.zeros(3, dtype="datetime64[s]"),
        np.array([0.9, 0.5, None], dtype=object),
    ],
)
def test_only_real_numbers_are_taken_for_numbers(tmp_path, values):
    np.savez(tmp_path / "x.npz", **(ARRAYS | {"classifier": values}))
    said = r"x\.npz: classifier: .*expected real numbers, got dtype"
    with pytest.raises(InputError, match=said):
        read_instance(tmp_path / "x.npz")


def test_single_precision_sums_to_one_as_closely_as_it_can(tmp_path):
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    np.savez(tmp_path / "x.npz", **(ARRAYS | {"retain": thirds, "forget": thirds}))
    mixture, _ = read_instance(tmp_path / "x.npz")
    assert mixture.retain == pytest.approx(np.full(3, 1 / 3), rel=1e-7)
    assert mixture.retain.dtype == np.float64
    np.savez(tmp_path / "x.npz", **(ARRAYS | {"retain": thirds * np.float32(1.001)}))
    with pytest.raises(InputError, match=r"x\.npz: retain must sum to 1 within 1\.9e-06"):
        read_instance(tmp_path / "x.npz")


def with_reference(tmp_path, tiny: float):
    np.savez(tmp_path / "x.npz", **(ARRAYS | {"reference": np.array([0.5, 0.5, tiny])}))
    return tmp_path / "x.npz"


def test_a_reference_that_makes_a_density_overflow_is_refused(tmp_path):
    said = r"x\.npz: reference\[2\] must leave the densities"
    with pytest.raises(InputError, match=said):
        read_instance(with_reference(tmp_path, 5e-324))


@pytest.mark.parametrize("tiny", [1e-308, 1e-300, 1e-160])
def test_a_tiny_reference_gives_numbers(tmp_path, tiny):
    found = assess(*read_instance(with_reference(tmp_path, tiny)))
    numbers = [*found.errors.values(), *(b.value for b in found.bounds)]
    numbers += [x for c in found.worst_cases.values() for x in (c.lower, c.upper)]
    assert not np.isnan(numbers).any()
    for b in found.bounds:
        true = found.errors[b.quantity]
        high, low = (b.value, true) if b.direction == "upper" else (true, b.value)
        assert low <= high * (1 + 1e-9), b


def test_a_scale_has_two_risks(tmp_path):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    mixture, f = read_instance(tmp_path / "x.npz")
    found = assess(mixture, f, 2.0, 3.0)
    assert found.excess_risk == float(excess_risk(mixture, f))
    assert found.powered_risk == pytest.approx(float(excess_risk(mixture, f**3)), rel=1e-12)
    for b in (b for b in found.bounds if b.letter == "H"):
        assert b.terms["excess_risk"] == pytest.approx(found.powered_risk, rel=1e-12)
