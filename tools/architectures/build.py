"""Small models of every text type, with random weights, from generically shrunk configurations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import torch

from architectures.overrides import OVERRIDES

LAYERS = 4
VOCABULARY = 160

# Of the last part of an attribute's name to a small value; the first that matches counts.
_SIZES: list[tuple[str, int]] = [
    (r"(.*_)?vocab(ulary)?_size(_.*)?", VOCABULARY),
    (r"n_vocab|n_words|num_embeddings", VOCABULARY),
    (
        r"(.*_)?(qk_nope|qk_rope|nope|rope|v|qk|attention|kv|linear_key|linear_value|"
        r"global|index|swa|mamba|ssm)_?head_dim",
        8,
    ),
    (
        r"(.*_)?(head_dim|d_kv|head_size|kv_channels|rotary_dim|attention_head_size|"
        r"d_head|key_value_dim)",
        8,
    ),
    (
        r"(.*_)?(q|kv|o|lora|output)_?lora_(rank|dim)(_.*)?|laurel_rank|.*_low_rank_dim|"
        r"(q|kv)_rank|low_rank.*",
        8,
    ),
    (
        r"(.*_)?(num|n)_(local_|routed_)?experts_per_tok(en)?|moe_k|(moe_)?top_?k|"
        r"moe_topk|num_selected_experts",
        2,
    ),
    (
        r"(.*_)?(num|n|moe_num)_(local_|routed_)?experts|moe_num_experts|"
        r"n_routed_experts|num_moe_experts",
        4,
    ),
    (r"n_group|topk_group|num_expert_groups?|.*shared_experts?", 1),
    (
        r"(.*_)?(num_key_value_heads|n_kv_heads?|num_kv_heads|multi_query_group_num|"
        r"attention_groups|num_key_value_groups)",
        2,
    ),
    (
        r"(.*_)?(num_attention_heads|n_heads?|num_heads|attention_heads|heads|"
        r"num_query_heads|nhead)",
        4,
    ),
    (r"(.*_)?(hidden_size_per_layer_input)", 8),
    (
        r"(.*_)?(intermediate_size.*|intermediate_dim|ffn_dim|ffn_hidden_size|d_ff|"
        r"d_inner|n_inner|inner_dim|ff_dim|mlp_dim|feed_forward_dim|ffn_.*size|"
        r"feedforward_size|mlp_hidden_size|block_ff_dim)",
        64,
    ),
    (
        r"hidden_size|d_model|n_embd|dim|emb(ed)?_dim|embed(ding)?_size|embed_proj_dim|"
        r"word_embed_proj_dim|(projection|proj)_(dim|size)|(out_)?hidden_dim|model_dim|"
        r"embedding_dim|output_hidden_size|lru_width|attention_hidden_size|"
        r"text_embed_dim|text_hidden_size|out_hidden_size|projector_hidden_size|"
        r"encoder_hidden_size|decoder_hidden_size|decoder_hidden_dim|true_hidden_size|"
        r"hidden_dimension|text_dim|vision_.*_dim|mm_hidden_size|"
        r"cross_attention_hidden_size|output_dim|text_embed_size|d_embed|"
        r"embedding_hidden_size",
        32,
    ),
    (
        r"(.*_)?(num_hidden_layers|n_layers?|num_layers|encoder_layers|decoder_layers|"
        r"n_blocks|num_decoder_layers|num_encoder_layers|layers|depth|num_hidden_blocks)",
        LAYERS,
    ),
    (
        r"(.*_)?(max_position_embeddings?|n_positions|max_seq_len|max_sequence_length|"
        r"seq_length|context_length|n_ctx|max_source_positions|max_target_positions|"
        r"max_encoder_position_embeddings|max_decoder_position_embeddings|"
        r"max_2d_position_embeddings|max_position)",
        256,
    ),
    (
        r"sliding_window|attention_window|window_size|local_attention|"
        r"attention_chunk_size|local_window_size",
        16,
    ),
    (r"image_size", 32),
    (r"patch_size", 8),
    (r"num_mel_bins", 16),
    (r"(mamba_)?(ssm_)?(d_state|state_size|state_dim)", 8),
    (r"(mamba_)?chunk_size|chunk_length", 16),
    (r"time_step_rank|dt_rank|mamba_dt_rank", 4),
]

_SPECIAL_IDS = {
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 0,
    "sep_token_id": 2,
    "decoder_start_token_id": 2,
}


class UnbuildableError(Exception):
    """The type cannot be built small; `text` tells whether it takes text at all."""

    def __init__(self, why: str, *, text: bool = True) -> None:
        super().__init__(why)
        self.text = text


def text_types() -> list[str]:
    """All model types of the installed transformers."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return sorted(CONFIG_MAPPING_NAMES)


