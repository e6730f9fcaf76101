"""The second column: settings that a user without a retain model would choose."""

from __future__ import annotations

import numpy as np
import pytest

import llm.stages.blind
from llm.model import T3Config, T3ForCausalLM
from llm.stages import measure_blind
from llm.stages.files import load_data, load_model
from t3theory.records import make_record, read_records, write_records

SOME = {"stop": 0.1, "guidance_scale": 1.0, "gate": "none", "prior": False, "temperature": 1.5}
MOST = SOME | {"temperature": 2.5, "stop": 0.05}
FEW, MANY = ({"learning_rate": 1e-3, "epochs": epochs} for epochs in (2, 5))


def tuning(file, method, settings, quality):
    """The second setting forgets more; which one has the better forget quality is given."""
    plain = {"utility": 0.9, "retain_loss": 0.1, "forget_loss": 0.1}
    values = [
        {"utility": 0.9, "retain_loss": 0.15, "forget_loss": loss, "forget_quality_log10_p": p}
        for loss, p in zip((1.0, 3.0), quality, strict=True)
    ]
    rows = [("full", {}, plain | {"forget_quality_log10_p": -9.0})]
    rows += [(method, s, v) for s, v in zip(settings, values, strict=True)]
    write_records(
        file,
        [make_record("llm.tuning", {"method": m, "setting": s}, 0, v) for m, s, v in rows],
    )
    return file


def forget_loss(model, tokenizer, data, answer_loss):
    rows = data.forget_perturbed
    return np.mean([answer_loss(model, tokenizer, r["question"], r["answer"]) for r in rows])


def test_a_tilt_is_measured_where_it_forgets_most(saved, tmp_path, answer_loss, monkeypatch):
    """The retain model would take the other setting."""
    monkeypatch.setattr(llm.stages.blind, "TILTS", ("t3",))
    file = tuning(tmp_path / "t3.jsonl", "t3", (SOME, MOST), quality=(-0.1, -5.0))
    measure_blind(
        saved.config, "mini", 0, "tilts", saved.full, file, saved.retain_logs,
        tmp_path / "blind.jsonl", heads=saved.heads,
    )  # fmt: skip
    [record] = read_records(tmp_path / "blind.jsonl", "llm.blind")
    assert record["config"].items() >= MOST.items()
    base, tokenizer = load_model(saved.full)
    head = T3ForCausalLM.from_pretrained(saved.heads / "risk-0.05", base=base).head
    model = T3ForCausalLM(base, head, T3Config(temperature=2.5)).eval()
    expected = forget_loss(model, tokenizer, load_data(saved.config, "mini"), answer_loss)
    # float32 losses of some nats.
    assert record["values"]["forget_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("agree", [False, True])
def test_a_baseline_is_trained_anew_unless_both_choices_agree(
    saved, tmp_path, answer_loss, monkeypatch, agree
):
    """Where they agree the trained model in `model` is measured: here the folder of `retain`."""
    trained = []

    def unlearned(config, data, seed, method, base, **setting):
        trained.append(setting)
        return load_model(base)

    monkeypatch.setattr(llm.stages.blind, "unlearned", unlearned)
    quality = (-5.0, -0.1) if agree else (-0.1, -5.0)
    file = tuning(tmp_path / "npo.jsonl", "npo", (FEW, MANY), quality)
    measure_blind(
        saved.config, "mini", 0, "npo", saved.full, file, saved.retain_logs,
        tmp_path / "blind.jsonl", model=saved.retain,
    )  # fmt: skip
    [record] = read_records(tmp_path / "blind.jsonl", "llm.blind")
    assert record["config"].items() >= MANY.items()
    assert trained == ([] if agree else [MANY])
    measured, tokenizer = load_model(saved.retain if agree else saved.full)
    expected = forget_loss(measured, tokenizer, load_data(saved.config, "mini"), answer_loss)
    assert record["values"]["forget_loss"] == pytest.approx(expected, rel=1e-5)
