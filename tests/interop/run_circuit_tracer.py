"""What circuit-tracer finds on a case of make_case.py; runs in an environment of its own.

    PYTHONPATH=CHECKOUT ENVIRONMENT/bin/python tests/interop/run_circuit_tracer.py CASE OUT

ENVIRONMENT is one in which `import circuit_tracer` gives decoderesearch/circuit-tracer; see
README.md. ilo_fast is not needed there. Writes OUT/theirs.safetensors, OUT/theirs.json and, as
circuit-tracer writes graphs, OUT/case.json. With --repeats it only takes the time; with --read it
only reads graphs that we wrote, as its viewer's types are.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import statistics
import time
from pathlib import Path

import torch
from circuit_tracer.attribution.attribute_transformerlens import attribute
from circuit_tracer.frontend.feature_models import Model as FeatureFile
from circuit_tracer.frontend.graph_models import Model as GraphFile
from circuit_tracer.graph import (
    compute_graph_scores,
    compute_node_influence,
    prune_graph,
)
from circuit_tracer.replacement_model.replacement_model_transformerlens import (
    TransformerLensReplacementModel,
)
from circuit_tracer.transcoder.cross_layer_transcoder import load_clt
from circuit_tracer.utils.create_graph_files import create_graph_files
from safetensors.torch import save_file
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import AutoTokenizer, LlamaForCausalLM


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("case", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=0, help="only time it, so often")
    parser.add_argument("--read", type=Path, nargs="+", help="only read these graphs of ours")
    args = parser.parse_args()
    if args.read:
        for file in args.read:
            of = FeatureFile if file.parent.name == "features" else GraphFile
            found = of.model_validate_json(file.read_text())
            print(file, of.__module__, {name: len(str(value)) for name, value in found})
        return
    dtype = getattr(torch, args.dtype)
    transcoder = load_clt(
        str(args.case / "clt"), feature_input_hook="mlp.hook_in",
        feature_output_hook="hook_mlp_out", scan="case", device=torch.device("cpu"), dtype=dtype,
        lazy_encoder=False, lazy_decoder=False,
    )  # fmt: skip
    model = replacement_model(args.case / "llama", transcoder, dtype)
    ids = torch.tensor(json.loads((args.case / "prompt.json").read_text()))
    args.out.mkdir(parents=True, exist_ok=True)
    if args.repeats:
        write_times(model, ids, args)
    else:
        write_graph(model, ids, args)


def replacement_model(path, transcoder, dtype):  # type: ignore[no-untyped-def]
    """As their `from_pretrained_and_transcoders`, which takes names of published models only."""
    hf_model = LlamaForCausalLM.from_pretrained(path, dtype=dtype)
    hf = hf_model.config
    heads, d_head = hf.num_attention_heads, hf.hidden_size // hf.num_attention_heads
    config = HookedTransformerConfig(
        n_layers=hf.num_hidden_layers, d_model=hf.hidden_size, n_ctx=hf.max_position_embeddings,
        d_head=d_head, n_heads=heads, d_mlp=hf.intermediate_size, d_vocab=hf.vocab_size,
        eps=hf.rms_norm_eps, act_fn=hf.hidden_act, normalization_type="RMS", final_rms=True,
        gated_mlp=True, positional_embedding_type="rotary", rotary_adjacent_pairs=False,
        rotary_dim=d_head, device="cpu", dtype=dtype, model_name="llama", init_weights=False,
        n_key_value_heads=None if hf.num_key_value_heads == heads else hf.num_key_value_heads,
        original_architecture="LlamaForCausalLM", tokenizer_name=str(path),
    )  # fmt: skip
    weights = convert_llama_weights(hf_model, config)
    model = TransformerLensReplacementModel(config, AutoTokenizer.from_pretrained(path))
    model.load_and_process_state_dict(
        weights, fold_ln=False, center_writing_weights=False, center_unembed=False,
        fold_value_biases=False,
    )  # fmt: skip
    model._configure_replacement_model(transcoder)
    return model


def write_times(model, ids, args) -> None:  # type: ignore[no-untyped-def]
    seconds, cpu = [], []
    for _ in range(args.repeats):
        start = time.perf_counter(), time.process_time()
        graph = attribute(ids, model, batch_size=args.batch_size)
        seconds.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    times = {
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(cpu),
        "features": len(graph.active_features),
        "targets": len(graph.logit_targets),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    (args.out / "times.json").write_text(json.dumps(times))


def write_graph(model, ids, args) -> None:  # type: ignore[no-untyped-def]
    context = model.setup_attribution(ids)
    graph = attribute(ids, model, batch_size=args.batch_size)
    n_features, n_targets = len(graph.active_features), len(graph.logit_targets)
    weights = torch.zeros(len(graph.adjacency_matrix))
    weights[-n_targets:] = graph.logit_probabilities
    influence = compute_node_influence(graph.adjacency_matrix, weights)
    kept, _, _ = prune_graph(graph)
    replacement, completeness = compute_graph_scores(graph)
    cache, hooks, _ = model.get_caching_hooks(lambda name: model.feature_output_hook in name)
    logits = model.run_with_hooks(ids, fwd_hooks=hooks)
    added = torch.cat(list(cache.values()))
    rows = torch.cat([torch.arange(n_features), torch.arange(-n_targets, 0)])
    columns = slice(0, len(weights) - n_targets)
    tensors = {
        "active_features": graph.active_features.int(),  # layer, position, feature
        "activations": graph.activation_values,
        "adjacency": graph.adjacency_matrix[rows][:, columns],
        "target_ids": graph.logit_token_ids,
        "target_probabilities": graph.logit_probabilities,
        "last_logits": logits[0, -1],
        # Position 0 is left out by it: there the error is zero, and what it calls so is not.
        "reconstruction": (added - context.error_vectors)[:, 1:],
        "influence": influence[columns],
        "kept_sources": kept[columns],
    }
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        args.out / "theirs.safetensors",
    )
    packages = ("torch", "transformers", "transformer-lens")
    about = {
        "replacement": replacement,
        "completeness": completeness,
        "dtype": args.dtype,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    (args.out / "theirs.json").write_text(json.dumps(about, indent=1))
    create_graph_files(graph, "case", str(args.out), node_threshold=0.8, edge_threshold=0.9)
    (args.out / "graph-metadata.json").unlink()


if __name__ == "__main__":
    main()