def build_model(name: str) -> Any:
    """A small model of a type: with a language-model head where there is such a class."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        kind = CONFIG_MAPPING[name]
    except Exception as error:
        raise UnbuildableError(
            f"its configuration cannot be imported: {error}", text=False
        ) from error
    classes = list(_classes(name, kind))
    if not any(_takes_text(cls) for cls in classes):
        raise UnbuildableError("no class of it takes token ids", text=False)
    from architectures.check import Reference

    errors = []
    for cls in reversed(classes):  # the one with a head holds the bare one
        torch.manual_seed(0)
        try:
            model = cls(small_config(kind)).float().eval()
            enliven(model)
            Reference(model)
        except Exception as error:
            errors.append(f"{cls.__name__}: {type(error).__name__}: {_line(error)}")
            continue
        return model
    raise UnbuildableError("; ".join(errors)[:400])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:250]


def _classes(name: str, config: type) -> Iterator[Any]:
    """One base class and one class with a head."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    heads = (
        "MODEL_FOR_CAUSAL_LM", "MODEL_FOR_MASKED_LM", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM",
        "MODEL_FOR_IMAGE_TEXT_TO_TEXT", "MODEL_FOR_MULTIMODAL_LM", "MODEL_FOR_PRETRAINING",
        "MODEL_FOR_SPEECH_SEQ_2_SEQ", "MODEL_FOR_TEXT_TO_WAVEFORM",
    )  # fmt: skip
    found = []
    for groups in (("MODEL", "MODEL_FOR_TEXT_ENCODING"), heads):
        for group in groups:
            names = getattr(auto, f"{group}_MAPPING_NAMES").get(name)
            for cls_name in [names] if isinstance(names, str) else list(names or ())[:1]:
                cls = getattr(transformers, cls_name, None)
                if cls is not None and cls not in found and _takes_text(cls):
                    found.append(cls)
                    break
            else:
                continue
            break
    if not found:
        found = _of_config(config)
    yield from found


def _of_config(config: type) -> list[Any]:
    """Classes in the module of the configuration that take it and token ids."""
    import importlib

    import transformers

    path = config.__module__.replace("configuration_", "modeling_")
    try:
        module = importlib.import_module(path)
    except Exception:
        return []
    return [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls)
        and issubclass(cls, transformers.PreTrainedModel)
        and getattr(cls, "config_class", None) is config
        and cls.__module__ == path
        and not cls.__name__.endswith("PreTrainedModel")
        and _takes_text(cls)
    ][:1]


def _takes_text(cls: Any) -> bool:
    try:
        return "input_ids" in inspect.signature(cls.forward).parameters
    except (TypeError, ValueError):
        return False


# --------------------------------------------------------------------------------------------------


