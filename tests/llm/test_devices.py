"""The language model on each device of the machine: the CPU's numbers, and tensors that stay there."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from devices import DEVICES
from tiny_bases import HIDDEN, VOCAB, memorised, prompts, sharp_head, tiny_base
from tiny_features import separable

from llm.baselines.idkdpo import REFUSALS
from llm.baselines.train import train_baseline
from llm.closing_the_loop import measure_theory
from llm.diagnostics import calibration, head_risk
from llm.encoding import Encoded, encode_pair
from llm.experiment import BASELINES, BaselineSettings, BaseSettings
from llm.features import Features, cache_features
from llm.fit_head import HeadConfig, class_losses, fit_head
from llm.model import T3Config, T3ForCausalLM
from llm.pairs import Pair
from llm.pretrain import build_model, pretrain
from llm.retain_budget import pair_losses
from llm.robustness.quantise import quantised
from llm.robustness.relearn import relearned
from llm.scoring import greedy_answers, score_rows
from llm.setting_scores import setting_losses, setting_matches
from llm.spike import forget_contexts
from llm.sweep import sweep_losses, sweep_scores
from llm.tilt import tilt
from llm.unlearn import UnlearnConfig, save_unlearned, unlearn
from t3theory.records import make_record, read_records, write_records

pytestmark = [
    pytest.mark.parametrize("device", DEVICES),
    # Threads that take gradients find their GPU themselves, and say so once.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]

# Float32 through two layers and a softmax of 60, summed in another order on another device:
# 1e-5 between batches of two shapes on one CPU, and ten times that with log f of f near 0.
ROUNDING = 1e-4

NEW = 10
MODES = {
    "greedy": {"do_sample": False},
    "top-p": {"do_sample": True, "top_p": 0.8},
    "beams": {"num_beams": 4},
}
WAYS = {
    "a growing cache": {},
    # On a GPU transformers would compile: another test lets it.
    "a static cache": {"cache_implementation": "static", "disable_compile": True},
    "chunked prefill": {"prefill_chunk_size": 3},
}
# Layers are moved by streams, which CPUs have not.
OFFLOADED = {"an offloaded cache": {"cache_implementation": "offloaded"}}
GATES = ["none", "hard", "soft"]
GRID = [
    T3Config(1.0, 0.0),
    T3Config(2.5, 1.0),
    T3Config(100.0, 1.7, 1.2),
    *(T3Config(2.0, 1.0, 0.4, gate, 0.3) for gate in ("hard", "soft")),
]


def make(device, architecture="llama", gate="soft", dtype=torch.float32):
    config = T3Config(temperature=2.0, gate=gate, log_prior_odds=0.4)
    base = tiny_base(architecture).to(device=device, dtype=dtype)
    return T3ForCausalLM(base, sharp_head(), config).eval()


def asked(device):
    """Left-padded prompts there."""
    return tuple(x.to(device) for x in prompts())


def generate(model, ids, mask, seed=5, **how):
    torch.manual_seed(seed)
    return model.generate(ids, attention_mask=mask, max_new_tokens=NEW, **how)


def pairs(count=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = [5 + 3 * i % 11 for i in range(count)]
    return [
        Encoded(torch.randint(3, VOCAB, (n,), generator=generator).tolist(), 1 + i % 4)
        for i, n in enumerate(lengths)
    ]


def close(found, wanted, device, atol=ROUNDING):
    """Alike, once what was found there is fetched."""
    assert found.device.type == device
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt2", "mistral"])
def test_scores_are_the_cpus(device, architecture, gate):
    (ids, mask), real = prompts(), prompts()[1].bool()
    with torch.no_grad():
        wanted = make("cpu", architecture, gate)(ids, mask)
        model = make(device, architecture, gate)
        found = model(*asked(device)).logits
        close(found[real.to(device)], wanted.logits[real], device)
        assert found.dtype == torch.float32
        assert {p.device.type for p in model.parameters()} == {device}
        # Built on the CPU and moved afterwards it is the same model.
        moved = make("cpu", architecture, gate).to(device)
        torch.testing.assert_close(moved(*asked(device)).logits, found, rtol=0, atol=1e-6)


def test_temperature_one_and_scale_zero_is_the_base_exactly(device):
    for architecture in ("llama", "gemma2"):
        base, (ids, mask) = tiny_base(architecture).to(device), asked(device)
        plain = T3Config(temperature=1.0, guidance_scale=0.0)
        model = T3ForCausalLM(base, sharp_head(), plain).eval()
        with torch.no_grad():
            expected = torch.log_softmax(base(ids, attention_mask=mask).logits, -1)
            assert torch.equal(model(ids, mask).logits, expected)


def test_loss_and_gradients_are_the_cpus(device):
    found = []
    for place in ("cpu", device):
        model, (ids, mask) = make(place), asked(place)
        output = model(ids, mask, labels=ids.masked_fill(mask == 0, -100))
        output.loss.backward()
        assert all(p.grad is None for p in model.base.parameters())
        found.append([output.loss.detach(), *(p.grad for p in model.head.parameters())])
    for here, wanted in zip(found[1], found[0], strict=True):
        close(here, wanted, device)


def test_kept_positions_named_on_the_cpu_or_there(device):
    model, (ids, mask) = make(device), asked(device)
    with torch.no_grad():
        whole = model(ids, mask).logits
        for keep in (torch.tensor([1, 4]), torch.tensor([1, 4], device=device)):
            got = model(ids, mask, logits_to_keep=keep).logits
            torch.testing.assert_close(got, whole[:, [1, 4]], rtol=0, atol=1e-5)


def cached_alike(device, gate, mode, way):
    model, (ids, mask) = make(device, gate=gate), asked(device)
    expected = generate(model, ids, mask, use_cache=False, **MODES[mode])
    assert expected.device.type == device
    assert torch.equal(generate(model, ids, mask, **MODES[mode], **way), expected)
    if mode != "top-p":  # the head matters here: the base says something else
        assert not torch.equal(generate(model.base, ids, mask, **MODES[mode]), expected)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
def test_cached_decoding_is_recomputation(device, gate, mode, way):
    cached_alike(device, gate, mode, WAYS[way])


@pytest.mark.parametrize("gate", GATES)
def test_an_offloaded_cache_is_recomputation(device, gate):
    """On a CPU, where nothing can be offloaded, the growing cache once more."""
    way = {} if device == "cpu" else OFFLOADED["an offloaded cache"]
    cached_alike(device, gate, "greedy", way)


@pytest.mark.filterwarnings("ignore")  # of compilers, nothing of ours
def test_a_static_cache_as_transformers_compiles_it(device):
    """On a GPU `generate` compiles the step over a static cache by itself."""
    cached_alike(device, "soft", "greedy", {"cache_implementation": "static"})


@pytest.mark.parametrize("architecture", ["gemma2", "gpt2", "mistral"])
@pytest.mark.parametrize("way", WAYS)
def test_cached_decoding_on_other_architectures(device, architecture, way):
    model, (ids, mask) = make(device, architecture), asked(device)
    expected = generate(model, ids, mask, use_cache=False)
    assert torch.equal(generate(model, ids, mask, **WAYS[way]), expected)


@pytest.mark.parametrize("gate", GATES)
def test_half_precision_runs_and_is_finite(device, gate):
    model, (ids, mask) = make(device, gate=gate, dtype=torch.bfloat16), asked(device)
    assert {p.dtype for p in model.head.parameters()} == {torch.float32}
    said = model.generate(
        ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    assert said.sequences.device.type == device
    assert all(x.dtype == torch.float32 and bool(x.isfinite().all()) for x in said.logits)
    model.to(torch.float16)
    assert {p.dtype for p in model.head.parameters()} == {torch.float32}


def test_tilts_and_sweeps_of_given_logits_are_the_cpus(device):
    generator = torch.Generator().manual_seed(0)
    logits, odds = (3 * torch.randn(150, VOCAB, generator=generator) for _ in "ab")
    targets = torch.randint(0, VOCAB, (150,), generator=generator)
    there = [x.to(device) for x in (logits, odds, targets)]
    for config in GRID:
        with torch.no_grad():
            close(tilt(*there[:2], config), tilt(logits, odds, config), device, 1e-5)
        assert torch.equal(there[0].cpu(), logits)  # nothing is written over
        assert torch.equal(there[1].cpu(), odds)
    wanted = setting_losses(logits, odds, targets, GRID)
    close(setting_losses(*there, GRID), wanted, device, 1e-5)
    hits = setting_matches(*there, GRID)
    assert torch.equal(hits.cpu(), setting_matches(logits, odds, targets, GRID))


def test_scores_of_rows_are_the_cpus(device):
    rows = pairs()
    for gate in GATES:
        wanted = score_rows(make("cpu", gate=gate), rows, 0, 4)
        for a, b in zip(score_rows(make(device, gate=gate), rows, 0, 4), wanted, strict=True):
            assert a.log_probs == pytest.approx(b.log_probs, abs=ROUNDING)
            assert (a.matches == b.matches).all()


def test_sweeps_of_rows_are_the_cpus(device):
    rows, found = pairs(), []
    for place in ("cpu", device):
        base, heads = tiny_base("gpt2").to(place), {n: sharp_head(seed=n) for n in (1, 2)}
        heads = {f"{n}": head.requires_grad_(False).to(place) for n, head in heads.items()}
        settings = [(name, config) for name in heads for config in GRID]
        losses = sweep_losses(base, rows, settings, heads, 4)
        scores = sweep_scores(base, rows, heads["1"], GRID, 4)
        measured = pair_losses(base, heads["1"], rows, GRID, 4)
        found.append((losses, scores, measured))
    (losses, scores, measured), (here, here_scores, here_measured) = found
    assert here == pytest.approx(losses, abs=ROUNDING)
    for ours, theirs in zip(here_scores, scores, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.log_probs == pytest.approx(b.log_probs, abs=ROUNDING)
            assert (a.matches == b.matches).all()
    for name in ("base", "tilted", "shares"):
        torch.testing.assert_close(
            getattr(here_measured, name), getattr(measured, name), rtol=0, atol=ROUNDING
        )


def test_features_are_the_cpus(device, tmp_path):
    rows = pairs()
    wanted = cache_features(tiny_base("llama"), rows, batch_size=4)
    base = tiny_base("llama").to(device)
    in_memory = cache_features(base, rows, batch_size=4)
    on_disk = cache_features(base, rows, tmp_path, batch_size=4, shard_tokens=15)
    assert len(on_disk.shards) > 2
    for features in (in_memory, on_disk, cache_features(base, rows, tmp_path, shard_tokens=15)):
        there = features.to(device)
        every = there.tokens_of(torch.arange(len(rows)))
        close(there.pooled(every), wanted.shards[0], device)
        assert torch.equal(there.targets.cpu(), wanted.targets)
        some = there.select([3, 1])
        close(some.pooled(some.tokens_of(torch.tensor([0, 1]))),
              wanted.select([3, 1]).shards[0], device)  # fmt: skip


def moved(features, device, shards=1):
    """The features there, in so many shards."""
    parts = features.shards[0].chunk(shards)
    return Features(tuple(parts), features.targets, features.offsets).to(device)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("initialisation", ["zero", "published"])
def test_a_head_is_trained_as_on_the_cpu(device, shards, initialisation):
    config = HeadConfig(
        steps=30, stop_at_risk=None, batch_pairs=8, evaluation_pairs=25,
        initialisation=initialisation,
    )  # fmt: skip
    data, heldout = separable(), separable(pairs=12, seed=7)
    wanted = fit_head(*data, VOCAB, config, heldout=heldout)
    here = [moved(x, device, shards) for x in data]
    fit = fit_head(*here, VOCAB, config, heldout=tuple(moved(x, device) for x in heldout))
    # Thirty steps of 1e-2, each of which keeps five digits of the other's.
    for name, weight in wanted.head.state_dict().items():
        close(fit.head.state_dict()[name], weight, device, 1e-3)
    for a, b in zip(fit.history, wanted.history, strict=True):
        assert tuple(a) == pytest.approx(tuple(b), rel=1e-3, abs=1e-6)
    for a, b in zip(class_losses(fit.head, *here), class_losses(wanted.head, *data), strict=True):
        close(a, b, device, 1e-2)


def test_a_head_stops_and_is_diagnosed_as_on_the_cpu(device):
    data, config = separable(), HeadConfig(stop_at_risk=0.1, seed=3)
    kept = separable(pairs=60, seed=9)[0]
    found = []
    for place in ("cpu", device):
        retain, forget, other = (moved(x, place, 2) for x in (*data, kept))
        head, history = fit_head(retain, forget, VOCAB, config)
        assert history[-1].risk <= 0.1 < history[-2].risk
        risk, fit = head_risk(head, other, forget), calibration(head, other, forget)
        found.append([history[-1].step, risk.risk, risk.upper, sum(fit.weight)])
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_adapters_are_saved_there_and_loaded_onto_it(device, tmp_path):
    model, (ids, mask) = make(device), asked(device)
    model.save_pretrained(tmp_path / "there")
    make("cpu").save_pretrained(tmp_path / "here")
    for name in ("there", "here"):  # from either device, onto this one
        again = T3ForCausalLM.from_pretrained(tmp_path / name, base=tiny_base("llama").to(device))
        assert again.t3_config == model.t3_config
        assert {p.device.type for p in again.parameters()} == {device}
        for a, b in zip(again.head.parameters(), model.head.parameters(), strict=True):
            assert torch.equal(a, b)
        with torch.no_grad():
            scores = again(ids, mask).logits
            torch.testing.assert_close(scores, model(ids, mask).logits, rtol=0, atol=1e-6)
    assert T3ForCausalLM.from_pretrained(tmp_path / "there", base=tiny_base("llama")) is not None


RETAIN = [Pair(f"What does {a} grow?", f"{a} grows {b}.") for a, b in zip(
    ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana"),
    ("figs", "oats", "rye", "kale", "peas", "corn", "rice", "hops"), strict=True,
)]  # fmt: skip
FORGET = [Pair(f"Where was {a} born?", f"In {b}, long ago.") for a, b in zip(
    ("Max", "Nia", "Ola"), ("Rome", "Oslo", "Lima"), strict=True
)]  # fmt: skip


def mean_loss(model, rows):
    return float(np.mean([s.loss for s in score_rows(model, rows, 2)]))


def test_unlearning_end_to_end(device, tiny_tokenizer, tmp_path):
    base = memorised(tiny_tokenizer, RETAIN + FORGET, device)
    config = UnlearnConfig(head=HeadConfig(batch_pairs=8, rank=8), retain_budget=0.5)
    lost, kept = ([encode_pair(tiny_tokenizer, *p) for p in part] for part in (FORGET, RETAIN))
    before = mean_loss(base, lost)
    for folder in (None, tmp_path / "features"):
        result = unlearn(base, tiny_tokenizer, FORGET, RETAIN, config, folder)
        assert result.report["in_sample_risk"] <= 0.05
        assert {p.device.type for p in result.model.parameters()} == {device}
        assert mean_loss(result.model, lost) > before + 2
        assert mean_loss(result.model, kept) < mean_loss(base, kept) + 0.5
        risk = result.report["risk"]
        assert risk["balanced"] <= risk["balanced_upper"]
    # The same base on the CPU gives the same figures: pairs are scored alike.
    on_cpu = unlearn(copy.deepcopy(base).to("cpu"), tiny_tokenizer, FORGET, RETAIN, config)
    losses = result.report["base_loss"]
    assert losses == pytest.approx(on_cpu.report["base_loss"], abs=1e-3)
    save_unlearned(tmp_path / "adapter", result)
    again = T3ForCausalLM.from_pretrained(tmp_path / "adapter", base=base)
    question = FORGET[0].prompt
    said = [greedy_answers(m, tiny_tokenizer, [question] * 2, 2, 8) for m in (again, result.model)]
    assert said[0] == said[1]


def llama(device, tokenizer):
    """Random weights for a tokenizer's words."""
    settings = BaseSettings(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=24, layers=2, heads=2,
        epochs=4, batch_size=4, learning_rate=1e-2, checkpoint_epochs=2,
    )  # fmt: skip
    return build_model(settings, tokenizer, seed=3).to(device).eval(), settings


