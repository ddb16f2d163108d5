"""Graphs whose scores are known beforehand, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.attribution import random_model, scaled_transcoder
from helpers.clt_models import clt_model, random_transcoder
from torch import nn
from transcoders.test_sites import FAMILIES

from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.attribution import targets
from ilo_fast.transcoders.attribution.attribute import attribution_graph, attribution_graphs
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.attribution.targets import Difference, Direction
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel

IDS = [5, 40, 17, 33, 8, 21]


@pytest.mark.parametrize("activation", [JumpReLU(), TopK(6), BatchTopK(6)], ids=str)
@pytest.mark.parametrize("cross_layer", [True, False])
def test_mlps_that_are_a_transcoder_leave_no_error(
    activation: JumpReLU | TopK | BatchTopK, cross_layer: bool
) -> None:
    coder = random_transcoder(1, activation=activation, cross_layer=cross_layer)
    coder.requires_grad_(False)
    graph = attribution_graph(clt_model(coder), coder, IDS, skip_positions=0)
    assert graph.residual <= 1e-9
    scores = graph.scores
    assert scores.replacement == pytest.approx(1.0, abs=1e-9)
    assert scores.completeness == pytest.approx(1.0, abs=1e-9)
    assert scores.replacement_published == pytest.approx(1.0, abs=1e-9)
    assert graph.pruned(0.999, 0.999).scores.replacement > 0.9


@pytest.mark.parametrize("name", ["Llama", "GPT2"])
def test_a_transcoder_of_nothing_explains_nothing(name: str) -> None:
    """Tokens reach logits past all MLPs; along a direction where they do not, nothing is left."""
    model = random_model(name, FAMILIES[name][0])
    coder = scaled_transcoder(model)
    for parameter in coder.parameters():
        parameter.zero_()
    graph = attribution_graph(model, coder, IDS)
    assert graph.n_features == 0
    assert graph.residual <= 1e-9
    ends = np.abs(graph.adjacency).sum(axis=1)
    errors = np.abs(graph.adjacency[:, graph.sources.of_kind("error")]).sum(axis=1)
    weights = np.array([target.probability for target in graph.targets])
    share = (weights * errors / ends).sum() / weights.sum()
    assert graph.scores.replacement == pytest.approx(1 - share)
    assert graph.scores.completeness == pytest.approx(1 - share)

    blind = _blind_direction(model, coder)
    graph = attribution_graph(model, coder, IDS, targets=Direction(blind, "blind"))
    assert graph.residual <= 1e-9
    assert graph.scores.replacement == pytest.approx(0.0, abs=1e-9)
    assert graph.scores.completeness == pytest.approx(0.0, abs=1e-9)
    assert graph.scores.replacement_published == pytest.approx(0.0, abs=1e-9)
    assert graph.scores.completeness_published == pytest.approx(0.5, abs=1e-6)


def _blind_direction(model: nn.Module, coder: nn.Module) -> torch.Tensor:
    """To which no token, position or bias contributes by itself."""
    local = LocalModel(
        ReplacementModel(model, coder), torch.tensor([IDS]), torch.tensor([len(IDS)])
    )
    no_tokens, no_adds = torch.zeros_like(local.tokens), torch.zeros_like(local.adds)
    n_layers = coder.n_layers
    alone = [local.replay(no_tokens, no_adds, silenced=at).final for at in range(n_layers + 1)]
    constant = local.replay(no_tokens, no_adds).final
    alone.append(constant)
    # Of learned positions each counts by itself: their contributions by finite steps.
    for place in range(len(IDS)):
        tokens = no_tokens.clone()
        tokens[0, place] = local.tokens[0, place]
        alone.append(local.replay(tokens, no_adds).final)
    if hasattr(model, "transformer") and hasattr(model.transformer, "wpe"):
        width = local.tokens.shape[-1]
        for place in range(len(IDS)):
            tokens = no_tokens.clone()
            tokens[0, place] = model.transformer.wpe.weight[place, :width]
            alone.append(local.replay(tokens, no_adds).final)
    vectors = torch.cat(alone)[:, 0]
    _, sizes, directions = torch.linalg.svd(vectors)
    rank = int((sizes > 1e-10 * sizes[0]).sum())
    found = directions[rank:].sum(0)
    return found


def test_a_difference_is_the_difference_of_two_rows() -> None:
    model = random_model("Gemma2", FAMILIES["Gemma2"][0])  # with a soft cap on its logits
    coder = scaled_transcoder(model)
    single = attribution_graph(model, coder, IDS, targets=[7, 50])
    both = attribution_graph(model, coder, IDS, targets=Difference(7, 50))
    assert both.residual <= 1e-9
    n = both.n_features
    np.testing.assert_allclose(
        both.adjacency[n], single.adjacency[n] - single.adjacency[n + 1], atol=1e-12
    )
    assert both.values[n] == pytest.approx(single.values[n] - single.values[n + 1])


def test_targets_reach_the_probability_that_is_asked_for() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    model.lm_head.weight.mul_(20)
    coder = scaled_transcoder(model)
    with torch.no_grad():
        chances = model(torch.tensor([IDS])).logits[0, -1].softmax(-1).sort(descending=True)
    for wanted in (0.1, 0.4, 0.95):
        graph = attribution_graph(model, coder, IDS, probability=wanted)
        n = len(graph.targets)
        assert [t.token_id for t in graph.targets] == chances.indices[:n].tolist()
        assert n == 10 or float(chances.values[:n].sum()) >= wanted
        assert n == 1 or float(chances.values[: n - 1].sum()) < wanted


def test_no_active_feature_is_a_graph_of_errors() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    coder = scaled_transcoder(model)
    coder.encoder_bias.fill_(-1e6)
    graph = attribution_graph(model, coder, IDS)
    assert graph.n_features == 0 and graph.residual <= 1e-9
    assert 0 < graph.scores.replacement < 1
    pruned = graph.pruned()
    assert pruned.sources.any() and pruned.edges.any()


class Bent(nn.Module):
    """Attention's output goes through something on its way; the gate of it may be a sigmoid."""

    def __init__(self, inner: nn.Module, kind: str) -> None:
        super().__init__()
        self.inner, self.kind = inner, kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bent = x * torch.sigmoid(3 * x) if self.kind == "gate" else x * x.abs()
        found: torch.Tensor = self.inner(bent)
        return found


