"""What MLPs read and add, against hooks on a model whose modules are known by name."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ilo_fast.transcoders.reading import MLPReader


def test_a_llama_s_mlps() -> None:
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=3,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    seen: dict[tuple[int, str], torch.Tensor] = {}
    for layer, block in enumerate(model.model.layers):
        block.mlp.register_forward_hook(
            lambda _, args, output, layer=layer: seen.update(
                {(layer, "x"): args[0].detach(), (layer, "y"): output.detach()}
            )
        )
    reader = MLPReader(model)
    ids = torch.randint(50, (4, 9))
    x, y = reader.read(ids)
    assert x.shape == y.shape == (4, 9, 3, 16)
    for layer in range(3):
        assert torch.equal(x[:, :, layer], seen[layer, "x"])
        assert torch.equal(y[:, :, layer], seen[layer, "y"])
