"""Adapters on disk: what they hold, which base they accept, and what they say of any other."""

from __future__ import annotations

import json

import pytest
import torch
from full_disks import full_disk
from tiny_bases import HIDDEN, SPECIAL, VOCAB, prompts, sharp_head, tiny_base
from transformers import AutoModel

from llm.bases import base_fingerprint, base_settings, weight_probes
from llm.loading import load_causal_lm
from llm.model import T3Config, T3ForCausalLM
from t3theory.exceptions import InputError


def test_saved_adapter_holds_no_base_and_loads_the_same_model(tmp_path):
    base = tiny_base("qwen2")
    base.save_pretrained(tmp_path / "base")
    config = T3Config(temperature=1.7, gate="soft", log_prior_odds=0.3)
    model = T3ForCausalLM(type(base).from_pretrained(tmp_path / "base"), sharp_head(), config)
    model.save_pretrained(tmp_path / "adapter")
    files = sorted(p.name for p in (tmp_path / "adapter").iterdir())
    assert files == ["head.safetensors", "t3_config.json"]
    assert (tmp_path / "adapter/head.safetensors").stat().st_size < 4 * (HIDDEN + VOCAB) * 3 + 500
    ids, mask = prompts()
    with torch.no_grad():
        expected = model.eval()(ids, mask).logits
        for given in (None, base, tmp_path / "base", str(tmp_path / "base")):
            again = T3ForCausalLM.from_pretrained(tmp_path / "adapter", base=given)
            assert again.t3_config == config
            assert torch.equal(again(ids, mask).logits, expected)
    half = T3ForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.bfloat16)
    assert half.base.dtype == torch.bfloat16
    assert half.head.up.weight.dtype == torch.float32


@pytest.mark.parametrize("architecture", SPECIAL)
def test_a_base_is_itself_on_disk_and_in_every_precision(architecture, tmp_path):
    """Trained in memory or in half precision, loaded in another: one base all the same."""
    base = tiny_base(architecture)
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path / "a")
    base.save_pretrained(tmp_path / "base")
    precisions = (torch.float32, torch.bfloat16, torch.float16)
    copies = [load_causal_lm(str(tmp_path / "base"), dtype=dtype) for dtype in precisions]
    for again in copies:
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=again)
        T3ForCausalLM(again, sharp_head()).save_pretrained(tmp_path / "half")
        for other in copies:
            T3ForCausalLM.from_pretrained(tmp_path / "half", base=other)


@pytest.mark.parametrize("column", range(0, HIDDEN, 5))
def test_an_edited_base_is_another(column, tmp_path):
    """One column of every matrix, as model editing touches: the cache's key sees any number."""
    base, other = tiny_base("llama"), tiny_base("llama")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path)
    with torch.no_grad():
        for weight in other.parameters():
            if weight.ndim == 2:
                weight[:, column] += 1
    with pytest.raises(InputError, match=r"with other weights, as \w+"):
        T3ForCausalLM.from_pretrained(tmp_path, base=other)
    with torch.no_grad():
        for old, new in zip(base.parameters(), other.parameters(), strict=True):
            new.copy_(old)
        assert base_fingerprint(other) == base_fingerprint(base)
        other.model.norm.weight[3] += 1e-6
    assert base_fingerprint(other) != base_fingerprint(base)


def test_quantised_weights_say_nothing(tmp_path):
    """What is no floating-point number cannot be compared; all that is left is."""
    base, other = tiny_base("llama"), tiny_base("llama")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path)
    place = other.model.layers[0].mlp.up_proj
    place.weight = torch.nn.Parameter(place.weight.to(torch.int8), requires_grad=False)
    assert T3ForCausalLM.from_pretrained(tmp_path, base=other) is not None
    with torch.no_grad():
        other.model.embed_tokens.weight += 1
    with pytest.raises(InputError, match=r"as model\.embed_tokens\.weight"):
        T3ForCausalLM.from_pretrained(tmp_path, base=other)


def test_another_base_is_refused_by_what_does_not_match(tmp_path):
    base = tiny_base("llama")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path / "a")
    other = tiny_base("llama")
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight.mul_(1.5)
    for another, message in (
        (other, r"got one of the same shape with other weights, as model\.layers\.1\.mlp\.up"),
        (tiny_base("llama", rms_norm_eps=1e-3), "with rms_norm_eps 1e-06, got one with 0.001"),
        (tiny_base("qwen2"), "got one with 'qwen2'"),
        (tiny_base("llama", vocab_size=70), "expected vocab_size 70 as in the base, got 60"),
        (tiny_base("llama", hidden_size=32), "expected hidden_size 32 as in the base, got 16"),
    ):
        with pytest.raises(InputError, match=message):
            T3ForCausalLM.from_pretrained(tmp_path / "a", base=another)
    assert T3ForCausalLM.from_pretrained(tmp_path / "a", base=other, check_base=False) is not None


