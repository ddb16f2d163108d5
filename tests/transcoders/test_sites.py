"""Where MLPs read and write, in small random models of every layout; what has none is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import nn

from ilo_fast.models.forward import first_tensor
from ilo_fast.transcoders.sites import Site, find_sites

_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_USUAL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    **_SPECIAL,
}
_GPT = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, **_SPECIAL}
_FAIRSEQ = {
    "vocab_size": 64, "ffn_dim": 48, "max_position_embeddings": 64, "dropout": 0.0, **_SPECIAL,
}  # fmt: skip
_HEADS = {"head_dim": 8}

# Name of the classes: the settings, where it reads and writes, the scale, the argument that is the
# residual, and whether it reads beside attention.
FAMILIES: dict[str, tuple[dict[str, Any], str, str, float, int | None, bool]] = {
    "Llama": (_USUAL, "mlp", "mlp", 1, None, False),
    "Mistral": (_USUAL, "mlp", "mlp", 1, None, False),
    "Qwen2": (_USUAL, "mlp", "mlp", 1, None, False),
    "Qwen3": (_USUAL | _HEADS, "mlp", "mlp", 1, None, False),
    "Phi3": (_USUAL, "mlp", "mlp", 1, None, False),
    "GPT2": (_GPT, "mlp", "mlp", 1, None, False),
    "Gemma": (_USUAL | _HEADS, "mlp", "mlp", 1, None, False),
    "Gemma2": (_USUAL | _HEADS, "mlp", "post_feedforward_layernorm", 1, None, False),
    "Gemma3": (_USUAL | _HEADS, "mlp", "post_feedforward_layernorm", 1, None, False),
    "Olmo2": (_USUAL, "mlp", "post_feedforward_layernorm", 1, None, False),
    "GPTNeoX": (_USUAL, "mlp", "mlp", 1, None, True),
    "GPTJ": (_GPT | {"rotary_dim": 4}, "mlp", "mlp", 1, None, True),
    "Phi": (_USUAL, "mlp", "mlp", 1, None, True),
    "Falcon": (_USUAL | {"new_decoder_architecture": True, "num_kv_heads": 2}, "mlp", "mlp", 1,
               None, True),
    "Cohere": (_USUAL, "mlp", "mlp", 1, None, True),
    "Bloom": (_USUAL | {"n_layer": 2, "n_head": 4}, "mlp", "mlp", 1, 1, False),
    "OPT": (_FAIRSEQ | {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2,
                        "num_attention_heads": 4}, "fc1", "fc2", 1, None, False),
    "XGLM": (_FAIRSEQ | {"d_model": 32, "num_layers": 2, "attention_heads": 4}, "fc1", "fc2", 1,
             None, False),
    "Granite": (_USUAL | {"residual_multiplier": 0.22}, "mlp", "mlp", 0.22, None, False),
    "Mixtral": (_USUAL | {"num_local_experts": 4}, "mlp", "mlp", 1, None, False),
    # A norm within its MLP: the length of what the MLP reads does not count.
    "BitNet": (_USUAL, "mlp", "mlp", 1, None, False),
}  # fmt: skip


def model_of(name: str, settings: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    config = {"Gemma3": "Gemma3Text", "Gemma3n": "Gemma3nText"}.get(name, name) + "Config"
    kind = next(n for n in ("ForCausalLM", "LMHeadModel") if hasattr(transformers, name + n))
    return getattr(transformers, name + kind)(getattr(transformers, config)(**settings)).eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_sites_of_every_layout(name: str) -> None:
    settings, reads, writes, scale, residual, parallel = FAMILIES[name]
    model = model_of(name, settings)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    parts, sites = find_sites(model)
    names = {module: key for key, module in model.named_modules()}
    assert len(sites) == 2
    for block, site in zip(parts.blocks, sites, strict=True):
        assert names[site.reads] == f"{names[block]}.{reads}"
        assert names[site.writes] == f"{names[block]}.{writes}"
        assert site.scale == pytest.approx(scale, rel=1e-9)
        assert (site.residual, site.parallel) == (residual, parallel)
        _check_added(model, block, site)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.get_default_dtype() == torch.float32


def _check_added(model: nn.Module, block: nn.Module, site: Site) -> None:
    """In the whole model: a block without what the site says is added lacks that, and no more."""
    ids = torch.randint(3, 64, (2, 9), generator=torch.Generator().manual_seed(1))
    seen: dict[str, torch.Tensor] = {}

    def keep(key: str) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            seen[key] = (output[0] if isinstance(output, tuple) else output).clone()

        return hook

    def note(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        seen["added"] = site.added(output, (args, kwargs)).clone()
        back = site.output(seen["added"], (args, kwargs))
        torch.testing.assert_close(back, output, rtol=1e-5, atol=1e-6)

    def drop(_: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        return site.output(torch.zeros_like(output), (args, kwargs))

    for key, hook in (("with", note), ("without", drop)):
        handles = [
            site.writes.register_forward_hook(hook, with_kwargs=True),
            block.register_forward_hook(keep(key), with_kwargs=True),
        ]
        with torch.no_grad():
            model(input_ids=ids, use_cache=False)
        for handle in handles:
            handle.remove()
    lost = (seen["with"] - seen["without"]).reshape(seen["added"].shape)
    torch.testing.assert_close(lost, seen["added"], rtol=1e-4, atol=1e-6)
    assert seen["added"].abs().max() > 1e-4


def test_the_read_vector_decides_what_is_added() -> None:
    """The same hidden state, read by the module alone, gives what the block adds."""
    model = model_of("Llama", _USUAL)
    _, (site, _) = find_sites(model)
    seen: list[tuple[torch.Tensor | None, torch.Tensor]] = []
    handle = site.reads.register_forward_hook(
        lambda _, args, kwargs, output: seen.append((first_tensor(args, kwargs), output)),
        with_kwargs=True,
    )
    with torch.no_grad():
        model(input_ids=torch.arange(3, 12)[None], use_cache=False)
    handle.remove()
    taken, given = seen[0]
    with torch.no_grad():
        torch.testing.assert_close(site.reads(taken), given)


def test_a_model_without_mlps_is_refused_by_the_name_of_its_block() -> None:
    settings = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    with pytest.raises(ValueError, match=r"block backbone\.layers\.0: it has no MLP"):
        find_sites(model_of("Mamba", settings))


def test_channel_mixing_over_time_is_no_mlp() -> None:
    settings = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 64}
    with pytest.raises(ValueError, match=r"block rwkv\.blocks\.0: it has no MLP"):
        find_sites(model_of("Rwkv", settings))


def test_a_model_of_several_residual_streams_is_refused() -> None:
    """Gemma 3n, whose blocks also mix in what each layer looks up for a token."""
    settings = _USUAL | _HEADS | {
        "vocab_size_per_layer_input": 64, "hidden_size_per_layer_input": 8, "laurel_rank": 4,
        "num_kv_shared_layers": 0, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.0, 0.0],
        "layer_types": ["full_attention"] * 2,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"axes 1 and 2 .* more than one residual"):
        find_sites(model_of("Gemma3n", settings))


def test_an_encoder_is_refused() -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4,
    )  # fmt: skip
    with pytest.raises(ValueError, match="an encoder: transcoders are for causal"):
        find_sites(transformers.BertModel(config).eval())


def test_the_norm_behind_the_sum_of_a_first_transformer_is_refused() -> None:
    """Its blocks return lists."""
    with pytest.raises(
        ValueError, match=r"block transformer\.h\.0: its output is not its input and"
    ):
        find_sites(model_of("OpenAIGPT", _GPT))


def test_a_model_that_fills_a_cache_is_read_without_it() -> None:
    """Nothing tells the language model inside that none is wanted."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    vision = transformers.CLIPVisionConfig(
        **sizes, num_attention_heads=2, image_size=8, patch_size=4, projection_dim=16
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=vision, text_config=transformers.LlamaConfig(**_USUAL), image_token_id=63
        )
    ).eval()
    _, sites = find_sites(model)
    layers = model.model.language_model.layers
    assert [(site.reads, site.writes) for site in sites] == [(b.mlp, b.mlp) for b in layers]


