"""What the generic shrinking of a configuration gets wrong, by model type."""

from __future__ import annotations

from typing import Any

_MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1}
_GEMMA3N = {
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 2,
    "activation_sparsity_pattern": [0.0] * 4,
    "laurel_rank": 4,
}

_MROPE = {
    "rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 1.0,
    "mrope_section": [2, 1, 1],
}  # fmt: skip

OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {**_MAMBA2, "attn_layer_indices": [1]},
    "deepseek_v2": {"num_experts_per_tok": 2, "qk_head_dim": 16, "head_dim": 8, "v_head_dim": 8},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "glm4v_moe_text": {"head_dim": 8, "rope_parameters": _MROPE},
    "granitemoehybrid": {**_MAMBA2, "layer_types": ["mamba", "attention"] * 2},
    "longcat_flash": {"qk_head_dim": 16, "zero_expert_num": 2},
    "mistral4": {"qk_head_dim": 16, "head_dim": 16},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1, "n_routed_experts": 4},
    "xlstm": {"qk_dim_factor": 1.0, "num_blocks": 4},
    "xmod": {"languages": ["en_XX", "de_DE"], "default_language": "en_XX"},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid"] * 2, "attention_head_dim": 16,
        "attention_hidden_size": 64,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid"] * 2, "attention_head_dim": 16,
        "attention_hidden_size": 64, "n_mamba_heads": 8, "mamba_headdim": 8, "kv_channels": 8,
        "num_query_groups": 4,
    },
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "gemma3n_text": _GEMMA3N,
    "gemma4_text": {"num_kv_shared_layers": 0, "global_head_dim": 8},
    "esm": {"vocab_size": 160, "mask_token_id": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mobilebert": {"true_hidden_size": 32, "intra_bottleneck_size": 32},
    "reformer": {
        "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [16, 16], "is_decoder": True,
        "attn_layers": ["local", "lsh", "local", "lsh"], "num_hidden_layers": 4,
    },
    "lilt": {"hidden_size": 48, "channel_shrink_ratio": 4},
    "step3p5": {"sliding_window": 16},
}  # fmt: skip
