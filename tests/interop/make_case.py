"""A small random Llama and a random cross-layer transcoder, in a folder, for others to trace.

    python tests/interop/make_case.py OUT [--layers 3 --hidden-size 16 --features 40 ...]

OUT/llama is a folder of transformers with a tokenizer (its path must hold "llama": TransformerLens
reads the architecture there); OUT/clt is one that circuit-tracer loads; OUT/prompt.json holds the
token ids, the first of which is a special token.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ilo_fast.transcoders.activations import JumpReLU
from ilo_fast.transcoders.files.circuit_tracer import export_circuit_tracer
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden-size", type=int, default=16)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--features", type=int, default=40)
    parser.add_argument("--vocabulary", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=9)
    parser.add_argument("--share", type=float, default=0.15, help="of features that are active")
    parser.add_argument("--seed", type=int, default=15)
    args = parser.parse_args()
    model = random_llama(args)
    ids = torch.randint(3, args.vocabulary, (args.tokens,))
    ids[0] = 1  # the special token that begins a text
    transcoder = random_transcoder(args, model, ids)

    args.out.mkdir(parents=True)
    model.save_pretrained(args.out / "llama")
    tokenizer(args.vocabulary).save_pretrained(args.out / "llama")
    # transformers 5 names a class that transformers 4 does not know.
    config = args.out / "llama" / "tokenizer_config.json"
    found = json.loads(config.read_text())
    config.write_text(json.dumps({**found, "tokenizer_class": "PreTrainedTokenizerFast"}))
    export_circuit_tracer(transcoder, args.out / "clt", model_name="llama")
    (args.out / "prompt.json").write_text(json.dumps(ids.tolist()))


def random_llama(args: argparse.Namespace) -> LlamaForCausalLM:
    """Larger weights than a new model has, so that layers and heads do something."""
    torch.manual_seed(args.seed)
    config = LlamaConfig(
        vocab_size=args.vocabulary, hidden_size=args.hidden_size,
        intermediate_size=2 * args.hidden_size, num_hidden_layers=args.layers,
        num_attention_heads=args.heads, num_key_value_heads=args.heads // 2,
        max_position_embeddings=256, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=False, initializer_range=0.8 / args.hidden_size**0.5,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.copy_(1 + 0.3 * torch.randn_like(weight))
    return model


def random_transcoder(
    args: argparse.Namespace, model: LlamaForCausalLM, ids: torch.Tensor
) -> CrossLayerTranscoder:
    """JumpReLU: in every layer the share `args.share` of the features is active on the prompt."""
    transcoder = CrossLayerTranscoder(
        args.layers, args.hidden_size, args.features, activation=JumpReLU(), seed=args.seed
    )
    random = torch.Generator().manual_seed(args.seed)

    def noise(tensor: torch.Tensor) -> torch.Tensor:
        return torch.randn(tensor.shape, generator=random)

    reads: list[torch.Tensor] = []
    hooks = [
        block.mlp.register_forward_pre_hook(lambda _, a: reads.append(a[0][0]))
        for block in model.model.layers
    ]
    with torch.no_grad():
        model(ids[None])
        transcoder.encoder_bias.copy_(0.1 * noise(transcoder.encoder_bias))
        transcoder.decoder_bias.copy_(0.1 * noise(transcoder.decoder_bias))
        for layer, x in enumerate(reads):
            pre = x @ transcoder.encoder_weight[layer].T + transcoder.encoder_bias[layer]
            ranked = pre[1:].flatten().sort(descending=True).values
            at = int(args.share * len(ranked))
            least = float(ranked[at - 1 : at + 1].mean().clamp_min(1e-3))
            # Not the same for all: a loader that mixes thresholds up is found out.
            factor = 1 + 0.2 * (torch.rand(args.features, generator=random) - 0.5)
            transcoder.log_threshold[layer] = (least * factor).log()
    for hook in hooks:
        hook.remove()
    return transcoder.eval()


def tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Words for tokens: three special ones, then w3, w4, ..."""
    special = ["<pad>", "<s>", "</s>"]
    words = {word: at for at, word in enumerate(special)}
    words.update({f"w{at}": at for at in range(len(special), vocabulary)})
    made = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


if __name__ == "__main__":
    main()