def test_gates_are_held_and_what_else_is_not_linear_is_refused() -> None:
    for kind in ("gate", "square"):
        model = random_model("Llama", FAMILIES["Llama"][0])
        coder = scaled_transcoder(model)
        layer = model.model.layers[1].self_attn
        layer.o_proj = Bent(layer.o_proj, kind)
        if kind == "gate":
            assert attribution_graph(model, coder, IDS).residual <= 1e-9
            continue
        with pytest.raises(ValueError, match=r"not affine .*: what the MLP of layer 1 reads does"):
            attribution_graph(model, coder, IDS)


def test_a_model_that_writes_in_place_is_read_before_it_does() -> None:
    settings = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 48}
    model = random_model("CTRL", settings | {"n_positions": 64})
    graph = attribution_graph(model, scaled_transcoder(model), IDS)
    assert graph.n_features > 0 and graph.residual <= 1e-9


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([5], {}, r"prompt has 1 token, of which the first 1 are skipped: pass at least 2"),
        ([], {}, r"prompt has 0 tokens"),
        ([5] * 65, {}, r"has 65 tokens, the model takes 64: shorten it"),
        ([5, 64], {}, r"has token 64: the model knows 0 to 63"),
        (["a", 5], {}, r"prompt: token must be an int"),
        ("text", {}, r"is text: pass a tokenizer, or token ids"),
        (None, {}, r"prompt must be a text or a list of token ids, got NoneType"),
        (b"abc", {}, r"must be a text or a list of token ids, got bytes"),
        ("a \udcff", {"tokenizer": object()}, r"'\\udcff' at character 2, which is half of"),
        (IDS, {"targets": 5}, r"targets=5 is not a list: give \[5\]"),
        (IDS, {"targets": [64]}, r"target 64: wanted a token's id, 0 to 63, or text"),
        (IDS, {"targets": ["x"]}, r"target 'x' is text: pass a tokenizer"),
        (IDS, {"targets": []}, r"targets name no token"),
        (IDS, {"targets": [3, 3]}, r"or one twice"),
        (IDS, {"targets": Difference(3, 3)}, r"of a token and itself"),
        (IDS, {"targets": Direction(torch.ones(7), "d")}, r"shape \(7,\), wanted \(32,\)"),
        (IDS, {"targets": Direction(torch.zeros(32), "d")}, r"direction is zero"),
        (IDS, {"probability": 1.5}, r"probability"),
        (IDS, {"max_features": 0}, r"max_features"),
        (IDS, {"dtype": torch.float16}, r"wanted torch.float32 or torch.float64"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(prompt: object, options: dict, message: str) -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    with pytest.raises((ValueError, TypeError), match=message):
        attribution_graph(model, scaled_transcoder(model), prompt, **options)  # type: ignore[arg-type]


def test_a_transcoder_of_another_model_is_refused() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    with pytest.raises(ValueError, match="transcoder is of 3 layers of width 16"):
        attribution_graph(model, random_transcoder(0), IDS)


def test_of_many_prompts_the_wrong_one_is_named() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    with pytest.raises(ValueError, match=r"prompts\[1\] has 1 token"):
        attribution_graphs(model, scaled_transcoder(model), [IDS, [5]])


def test_one_text_is_not_many() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    for prompts in ("text", IDS):
        with pytest.raises(TypeError, match=r"pass a list.*, or call attribution_graph\(\)"):
            attribution_graphs(model, scaled_transcoder(model), prompts)  # type: ignore[arg-type]


def test_a_row_of_the_head_is_a_direction() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0]).requires_grad_(True)
    coder = scaled_transcoder(model)
    row = model.lm_head.weight[np.int64(5)]
    graph = attribution_graph(model, coder, IDS, targets=Direction(row, "5"))
    both = attribution_graph(model, coder, IDS, targets=Difference(np.int64(5), 7))  # type: ignore[arg-type]
    assert graph.residual <= 1e-9 and both.residual <= 1e-9