def test_settings_of_another_version_are_no_other_base(tmp_path):
    """Versions of transformers differ in which settings a configuration lists."""
    base = tiny_base("phi")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path)
    path = tmp_path / "t3_config.json"
    content = json.loads(path.read_text())
    content["base_settings"] |= {"a_setting_of_another_version": 1}
    del content["base_settings"]["rope_parameters"]
    path.write_text(json.dumps(content))
    assert T3ForCausalLM.from_pretrained(tmp_path, base=base) is not None


def test_names_tokens_and_caches_are_no_part_of_a_base():
    base = tiny_base("llama")
    settings, weights = base_settings(base), weight_probes(base)
    base.config.pad_token_id, base.config.use_cache, base.config.name_or_path = 5, False, "else"
    assert base_settings(base) == settings
    assert weight_probes(base) == weights


def test_damage_and_absence(tmp_path):
    base = tiny_base("llama")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path / "a")
    with pytest.raises(InputError, match="expected an adapter"):
        T3ForCausalLM.from_pretrained(tmp_path / "nowhere", base=base)
    with pytest.raises(InputError, match=r"model .*nowhere.*: expected a folder or a Hub name"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=tmp_path / "nowhere")
    weights = tmp_path / "a/head.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=base)
    weights.write_bytes(whole)
    description = tmp_path / "a/t3_config.json"
    content = json.loads(description.read_text())
    for change in (
        {"t3": {"temperatur": 1}},
        {"t3": {"temperature": -1}},
        {"t3": {"temperature": True}},
        {"head": {"rank": 3}},
        {"bogus": 1},
        {"base_settings": 3},
        {"base_weights": [3]},
        {"base_weights": {"model.norm.weight": "abc"}},
    ):
        description.write_text(json.dumps(content | change))
        with pytest.raises(InputError, match="damaged"):
            T3ForCausalLM.from_pretrained(tmp_path / "a", base=base)
    del content["t3"]
    description.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"t3_config\.json lacks 't3'"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=base)
    with pytest.raises(InputError, match="expected an adapter"):
        T3ForCausalLM.from_pretrained(description, base=base)


def test_files_of_two_adapters_are_no_adapter(tmp_path):
    base = tiny_base("llama")
    for name, seed in (("a", 1), ("b", 2)):
        T3ForCausalLM(base, sharp_head(seed=seed)).save_pretrained(tmp_path / name)
    (tmp_path / "a/head.safetensors").replace(tmp_path / "b/head.safetensors")
    with pytest.raises(InputError, match=r"is not the file that t3_config\.json describes"):
        T3ForCausalLM.from_pretrained(tmp_path / "b", base=base)


def test_a_head_that_is_not_finite_and_a_base_without_a_name(tmp_path):
    head = sharp_head()
    with torch.no_grad():
        head.up.weight[3, 1] = torch.nan
    T3ForCausalLM(tiny_base("llama"), head).save_pretrained(tmp_path / "a")
    with pytest.raises(InputError, match="its head is not finite"):
        T3ForCausalLM.from_pretrained(tmp_path / "a")
    T3ForCausalLM(tiny_base("llama"), sharp_head()).save_pretrained(tmp_path / "b")
    with pytest.raises(InputError, match="names no base model"):
        T3ForCausalLM.from_pretrained(tmp_path / "b")


def test_bases_without_output_matrix_or_cut_short(tmp_path):
    base = tiny_base("llama")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path / "a")
    base.save_pretrained(tmp_path / "base")
    # transformers would load it and draw the output matrix at random.
    AutoModel.from_pretrained(tmp_path / "base").save_pretrained(tmp_path / "headless")
    with pytest.raises(InputError, match=r"1 are missing, first lm_head\.weight"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=tmp_path / "headless")
    weights = tmp_path / "base/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"base': expected a folder or a Hub name") as error:
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=tmp_path / "base")
    assert "\n" not in str(error.value)


def test_a_base_in_a_folder_is_found_from_anywhere(tmp_path, monkeypatch):
    tiny_base("llama").save_pretrained(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    T3ForCausalLM(load_causal_lm("./base"), sharp_head()).save_pretrained("a")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert T3ForCausalLM.from_pretrained("../a") is not None
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(
        InputError, match=r"^\.\./a: its base is not where .*base= \(--base\); model"
    ):
        T3ForCausalLM.from_pretrained("../a")
    with pytest.raises(InputError, match=r"^model '\.\./base'"):
        T3ForCausalLM.from_pretrained("../a", base="../base")
    assert T3ForCausalLM.from_pretrained("../a", base="../moved") is not None


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    model = T3ForCausalLM(tiny_base("llama"), sharp_head())
    with full_disk(200), pytest.raises(InputError, match="cannot be written"):
        model.save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_adapter_that_was_there(tmp_path):
    base = tiny_base("llama")
    T3ForCausalLM(base, sharp_head(), T3Config(temperature=1.5)).save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    head = len(before["head.safetensors"])
    for room in (200, head + 10, head + 1000):
        with full_disk(room), pytest.raises(InputError, match="cannot be written"):
            T3ForCausalLM(base, sharp_head(seed=2)).save_pretrained(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