def small_config(cls: type, **outer: Any) -> Any:
    """A configuration of `cls` with all of its sizes small, and so those inside it."""
    name = str(getattr(cls, "model_type", ""))
    default = cls()
    values = default.to_dict()
    accepted = {**values}
    chosen: dict[str, Any] = {}
    layers = _default_layers(values)
    picks = _picks(values, layers)
    for key, value in accepted.items():
        if key in ("model_type", "transformers_version", "architectures", "_name_or_path"):
            continue
        try:
            sub = getattr(default, key, None)
        except Exception:  # an attribute that differs between layers has no one value
            sub = None
        if hasattr(sub, "to_dict") and hasattr(type(sub), "model_type"):
            chosen[key] = small_config(type(sub)).to_dict()
            chosen[key].setdefault("model_type", type(sub).model_type)
            continue
        new = _small(key, value, layers, picks)
        if key == "num_key_value_heads" and value == values.get("num_attention_heads"):
            new = 4
        if new is not value and new != value:
            chosen[key] = new
    chosen.update(outer)
    override = OVERRIDES.get(name, {})
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(chosen.get(key), dict):
            chosen[key].update(value)
        else:
            chosen[key] = value
    config = cls(**chosen)
    config._attn_implementation = "eager" if override.get("_eager") else config._attn_implementation
    return config


def _default_layers(values: dict[str, Any]) -> int | None:
    for key in (
        "num_hidden_layers",
        "n_layer",
        "n_layers",
        "num_layers",
        "encoder_layers",
        "depth",
    ):
        if isinstance(values.get(key), int):
            return int(values[key])
    return None


def _picks(values: dict[str, Any], layers: int | None) -> list[int]:
    """Which of the default's layers stay: one of every kind, then the first ones."""
    kinds = values.get("layer_types") or values.get("layers_block_type")
    if not layers:
        return list(range(LAYERS))
    if not isinstance(kinds, (list, tuple)) or len(kinds) != layers:
        return list(range(min(LAYERS, layers)))
    firsts = sorted({kind: i for i, kind in reversed(list(enumerate(kinds)))}.values())
    rest = [i for i in range(layers) if i not in firsts]
    return sorted((firsts + rest)[:LAYERS])


def _small(key: str, value: Any, layers: int | None, picks: list[int]) -> Any:
    if isinstance(value, (list, tuple)) and layers and len(value) == layers and layers > 1:
        return [_small(key, value[i], None, picks) for i in picks]
    if key in _SPECIAL_IDS:
        return _SPECIAL_IDS[key] if not isinstance(value, (list, tuple)) else [_SPECIAL_IDS[key]]
    if value is None and key in ("head_dim", "num_key_value_heads"):
        return 8 if key == "head_dim" else 4
    if isinstance(value, bool) or value is None:
        return value
    if key.endswith(("token_id", "token_index", "_id")) and isinstance(value, int):
        return min(value, VOCABULARY - 1 - (len(key) % 20)) if value >= 0 else value
    if key in ("rope_parameters", "rope_scaling") and isinstance(value, dict):
        return _small_rope(value)
    if isinstance(value, int):
        for pattern, size in _SIZES:
            if re.fullmatch(pattern, key):
                return size if "position" in key else min(size, value) if value > 0 else value
    return value


def _small_rope(value: dict[str, Any]) -> dict[str, Any]:
    new = {k: _small_rope(v) if isinstance(v, dict) else v for k, v in value.items()}
    section = new.get("mrope_section")
    if "rope_type" in new and not isinstance(section, (list, tuple)):
        section = [0, 0, 0]  # some models have a default for it in their code
    if isinstance(section, (list, tuple)):
        new["mrope_section"] = [2, 1, 1] if len(section) == 3 else [1] * len(section)
    return new


def enliven(model: Any) -> None:
    """Random values everywhere: a zero or a one of the initialisation would hide what it does."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.is_floating_point():
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1 and not torch.isfinite(parameter).all():
                parameter.copy_(noise * 0.05)
            elif parameter.dim() > 1:
                parameter.mul_(2.0).add_(noise * 0.02)
            else:
                finite = torch.isfinite(parameter) & (parameter.abs() < 1e3)
                parameter.copy_(parameter.where(finite, torch.zeros_like(parameter)) + noise * 0.05)