def questions(tokenizer, data, count=6):
    """(forget rows, retain rows, refusals), encoded."""
    parts = [
        [encode_pair(tokenizer, r["question"], r["answer"]) for r in part[:count]]
        for part in (data.forget, data.retain)
    ]
    refused = [encode_pair(tokenizer, r["question"], REFUSALS[0]) for r in data.forget[:count]]
    return (*parts, refused)


def test_greedy_answers_are_the_cpus(device, tiny_tokenizer, tiny_data):
    texts = [row["question"] for row in tiny_data.full[:6]]
    said = []
    for place in ("cpu", device):
        base = llama(place, tiny_tokenizer)[0]
        head = sharp_head(vocab=len(tiny_tokenizer))
        model = T3ForCausalLM(base, head, T3Config(gate="soft")).eval()
        said.append([greedy_answers(m, tiny_tokenizer, texts, 4, 6) for m in (base, model)])
    assert said[0] == said[1]


@pytest.mark.parametrize("method", BASELINES)
def test_baselines_are_trained_as_on_the_cpu(device, tiny_tokenizer, tiny_data, method):
    lost, kept, refusals = questions(tiny_tokenizer, tiny_data)
    settings = BaselineSettings(learning_rates=(1e-4,), epochs=(1,), batch_size=4)
    found = []
    for place in ("cpu", device):
        model = llama(place, tiny_tokenizer)[0]
        model = train_baseline(model, method, lost, kept, settings, 1e-4, 1, 0, refusals=refusals)
        assert {p.device.type for p in model.parameters()} == {place}
        found.append(mean_loss(model, lost + kept))
    # Two steps of 1e-4 a weight, of which the least certain may go the other way.
    assert found[1] == pytest.approx(found[0], abs=5e-3)


