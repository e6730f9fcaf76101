"""Cached features against one forward pass a pair, and what happens to broken caches."""

from __future__ import annotations

import pytest
import torch
from full_disks import full_disk
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_bases import VOCAB, tiny_base

from llm.encoding import Encoded
from llm.features import Features, cache_features
from llm.head import running_mean
from t3theory.exceptions import InputError

# float32 attention over batches of other shapes.
ROUNDING = 1e-5


def pairs(count=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(count):
        ids = torch.randint(3, VOCAB, (5 + 3 * i % 11,), generator=generator).tolist()
        rows.append(Encoded(ids, 1 + i % 4))
    return rows


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt2"])
def test_features_are_running_means_of_single_pairs(architecture):
    base, rows = tiny_base(architecture), pairs()
    features = cache_features(base, rows, batch_size=4)
    assert len(features) == len(rows)
    for i, (ids, start) in enumerate(rows):
        with torch.no_grad():
            hidden = base.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        expected = torch.stack([hidden[:t].mean(0) for t in range(start, len(ids))])
        tokens = features.tokens_of(torch.tensor([i]))
        torch.testing.assert_close(features.pooled(tokens), expected, rtol=0, atol=ROUNDING)
        assert features.targets[tokens].tolist() == ids[start:]


def test_a_processor_takes_no_more_positions_at_a_time_than_its_memory_holds(monkeypatch):
    base, rows = tiny_base("llama"), pairs()
    whole, seen = cache_features(base, rows), []
    base.base_model.register_forward_hook(
        lambda _module, _args, inputs, _output: seen.append(inputs["input_ids"].numel()),
        with_kwargs=True,
    )
    monkeypatch.setattr("llm.features.POSITIONS", 20)
    few = cache_features(base, rows)
    assert max(seen) <= 20
    seen.clear()
    cache_features(base, rows[:1])  # no padding; the last token predicts nothing
    assert seen == [len(rows[0].input_ids) - 1]
    torch.testing.assert_close(few.shards[0], whole.shards[0], rtol=0, atol=ROUNDING)
    assert torch.equal(few.targets, whole.targets)


def test_shards_on_disk_hold_the_same_and_are_read_back(tmp_path, monkeypatch):
    base, rows = tiny_base("llama"), pairs()
    whole = cache_features(base, rows)
    seen = []
    kept = cache_features(
        base, rows, tmp_path, shard_tokens=15, progress=lambda done, of: seen.append((done, of))
    )
    assert len(kept.shards) == len(seen) > 2
    assert seen[-1] == (9, 9)
    torch.testing.assert_close(torch.cat(kept.shards), whole.shards[0], rtol=0, atol=ROUNDING)
    assert torch.equal(kept.targets, whole.targets)
    monkeypatch.setattr("llm.features.pooled_answers", None)  # a second pass would fail
    again = cache_features(base, rows, tmp_path, shard_tokens=15)
    assert torch.equal(torch.cat(again.shards), torch.cat(kept.shards))


def test_another_model_pair_or_precision_is_another_cache(tmp_path):
    base, rows = tiny_base("llama"), pairs(3)
    cache_features(base, rows, tmp_path)
    cache_features(base, rows[:2], tmp_path)
    cache_features(base, [Encoded(rows[0].input_ids, 2), *rows[1:]], tmp_path)
    cache_features(tiny_base("llama", rms_norm_eps=1e-3), rows, tmp_path)
    cache_features(tiny_base("llama").to(torch.bfloat16), rows, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_interrupted_and_damaged_caches(tmp_path):
    base, rows = tiny_base("llama"), pairs()

    def stop(done, _total):
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_features(base, rows, tmp_path, shard_tokens=15, progress=stop)
    features = cache_features(base, rows, tmp_path, shard_tokens=15)
    torch.testing.assert_close(
        torch.cat(features.shards), cache_features(base, rows).shards[0], rtol=0, atol=ROUNDING
    )
    shard = next(tmp_path.glob("*/00001.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"00001.safetensors: expected whole features"):
        cache_features(base, rows, tmp_path, shard_tokens=15)


@pytest.mark.parametrize("text", ['{"sh', "{}", "[]", '{"shards": 3}', '{"shards": [1]}', "\xff"])
def test_a_damaged_index_is_one_line(text, tmp_path):
    base, rows = tiny_base("llama"), pairs()
    cache_features(base, rows, tmp_path)
    next(tmp_path.glob("*/index.json")).write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"index\.json: expected whole features.*delete"):
        cache_features(base, rows, tmp_path)


def test_features_of_another_shape_are_the_caches_fault(tmp_path):
    base, rows = tiny_base("llama"), pairs()
    whole = cache_features(base, rows, tmp_path).shards[0].clone()
    shard = next(tmp_path.glob("*/00000.safetensors"))
    for wrong, message in (
        (whole[:, :8], rf"torch.float32 of shape \({len(whole)}, 8\), not 16 wide"),
        (whole.half(), "torch.float16 of shape"),
        (whole[:-1], f"{len(whole) - 1} tokens, not {len(whole)}"),
        (whole / 0, "a state is not finite"),
    ):
        save_file({"pooled": wrong.contiguous()}, shard)
        with pytest.raises(
            InputError, match=rf"expected whole features.*{message}.*delete {tmp_path}"
        ):
            cache_features(base, rows, tmp_path)


def test_a_full_disk_is_one_line_and_leaves_no_half_shard(tmp_path):
    base, rows = tiny_base("llama"), pairs()
    with (
        full_disk(1_000),
        pytest.raises(InputError, match=r"00000\.safetensors: features cannot be"),
    ):
        cache_features(base, rows, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(cache_features(base, rows, tmp_path)) == len(rows)


def test_shards_stay_mapped_where_they_are(tmp_path):
    """On the device of the base nothing is copied: training reads from the files."""
    base, rows = tiny_base("llama"), pairs()
    features = cache_features(base, rows, tmp_path, shard_tokens=15)
    moved = features.to("cpu")
    assert len(moved.shards) == len(features.shards) > 2
    for a, b in zip(moved.shards, features.shards, strict=True):
        assert a.data_ptr() == b.data_ptr()


def test_bad_pairs():
    base = tiny_base("llama")
    with pytest.raises(InputError, match="at least one"):
        cache_features(base, [])
    for bad in (Encoded([5, 6], 2), Encoded([5, 6], 0)):
        with pytest.raises(InputError, match="pair 1: expected a prompt and an answer"):
            cache_features(base, [Encoded([4, 5], 1), bad])


def test_states_that_are_not_finite_name_the_model(tmp_path):
    base = tiny_base("llama")
    with torch.no_grad():
        base.model.norm.weight[0] = torch.nan
    for folder in (None, tmp_path):
        with pytest.raises(InputError, match=r"model LlamaForCausalLM: .* torch.float32 are not"):
            cache_features(base, pairs(2), folder)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_model_keeps_its_mode():
    base = tiny_base("llama").train()
    cache_features(base, pairs(2))
    assert base.training


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_selecting_pairs_is_indexing(lengths, data):
    total = sum(lengths)
    pooled = torch.arange(2.0 * total).reshape(total, 2)
    cut = data.draw(st.integers(0, total))
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    features = Features((pooled[:cut], pooled[cut:]), torch.arange(total), offsets)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1))
    expected = [t for i in chosen for t in range(int(offsets[i]), int(offsets[i + 1]))]
    some = features.select(chosen)
    assert some.targets.tolist() == expected
    assert torch.equal(some.shards[0], pooled[expected])
    assert torch.equal(some.to("cpu").pooled(torch.arange(len(expected))), pooled[expected])


def test_running_mean_of_nothing_is_zero():
    hidden = torch.full((1, 3, 2), 7.0, dtype=torch.bfloat16)
    mean = running_mean(hidden, torch.tensor([[0, 0, 1]]))
    assert mean.dtype == torch.float32
    assert mean[0, :, 0].tolist() == [0, 0, 7]
