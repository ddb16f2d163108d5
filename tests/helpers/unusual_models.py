"""Small models that keep their layers, states, positions or padding in unusual ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from helpers.tiny_models import VOCABULARY, named, sized

_GEMMA = {
    "vocab_size_per_layer_input": VOCABULARY,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "hidden_size_per_layer_input": 8,
    "num_hidden_layers": 4,
    "sliding_window": 8,
}

_XLM = {
    "vocab_size": VOCABULARY, "emb_dim": 32, "n_layers": 4, "n_heads": 4,
    "max_position_embeddings": 128, "pad_index": 1, "bos_index": 0, "eos_index": 2, "unk_index": 3,
}  # fmt: skip
_MAMBA = {"hidden_size": 32, "state_size": 8, "num_hidden_layers": 3}

CONFIGURATIONS: dict[str, Callable[[], tuple[type, Any]]] = {
    # Attentions, norms and feed-forwards in lists of their own.
    "xlm": lambda: (hf.XLMWithLMHeadModel, hf.XLMConfig(**_XLM)),
    "flaubert": lambda: (
        hf.FlaubertWithLMHeadModel,
        hf.FlaubertConfig(**_XLM, pad_token_id=1),
    ),
    # States of several streams, a second list beside the layers, a table for each layer.
    "gemma3n": lambda: (
        hf.Gemma3nForCausalLM,
        sized(
            hf.Gemma3nTextConfig, laurel_rank=4, num_kv_shared_layers=2,
            layer_types=["sliding_attention", "full_attention"] * 2,
            activation_sparsity_pattern=[0.0] * 4, **_GEMMA,
        ),
    ),
    "gemma4": lambda: (
        hf.Gemma4ForCausalLM,
        sized(hf.Gemma4TextConfig, global_head_dim=8, num_kv_shared_layers=0, **_GEMMA),
    ),
    # The embeddings are not among the hidden states.
    "mamba": lambda: (hf.MambaForCausalLM, named(hf.MambaConfig, time_step_rank=4, **_MAMBA)),
    "mamba2": lambda: (
        hf.Mamba2ForCausalLM,
        named(hf.Mamba2Config, num_heads=4, head_dim=16, n_groups=1, chunk_size=16, **_MAMBA),
    ),
    "falcon_mamba": lambda: (
        hf.FalconMambaForCausalLM, named(hf.FalconMambaConfig, time_step_rank=4, **_MAMBA),
    ),
    "rwkv": lambda: (
        hf.RwkvForCausalLM,
        named(
            hf.RwkvConfig, hidden_size=32, attention_hidden_size=32, num_hidden_layers=3,
            context_length=128,
        ),
    ),
    # The hidden states end before the final norm; a model of two towers.
    "clip": lambda: (
        hf.CLIPModel,
        hf.CLIPConfig(
            text_config={
                "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 128,
                "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
            },
            vision_config={
                "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
                "num_attention_heads": 4, "image_size": 8, "patch_size": 4,
            },
        ),
    ),
    # base_model is the model with its head.
    "llama4": lambda: (
        hf.Llama4ForCausalLM,
        sized(
            hf.Llama4TextConfig, intermediate_size_mlp=48, num_key_value_heads=2, head_dim=8,
            num_local_experts=2,
        ),
    ),
    # The text half of a model that sees: one of its blocks attends to images.
    "mllama": lambda: (
        hf.MllamaForCausalLM,
        sized(
            type(hf.MllamaConfig().text_config), num_key_value_heads=2, num_hidden_layers=4,
            cross_attention_layers=[1],
        ),
    ),
    # Blocks take (tokens, sentences, dim).
    "xlnet": lambda: (
        hf.XLNetLMHeadModel, named(hf.XLNetConfig, d_model=32, n_layer=3, n_head=4, d_inner=48),
    ),
    # Padding is not masked.
    "fnet": lambda: (hf.FNetModel, sized(hf.FNetConfig)),
    "convbert": lambda: (hf.ConvBertModel, sized(hf.ConvBertConfig, embedding_size=32)),
    # Positions under other names.
    "led": lambda: (
        hf.LEDModel,
        named(
            hf.LEDConfig, d_model=32, encoder_layers=2, decoder_layers=1,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
            decoder_ffn_dim=48, max_encoder_position_embeddings=128,
            max_decoder_position_embeddings=64, attention_window=8, decoder_start_token_id=2,
        ),
    ),
    "ibert": lambda: (hf.IBertModel, sized(hf.IBertConfig)),
    # States are padded on the right to a multiple of a window.
    "pegasus_x": lambda: (
        hf.PegasusXForConditionalGeneration,
        named(
            hf.PegasusXConfig, d_model=32, encoder_layers=2, decoder_layers=1,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
            decoder_ffn_dim=48, block_size=16, num_global_tokens=4, decoder_start_token_id=2,
        ),
    ),
    # The last layer is wider than the others: of two streams.
    "reformer": lambda: (
        hf.ReformerModel,
        sized(
            hf.ReformerConfig, axial_pos_embds_dim=[16, 16], axial_pos_shape=[16, 16],
            attn_layers=["local", "local"], attention_head_size=8, feed_forward_size=48,
            local_attn_chunk_length=16, is_decoder=True,
        ),
    ),
    # States of fewer tokens than the sentence has.
    "funnel": lambda: (
        hf.FunnelModel,
        named(
            hf.FunnelConfig, d_model=32, n_head=4, d_head=8, d_inner=48, block_sizes=[1, 1],
            num_decoder_layers=1,
        ),
    ),
}  # fmt: skip


def build_unusual(name: str, *, scale: float = 1.0) -> Any:
    """The model, with random weights."""
    cls, config = CONFIGURATIONS[name]()
    torch.manual_seed(0)
    model = cls(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
    return model
