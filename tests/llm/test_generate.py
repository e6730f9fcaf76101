"""Every way to generate, token for token the same as recomputation without a cache."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tiny_bases import SPECIAL, VOCAB, prompts, sharp_head, tiny_base
from transformers import DynamicCache, GenerationMixin, StaticCache
from transformers.cache_utils import DynamicLayer

from llm.model import T3Config, T3ForCausalLM
from t3theory.exceptions import InputError

NEW = 12
# transformers 5.24 renamed it.
SIGNATURE = inspect.signature(GenerationMixin.prepare_inputs_for_generation)
CACHE = "cache" if "cache" in SIGNATURE.parameters else "past_key_values"
MODES = {
    "greedy": {},
    "top-p": {"do_sample": True, "top_p": 0.8},
    "top-k": {"do_sample": True, "top_k": 5},
    "beams": {"num_beams": 4},
    "beam sampling": {"num_beams": 3, "do_sample": True},
    "beams, several": {"num_beams": 4, "num_return_sequences": 2},
    "several": {"do_sample": True, "num_return_sequences": 3},
}
CACHES = {
    "static": {"cache_implementation": "static"},
    "chunked prefill": {"prefill_chunk_size": 3},
}


def make(architecture="llama", gate="soft"):
    config = T3Config(temperature=2.0, gate=gate, log_prior_odds=0.4)
    return T3ForCausalLM(tiny_base(architecture), sharp_head(), config).eval()


def generate(model, ids, mask, seed=5, **how):
    torch.manual_seed(seed)
    return model.generate(ids, attention_mask=mask, max_new_tokens=NEW, **how)


@pytest.mark.parametrize("architecture", SPECIAL)
@pytest.mark.parametrize("mode", MODES)
def test_modes(architecture, mode):
    model, (ids, mask) = make(architecture), prompts()
    expected = generate(model, ids, mask, use_cache=False, **MODES[mode])
    assert torch.equal(generate(model, ids, mask, **MODES[mode]), expected)
    if mode in ("greedy", "beams"):
        # The head matters here: the base says something else.
        assert not torch.equal(generate(model.base, ids, mask, **MODES[mode]), expected)


@pytest.mark.parametrize("architecture", SPECIAL)
@pytest.mark.parametrize("mode", ["top-p", "beams"])
def test_caches(architecture, mode):
    model, (ids, mask) = make(architecture), prompts()
    expected = generate(model, ids, mask, use_cache=False, **MODES[mode])
    for how in CACHES.values():
        assert torch.equal(generate(model, ids, mask, **MODES[mode], **how), expected)


@pytest.mark.parametrize("mask", [None, "ones"])
def test_a_static_cache_without_padding(mask):
    """`generate` drops a mask of ones, and the static cache then brings its own."""
    model, ids = make(), prompts()[0][:, -3:]
    mask = None if mask is None else torch.ones_like(ids)
    expected = generate(model, ids, mask, use_cache=False)
    assert torch.equal(generate(model, ids, mask, **CACHES["static"]), expected)


def assisted(model, mode):
    if mode == "prompt lookup":
        return {"prompt_lookup_num_tokens": 3}
    return {"assistant_model": model.base if mode == "by the base" else make()}


@pytest.mark.parametrize("mode", ["by the base", "by T3", "prompt lookup"])
def test_assisted(mode):
    model, (ids, mask) = make(), prompts()
    # A prompt that repeats itself gives the look-up something to find; rows one at a time.
    for row in range(3):
        one = ids[row : row + 1].repeat(1, 2), mask[row : row + 1].repeat(1, 2)
        expected = generate(model, *one, use_cache=False)
        assert torch.equal(generate(model, *one, **assisted(model, mode)), expected)


class Listener:
    """What is streamed, token by token."""

    def __init__(self):
        self.tokens, self.ended = [], False

    def put(self, tokens):
        self.tokens += tokens.flatten().tolist()

    def end(self):
        self.ended = True


@pytest.mark.parametrize("mode", ["greedy", "top-p"])
def test_streaming(mode):
    model, (ids, mask) = make(), prompts(1)
    expected = generate(model, ids, mask, use_cache=False, **MODES[mode])
    heard = Listener()
    generate(model, ids, mask, streamer=heard, **MODES[mode])
    assert heard.ended
    assert heard.tokens == expected[0].tolist()


@pytest.mark.parametrize("architecture", [a for a in SPECIAL if a != "llama"])
def test_assisted_on_every_architecture(architecture):
    model, (ids, mask) = make(architecture), prompts(1)
    one = ids.repeat(1, 2), mask.repeat(1, 2)
    expected = generate(model, *one, use_cache=False)
    # Before 5.24 transformers cannot crop an assistant's sliding window, T3 or not.
    broken = CACHE != "cache" and architecture == "mistral"
    for mode in ("prompt lookup",) if broken else ("by the base", "prompt lookup"):
        assert torch.equal(generate(model, *one, **assisted(model, mode)), expected)


@pytest.mark.parametrize("architecture", SPECIAL)
@pytest.mark.parametrize("cache", [None, "static"])
def test_continuing_from_a_returned_cache(architecture, cache):
    model, (ids, mask) = make(architecture), prompts()
    expected = generate(model, ids, mask, use_cache=False)
    if cache is not None:
        # With room for all of it; generate would make one of the first call's length.
        cache = {CACHE: StaticCache(config=model.config, max_cache_len=7 + NEW)}
    first = model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=4,
        return_dict_in_generate=True,
        output_scores=True,
        **cache or {},
    )
    assert len(first.scores) == 4
    longer = torch.cat([mask, torch.ones(3, first.sequences.shape[1] - ids.shape[1])], 1).long()
    second = model.generate(
        first.sequences, attention_mask=longer, max_new_tokens=NEW - 4, **{CACHE: first[CACHE]}
    )
    assert torch.equal(second, expected)


@pytest.mark.parametrize("static", [False, True])
def test_a_cache_of_another_is_refused(static):
    """Filled by the base alone, or by a model with another head of the same rank."""
    model, (ids, mask) = make(), prompts()
    other = T3ForCausalLM(model.base, sharp_head(seed=2), model.t3_config).eval()

    def cache():
        return StaticCache(config=model.config, max_cache_len=20) if static else DynamicCache()

    with torch.no_grad():
        for filled, message in (
            (
                model.base(ids, attention_mask=mask, **{CACHE: cache()}),
                "got 7 positions of another",
            ),
            (other(ids, mask, **{CACHE: cache()}), "got one of another head"),
        ):
            taken = {CACHE: getattr(filled, CACHE), "pooling_mask": torch.ones(3, 1)}
            with pytest.raises(InputError, match=message):
                model(ids[:, -1:], **taken)


def test_a_cache_that_the_base_advanced_is_refused():
    model, (ids, _) = make(), prompts()
    with torch.no_grad():
        past = getattr(model(ids), CACHE)
        model.base(ids[:, :2], **{CACHE: past})
        with pytest.raises(InputError, match="got 2 positions of another"):
            model(ids[:, -1:], **{CACHE: past})


class Stream:
    """One that does all it is given at once."""

    def wait_stream(self, _other):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_an_offloaded_cache_is_fetched_as_the_bases_own(monkeypatch):
    """Every layer is fetched before it is used: transformers' code with flags for devices."""

    class Layer(DynamicLayer):
        away = False

        def offload(self):
            self.away = True

        def prefetch(self):
            self.away = False

        def update(self, *args, **kwargs):
            assert not self.away
            return super().update(*args, **kwargs)

    monkeypatch.setattr("torch.Stream", Stream)
    monkeypatch.setattr("torch.cuda.default_stream", lambda _device=None: Stream())
    model, (ids, mask) = make(), prompts()
    expected = generate(model, ids, mask)
    cache = DynamicCache(config=model.config, offloading=True)
    cache.layers = [Layer() for _ in cache.layers]
    assert torch.equal(generate(model, ids, mask, **{CACHE: cache}), expected)
    assert [layer.away for layer in cache.layers[:-1]] == [False, True], "the first is fetched"