@pytest.mark.parametrize("most", [1, 2, 5, 39])
def test_there_are_as_many_nodes_as_asked_for(most: int) -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    graph = attribution_graph(model, scaled_transcoder(model), IDS, max_features=most)
    assert graph.n_features == most < graph.info["active_features"]
    assert graph.residual <= 1e-9


def test_inference_mode_around_it_and_before_it() -> None:
    with torch.inference_mode():
        model = random_model("Llama", FAMILIES["Llama"][0])
        coder = scaled_transcoder(model)
        inside = attribution_graph(model, coder, IDS)
    outside = attribution_graph(model, coder, IDS)
    assert inside.residual <= 1e-9
    np.testing.assert_array_equal(inside.adjacency, outside.adjacency)


def test_a_compiled_model_is_traced_as_it_was_written() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    coder = scaled_transcoder(model)
    plain = attribution_graph(model, coder, IDS)

    def refused(*_: object) -> object:
        raise AssertionError("compiled")

    compiled = torch.compile(model, backend=refused)
    graph = attribution_graph(compiled, coder, IDS)
    np.testing.assert_array_equal(graph.adjacency, plain.adjacency)


@pytest.mark.parametrize("name", ["output_scale", "decoder_bias"])
def test_a_transcoder_with_damaged_numbers_is_refused(name: str) -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    coder = scaled_transcoder(model)
    getattr(coder, name)[0] = {"output_scale": 0.0, "decoder_bias": np.inf}[name]
    with pytest.raises(ValueError, match="transcoder gives numbers that are not finite"):
        attribution_graph(model, coder, IDS)


def test_what_is_no_model_or_in_use_is_refused() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    coder = scaled_transcoder(model)
    with pytest.raises(TypeError, match="model must be a module, got str"):
        attribution_graph("demo", coder, IDS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="transcoder must be a CrossLayerTranscoder, got NoneType"):
        attribution_graph(model, None, IDS)  # type: ignore[arg-type]
    with (
        intervened(model, coder, Intervention(0, 1, add=9.0)),
        pytest.raises(ValueError, match=r"within a block of intervened\(\)"),
    ):
        attribution_graph(model, coder, IDS)


class _WordTokenizer:
    """Words by number; like SentencePiece, it puts a space before a text by itself."""

    unk_token_id = 0
    all_special_ids: tuple[int, ...] = ()
    words = ("<unk>", "", "city", "house")

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        known = (w if w in self.words else "<unk>" for w in text.split(" "))
        return {"input_ids": [self.words.index(word) for word in known]}

    def decode(self, ids: list[int]) -> str:
        return " ".join(self.words[i] for i in ids)

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.unk_token_id


def test_a_target_may_be_written_with_the_space_that_its_tokenizer_puts_before_it() -> None:
    tokenizer = _WordTokenizer()
    assert targets._token_id("city", tokenizer, 64) == 2
    assert targets._token_id(" city", tokenizer, 64) == 2
    with pytest.raises(ValueError, match="no single token"):
        targets._token_id(" city house", tokenizer, 64)
