"""The architectures that tests run on, small, with random weights, and an offline tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers as hf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from ilo_fast.representations.extraction import extract

VOCABULARY = 160

SENTENCES = {
    "eng_Latn": (
        "the water is cold today",
        "she reads",
        "we walk along the river and talk about the long winter",
        "where is the station",
        "it rains",
    ),
    "deu_Latn": (
        "das wasser ist heute kalt",
        "sie liest",
        "wir gehen am fluss entlang und reden vom langen winter und vom schnee",
        "wo ist der bahnhof",
        "es regnet",
    ),
    "fra_Latn": (
        "l'eau est froide aujourd'hui",
        "elle lit",
        "nous marchons le long de la riviere et parlons du long hiver",
        "ou est la gare",
        "il pleut",
    ),
}


def tokenizer(
    *,
    specials: bool = True,
    pad: bool = True,
    padding_side: str = "right",
    model_max_length: int | None = None,
    offset: int = 0,
) -> Any:
    """A character tokenizer: <s> text </s> around every sentence where `specials`.

    `offset` shifts the ids of all characters, for a tokenizer that gives other ids to equal text.
    """
    characters = " abcdefghijklmnopqrstuvwxyz'"
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    vocabulary |= {c: 4 + offset + i for i, c in enumerate(characters)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    # The zero-width space vanishes, as control characters do in real tokenizers.
    core.normalizer = normalizers.Replace("\u200b", "")
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if specials:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>" if pad else None,
        padding_side=padding_side,
        **({} if model_max_length is None else {"model_max_length": model_max_length}),
    )


def sized(config: type, **changes: Any) -> Any:
    base: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 128,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
    }
    return config(**(base | changes))


def named(config: type, **sizes: Any) -> Any:
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    return config(vocab_size=VOCABULARY, **ids, **sizes)


def seq2seq(config: type) -> Any:
    return named(
        config,
        d_model=32,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=128,
        decoder_start_token_id=2,
    )


def _t5(config: type) -> Any:
    return named(config, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4)


GROUPED = {"num_key_value_heads": 2}
SMALL_HEADS = {"num_key_value_heads": 1, "head_dim": 8}

# Architecture -> (configuration, kind, whether it has a final norm)
ARCHITECTURES: dict[str, tuple[Callable[[], Any], str, bool]] = {
    "llama": (lambda: sized(hf.LlamaConfig), "decoder", True),
    "qwen2": (lambda: sized(hf.Qwen2Config, **GROUPED), "decoder", True),
    "qwen3": (lambda: sized(hf.Qwen3Config, head_dim=8, **GROUPED), "decoder", True),
    "gemma": (lambda: sized(hf.GemmaConfig, **SMALL_HEADS), "decoder", True),
    "gemma2": (lambda: sized(hf.Gemma2Config, sliding_window=8, **SMALL_HEADS), "decoder", True),
    "gemma3": (lambda: sized(hf.Gemma3TextConfig, **SMALL_HEADS), "decoder", True),
    "mistral": (lambda: sized(hf.MistralConfig, sliding_window=8, **GROUPED), "decoder", True),
    "mixtral": (
        lambda: sized(hf.MixtralConfig, num_local_experts=6, **GROUPED), "decoder", True,
    ),
    "phi": (lambda: sized(hf.PhiConfig), "decoder", True),
    "gpt_neox": (lambda: sized(hf.GPTNeoXConfig), "decoder", True),
    "gpt2": (
        lambda: named(hf.GPT2Config, n_embd=32, n_layer=3, n_head=4, n_positions=128),
        "decoder", True,
    ),
    "bloom": (lambda: named(hf.BloomConfig, hidden_size=32, n_layer=3, n_head=4), "decoder", True),
    "mpt": (lambda: named(hf.MptConfig, d_model=32, n_layers=3, n_heads=4), "decoder", True),
    "falcon": (
        lambda: named(
            hf.FalconConfig, hidden_size=32, num_hidden_layers=3, num_attention_heads=4
        ),
        "decoder", True,
    ),
    "opt": (
        lambda: named(
            hf.OPTConfig, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
            ffn_dim=48, max_position_embeddings=128, word_embed_proj_dim=32,
        ),
        "decoder", True,
    ),
    "bert": (lambda: sized(hf.BertConfig), "encoder", False),
    "xlm_roberta": (lambda: sized(hf.XLMRobertaConfig), "encoder", False),
    "electra": (lambda: sized(hf.ElectraConfig, embedding_size=16), "encoder", False),
    "albert": (lambda: sized(hf.AlbertConfig, embedding_size=16), "encoder", False),
    "deberta_v2": (
        lambda: sized(
            hf.DebertaV2Config, relative_attention=True, position_buckets=8,
            pos_att_type=["p2c", "c2p"], conv_kernel_size=3,
        ),
        "encoder", False,
    ),
    "modernbert": (
        lambda: sized(hf.ModernBertConfig, cls_token_id=0, sep_token_id=2), "encoder", True,
    ),
    "distilbert": (
        lambda: hf.DistilBertConfig(
            vocab_size=VOCABULARY, dim=32, n_layers=3, n_heads=4, hidden_dim=48,
            max_position_embeddings=128, pad_token_id=1,
        ),
        "encoder", False,
    ),
    "longformer": (
        lambda: sized(hf.LongformerConfig, attention_window=[8, 8, 8]), "encoder", False,
    ),
    "t5": (lambda: _t5(hf.T5Config), "encoder-decoder", True),
    "mt5": (lambda: _t5(hf.MT5Config), "encoder-decoder", True),
    "bart": (lambda: seq2seq(hf.BartConfig), "encoder-decoder", False),
    "mbart": (lambda: seq2seq(hf.MBartConfig), "encoder-decoder", True),
    "m2m_100": (lambda: seq2seq(hf.M2M100Config), "encoder-decoder", True),
}  # fmt: skip


def build(name: str, *, seed: int = 0) -> Any:
    """The headless model, random weights large enough that layers differ clearly."""
    config = ARCHITECTURES[name][0]()
    torch.manual_seed(seed)
    model = hf.AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    return model.eval()


def published(model: Any, tokenizer: Any, sentences: Any) -> np.ndarray:
    """The published way: one sentence, unpadded, all hidden states, mean over its tokens."""
    run = model.get_encoder() if model.config.is_encoder_decoder else model
    rows = []
    for sentence in sentences:
        ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = run(input_ids=ids, output_hidden_states=True).hidden_states
        rows.append(np.stack([state[0].float().mean(dim=0).numpy() for state in states]))
    return np.stack(rows, axis=1)


def marking_tokenizer(*languages: str) -> Any:
    """A tokenizer that marks each sentence with its language, as NLLB does."""
    letters = {c: i + 5 for i, c in enumerate("abcdefghijklmnopqrstuvwxyz'")}
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "\u2581": 4, **letters}
    tokens = list(languages)
    return hf.NllbTokenizer(vocab=vocabulary, merges=[], additional_special_tokens=tokens)


def run(model: Any, corpus: Any = SENTENCES, *, tok: Any = None, **options: Any) -> Any:
    """extract() with the offline tokenizer."""
    return extract(model, corpus, tokenizer=tok or tokenizer(), **options)


def assert_same(ours: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    """Equal up to rounding, layer by layer, relative to the largest value of the layer."""
    assert ours.shape == theirs.shape
    for layer in range(len(theirs)):
        assert np.abs(ours[layer] - theirs[layer]).max() <= tolerance * np.abs(theirs[layer]).max()