class _GatedAttention(nn.Module):
    """Attention times what an MLP makes of its input: a part of attention that mixes nothing."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.gate = _mlp()
        self.inner = attention

    def forward(self, hidden_states: torch.Tensor, **kwargs: Any) -> Any:
        output, *more = self.inner(hidden_states=hidden_states, **kwargs)
        return self.gate(hidden_states) * output, *more


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(32, 48), nn.SiLU(), nn.Linear(48, 32))


def test_a_gate_of_attention_is_not_taken_for_the_mlp() -> None:
    model: Any = model_of("Llama", _USUAL)
    for block in model.model.layers:
        block.self_attn = _GatedAttention(block.self_attn)
    parts, sites = find_sites(model)
    for block, site in zip(parts.blocks, sites, strict=True):
        assert (site.reads, site.writes, site.parallel) == (block.mlp, block.mlp, False)
        _check_added(model, block, site)


class _Beside(nn.Module):
    """A block with a second MLP beside it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.inner, self.second = block, _mlp()

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.inner(hidden_states, *args, **kwargs) + self.second(hidden_states)


def test_two_mlps_in_one_block_are_refused_by_their_names() -> None:
    model: Any = model_of("Llama", _USUAL)
    model.model.layers[1] = _Beside(model.model.layers[1])
    with pytest.raises(ValueError, match=r"block model\.layers\.1: more than one .*: .*second"):
        find_sites(model)


class _Float32(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float())


def test_a_block_that_knows_float32_only_is_refused() -> None:
    model: Any = model_of("Llama", _USUAL)
    model.model.layers[1].mlp = _Float32(32, 32)
    with pytest.raises(ValueError, match=r"block model\.layers\.1: it does not run in float64 \("):
        find_sites(model)


class _Gated(nn.Module):
    """A block that scales its input: its output is more than its input and what is added."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.inner = block

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return 1.5 * self.inner(hidden_states, *args, **kwargs)


def test_a_block_that_changes_the_stream_itself_is_refused() -> None:
    model: Any = model_of("Llama", _USUAL)
    model.model.layers[1] = _Gated(model.model.layers[1])
    with pytest.raises(ValueError, match=r"block model\.layers\.1: "):
        find_sites(model)