def test_training_from_nothing_and_again_is_the_cpus(device, tiny_tokenizer, tiny_data, tmp_path):
    rows = questions(tiny_tokenizer, tiny_data)[0]

    def stop(done):
        if done == 2:
            raise KeyboardInterrupt

    losses = []
    for place in ("cpu", device):
        model, settings = llama(place, tiny_tokenizer)
        losses.append(pretrain(model, rows, settings, seed=3))
    first, second = (llama(device, tiny_tokenizer)[0] for _ in "ab")
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        pretrain(first, rows, settings, 3, checkpoint, on_epoch=stop)
    losses.append(pretrain(second, rows, settings, 3, checkpoint))  # from the second epoch on
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-2)
    assert mean_loss(relearned(second, rows, 4, seed=0), rows) < mean_loss(second, rows)


def test_rounded_weights_are_the_cpus(device):
    model = make("cpu")
    wanted = quantised(model, 4)
    found = quantised(copy.deepcopy(model).to(device), 4)
    for (name, a), b in zip(found.named_parameters(), wanted.parameters(), strict=True):
        assert a.device.type == device, name
        torch.testing.assert_close(a.cpu(), b, rtol=0, atol=1e-6)


def test_the_theory_of_a_model_there_is_the_cpus(device, saved, tmp_path, monkeypatch):
    """Errors, excess risk and bound of the saved models, which stages load where they are told."""
    config = replace(saved.config, methods=("t3-prior", "npo"), blind=())
    setting = {"stop": 0.1, "temperature": 2.0, "guidance_scale": 1.0, "gate": "none",
               "prior": True}  # fmt: skip
    worth = {"utility": 0.5, "forget_quality_log10_p": -1.0}
    tuning = [
        make_record("llm.tuning", {"method": method, "setting": chosen}, 0, worth)
        for method, chosen in (("full", {}), ("t3-prior", setting))
    ]
    write_records(tmp_path / "tuning.jsonl", tuning)
    found = []
    for place in ("cpu", device):
        monkeypatch.setattr("llm.stages.files.device", lambda place=place: place)
        out = tmp_path / f"{place}.jsonl"
        folders = (saved.full, saved.retain, saved.heads)
        measure_theory(config, "mini", 0, *folders, tmp_path / "tuning.jsonl", out)
        found.append({r["config"]["method"]: r["values"] for r in read_records(out)})
    for method, values in found[0].items():
        # Sums of four hundred terms from float32 logits.
        assert found[1][method] == pytest.approx(values, rel=1e-4, abs=1e-6)


def test_worlds_of_a_model_there_are_the_cpus(device):
    rows, found = pairs(), []
    for place in ("cpu", device):
        model, target = tiny_base("llama").to(place), tiny_base("llama").to(place)
        with torch.no_grad():
            target.lm_head.weight.mul_(0.5)
        found.append(forget_contexts(model, target, rows, sharp_head().to(place), 4))
    for name in found[0]._fields:
        a, b = (getattr(contexts, name) for contexts in (found[1], found[0]))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=ROUNDING)