# Gemma 2 scales its embeddings after it has looked them up.
@pytest.mark.parametrize("architecture", [a for a in SPECIAL if a != "gemma2"])
def test_embeddings_in_the_place_of_tokens(architecture):
    model, (ids, mask) = make(architecture), prompts()
    embedded = model.get_input_embeddings()(ids)
    found = model.generate(inputs_embeds=embedded, attention_mask=mask, max_new_tokens=NEW)
    assert torch.equal(found, generate(model, ids, mask)[:, ids.shape[1] :])


@pytest.mark.parametrize("architecture", SPECIAL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_with_and_without_cache(architecture, dtype):
    model, (ids, mask) = make(architecture), prompts()
    model.base.to(dtype)
    tokens = generate(model, ids, mask)
    assert tokens.shape == (3, 7 + NEW)
    with torch.no_grad():
        longer = torch.cat([mask, torch.ones(3, NEW)], 1).long()
        places = (longer.cumsum(1) - 1).clamp(min=0)  # as generate counts them
        scores = model(tokens, longer, position_ids=places).logits
    assert scores.dtype == torch.float32
    # bfloat16 attention in another order moves scores by up to 0.1: the chosen token is
    # never further than that from the best.
    chosen = scores[:, 6:-1].gather(-1, tokens[:, 7:, None])[..., 0]
    ended = (tokens[:, 7:] == 0).cumsum(1) > 0  # padding after the end is not chosen
    gap = (scores[:, 6:-1].max(-1).values - chosen).masked_fill(ended, 0)
    assert float(gap.max()) < 0.1


def test_forward_step_by_step_is_forward_at_once():
    model, (ids, mask) = make("gemma2"), prompts()
    with torch.no_grad():
        whole, cache, steps = model(ids, mask).logits, None, []
        for t in range(7):
            output = model(
                ids[:, t : t + 1], mask[:, : t + 1], past_key_values=cache, use_cache=True
            )
            cache = output.past_key_values
            steps.append(output.logits)
    real = mask.bool()
    torch.testing.assert_close(torch.cat(steps, 1)[real], whole[real], rtol=0, atol=1e-4)


def test_only_the_kept_positions_are_scored():
    model, (ids, mask) = make(), prompts()
    with torch.no_grad():
        whole = model(ids, mask).logits
        assert torch.allclose(model(ids, mask, logits_to_keep=2).logits, whole[:, -2:], atol=1e-6)
        some = torch.tensor([1, 4])
        assert torch.allclose(
            model(ids, mask, logits_to_keep=some).logits, whole[:, some], atol=1e-6
        )
    assert whole.shape == (3, 7, VOCAB)


@pytest.mark.filterwarnings("ignore:Dynamo detected:UserWarning")  # array_api_compat's caches
def test_decoding_is_one_graph():
    """Compiled whole (no graph break), over a static cache, step after step."""
    model, (ids, mask) = make(), prompts()
    expected = generate(model, ids, mask, use_cache=False)
    graph = torch.compile(model, fullgraph=True, backend="eager")
    cache = StaticCache(config=model.config, max_cache_len=7 + NEW)
    call, tokens = model, ids
    with torch.no_grad():
        for _ in range(4):
            step = tokens.shape[1] if call is model else 1
            inputs = model.prepare_inputs_for_generation(
                tokens, attention_mask=mask, next_sequence_length=step, **{CACHE: cache}
            )
            best = call(**inputs).logits[:, -1:].argmax(-1)
            tokens, mask = torch.cat([tokens, best], 1), torch.cat([mask, mask[:, -1:]], 1)
            call = graph
    assert torch.equal(tokens, expected[:, :11])


def test_readers_of_one_base_do_not_mix():
    """Two models on one base, and the base alone, as an assistant is used."""
    base = tiny_base("llama")
    first = T3ForCausalLM(base, sharp_head(seed=1)).eval()
    second = T3ForCausalLM(base, sharp_head(seed=2)).eval()
    ids, mask = prompts()

    @torch.no_grad()  # of each thread: with gradients scores are rounded otherwise
    def scores(model):
        return model(ids, mask).logits

    alone = scores(first)
    base(ids, attention_mask=mask)
    other = scores(second)
    with ThreadPoolExecutor(4) as pool:
        both = list(pool.map(scores, [first, second] * 8))
    assert not torch.equal(alone, other)
    assert all(torch.equal(a, (alone, other)[i % 2]) for i, a in enumerate(both))
    assert len(base.model._forward_hooks) == 1
