"""Folders of circuit-tracer, read back by a reader written from the format's description alone."""

from __future__ import annotations

import copy
import secrets
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers.clt_models import random_transcoder
from safetensors.torch import load_file, save_file

from ilo_fast.transcoders.activations import Activation, BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.files.circuit_tracer import export_circuit_tracer, import_circuit_tracer
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

THRESHOLDS = [JumpReLU(), BatchTopK(6)]


def read_by_description(folder: Path, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (layers, tokens, F) and reconstruction (layers, tokens, d) of x, laid so too."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    n_layers, dtype = len(x), x.dtype
    features, y = [], torch.zeros_like(x)
    for i in range(n_layers):
        if config["model_kind"] == "cross_layer_transcoder":
            encoder = load_file(folder / f"W_enc_{i}.safetensors")
            w_enc, b_enc, b_dec, theta = (
                encoder[f"{name}_{i}"].to(dtype)
                for name in ("W_enc", "b_enc", "b_dec", "threshold")
            )
            w_dec = load_file(folder / f"W_dec_{i}.safetensors")[f"W_dec_{i}"].to(dtype)
            assert w_dec.shape == (len(w_enc), n_layers - i, x.shape[2])
        else:
            assert config["model_kind"] == "transcoder_set"
            layer = load_file(folder / f"layer_{i}.safetensors")
            w_enc, b_enc, b_dec, w_dec, theta = (
                layer[name].to(dtype)
                for name in ("W_enc", "b_enc", "b_dec", "W_dec", "activation_function.threshold")
            )
            assert w_dec.shape == w_enc.shape
            w_dec = w_dec[:, None]
        assert b_enc.shape == theta.shape == (len(w_enc),)
        pre = torch.einsum("fd,nd->nf", w_enc, x[i]) + b_enc
        features.append(pre * (pre > theta))
        for later in range(w_dec.shape[1]):
            y[i + later] += features[-1] @ w_dec[:, later]
        y[i] += b_dec
    return torch.stack(features), y


def close(found: torch.Tensor, wanted: torch.Tensor, relative: float = 1e-6) -> bool:
    return bool((found - wanted).norm() <= relative * wanted.norm())


def some(activation: Activation, cross_layer: bool = True) -> tuple[CrossLayerTranscoder, Any]:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    transcoder = random_transcoder(seed, activation=activation, cross_layer=cross_layer)
    random = torch.Generator().manual_seed(seed + 1)
    x = torch.randn(300, 3, 16, dtype=torch.float64, generator=random)
    return transcoder, x


@pytest.mark.parametrize("activation", THRESHOLDS, ids=lambda a: a.kind)
@pytest.mark.parametrize("cross_layer", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_another_reader_finds_the_same_features_and_reconstruction(
    tmp_path: Path, activation: Activation, cross_layer: bool, dtype: torch.dtype
) -> None:
    transcoder, x = some(activation, cross_layer)
    transcoder = transcoder.to(dtype)
    x = away_from_thresholds(transcoder, x).to(dtype)
    export_circuit_tracer(transcoder, tmp_path / "ct", model_name="some/model")
    features, y = read_by_description(tmp_path / "ct", x.transpose(0, 1))
    assert close(features.transpose(0, 1), transcoder.encode(x).to_dense())
    assert close(y.transpose(0, 1), transcoder(x))
    assert 0.03 < float((features != 0).double().mean()) < 0.6

    back = import_circuit_tracer(tmp_path / "ct")
    assert (back.cross_layer, back.info, back.training) == (cross_layer, None, False)
    assert back.encoder_weight.dtype == dtype
    assert close(back(x), transcoder(x))
    export_circuit_tracer(back, tmp_path / "again", model_name="some/model")
    for file in (tmp_path / "ct").glob("*.safetensors"):
        for name, tensor in load_file(file).items():
            torch.testing.assert_close(load_file(tmp_path / "again" / file.name)[name], tensor)


def away_from_thresholds(transcoder: CrossLayerTranscoder, x: torch.Tensor) -> torch.Tensor:
    """The tokens none of whose features is so near its threshold that rounding decides."""
    exact = copy.deepcopy(transcoder).double()
    pre = torch.einsum("nld,lfd->nlf", x * exact.input_scale[:, None], exact.encoder_weight)
    theta = exact.log_threshold.exp() if isinstance(exact.activation, JumpReLU) else exact.threshold
    near = ((pre + exact.encoder_bias - theta).abs() < 1e-5).any(2).any(1)
    assert near.double().mean() < 0.1
    return x[~near]


@pytest.mark.parametrize("activation", [*THRESHOLDS, TopK(6)], ids=lambda a: a.kind)
@pytest.mark.parametrize("cross_layer", [True, False])
def test_folding_random_scales_changes_nothing(activation: Activation, cross_layer: bool) -> None:
    transcoder, x = some(activation, cross_layer)
    with torch.no_grad():
        transcoder.input_scale.copy_(x[0, :, 0].exp())
        transcoder.output_scale.copy_(x[0, :, 1].exp())
    folded = transcoder.folded()
    assert folded.input_scale.eq(1).all()
    assert folded.output_scale.eq(1).all()
    # The formulas of the module's first lines, in units where lengths are sqrt(d).
    normal = (x * transcoder.input_scale[:, None]) / folded.input_scale[:, None]
    units = CrossLayerTranscoder(3, 16, 40, activation=activation, cross_layer=cross_layer)
    units = units.double().eval()
    units.load_state_dict(transcoder.state_dict())
    units.input_scale.fill_(1)
    units.output_scale.fill_(1)
    wanted = units(normal) / transcoder.output_scale[:, None]
    assert close(folded(x), wanted)
    assert close(transcoder(x), wanted)


def test_the_configuration_names_kind_model_and_points(tmp_path: Path) -> None:
    transcoder = random_transcoder(0)
    export_circuit_tracer(transcoder, tmp_path / "a", model_name="some/модель")
    assert yaml.safe_load((tmp_path / "a" / "config.yaml").read_text(encoding="utf-8")) == {
        "model_kind": "cross_layer_transcoder",
        "model_name": "some/модель",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "hook_mlp_out",
        "scan": None,
    }
    with pytest.raises(ValueError, match="model_name is needed"):
        export_circuit_tracer(transcoder, tmp_path / "b")
    with pytest.raises(ValueError, match="feature_output_hook='hook_resid_post' is none of"):
        export_circuit_tracer(
            transcoder, tmp_path / "b", model_name="m", feature_output_hook="hook_resid_post"
        )
    assert not (tmp_path / "b").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(FileExistsError, match="not empty: give a new folder"):
        export_circuit_tracer(random_transcoder(0), tmp_path, model_name="m")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_top_k_becomes_thresholds_only_with_data_and_every_feature_is_as_often_active(
    tmp_path: Path,
) -> None:
    transcoder, x = some(TopK(6))
    with torch.no_grad():
        transcoder.encoder_bias[1, :5] = -100.0  # never active
    with pytest.raises(ValueError, match=r"circuit-tracer has no top k.*pass calibration=x"):
        export_circuit_tracer(transcoder, tmp_path / "ct", model_name="m")
    with pytest.raises(ValueError, match=r"shape \(3, 300, 16\), wanted \(tokens, 3, 16\)"):
        wrong = x.transpose(0, 1)
        export_circuit_tracer(transcoder, tmp_path / "ct", model_name="m", calibration=wrong)
    export_circuit_tracer(transcoder, tmp_path / "ct", model_name="m", calibration=x)
    features, _ = read_by_description(tmp_path / "ct", x.transpose(0, 1))
    wanted = (transcoder.encode(x).to_dense() > 0).sum(0)
    assert torch.equal((features > 0).sum(1), wanted)
    assert wanted[1, :5].eq(0).all()
    assert wanted.float().mean() > 20
    # Another transcoder it is: not active on the same tokens.
    assert not torch.equal(features.transpose(0, 1) > 0, transcoder.encode(x).to_dense() > 0)


def test_batch_top_k_needs_calibrated_thresholds(tmp_path: Path) -> None:
    transcoder = CrossLayerTranscoder(2, 4, 6, activation=BatchTopK(2))
    with pytest.raises(ValueError, match="no calibrated thresholds yet"):
        export_circuit_tracer(transcoder, tmp_path / "ct", model_name="m")


def test_without_thresholds_what_is_above_zero_is_active(tmp_path: Path) -> None:
    transcoder, x = some(JumpReLU())
    export_circuit_tracer(transcoder, tmp_path, model_name="m")
    for layer in range(3):
        file = tmp_path / f"W_enc_{layer}.safetensors"
        save_file({k: v for k, v in load_file(file).items() if "threshold" not in k}, file)
    folded = transcoder.folded()
    pre = torch.einsum("nld,lfd->nlf", x, folded.encoder_weight) + folded.encoder_bias
    assert close(import_circuit_tracer(tmp_path).encode(x).to_dense(), pre.clamp(min=0))


def change(file: Path, name: str, value: Any) -> None:
    tensors = load_file(file)
    tensors.pop(name, None)
    save_file(tensors if value is None else tensors | {name: value}, file)


def test_what_is_not_of_the_format_or_not_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder of circuit-tracer: no config\.yaml"):
        import_circuit_tracer(tmp_path)
    export_circuit_tracer(random_transcoder(0), tmp_path, model_name="m")
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    for changes, message in (
        ({"model_kind": "sae"}, "model_kind is 'sae', wanted cross_layer_transcoder or"),
        ({"feature_input_hook": "hook_resid_mid"}, "it reads at hook_resid_mid and writes at hook"),
        ({"feature_output_hook": "hook_resid_post"}, "writes at hook_resid_post; ilo_fast reads"),
        ({"activation": "topk", "k": 4}, "also takes negative values"),
        ({"transcoders": ["hf://a/b/c"]}, "transcoders lists files elsewhere"),
    ):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | changes))
        with pytest.raises(ValueError, match=message):
            import_circuit_tracer(tmp_path)
    for text in ("[1, 2]", "a: [", "!!python/object/apply:os.getcwd []"):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"model_kind is None|is no YAML"):
            import_circuit_tracer(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    import_circuit_tracer(tmp_path)

    encoder, decoder = tmp_path / "W_enc_1.safetensors", tmp_path / "W_dec_1.safetensors"
    whole = {file: file.read_bytes() for file in (encoder, decoder)}
    for file, name, value, message in (
        (encoder, "b_enc_1", None, "layer 1: there is no b_enc_1"),
        (encoder, "b_enc_1", torch.zeros(39), r"b_enc_1 has shape \(39,\), wanted \(40,\)"),
        (encoder, "W_enc_1", torch.zeros(40, 15), r"W_dec_1 has shape"),
        (encoder, "threshold_1", -torch.ones(40), "threshold_1 holds thresholds below zero"),
        (encoder, "b_dec_1", torch.full((16,), torch.inf), "b_dec_1 holds values that are no"),
        (encoder, "W_skip_1", torch.zeros(16, 16), "skip connection"),
        (decoder, "W_dec_1", torch.zeros(40, 3, 16), r"wanted \(40, 2, 16\)"),
    ):
        change(file, name, value)
        with pytest.raises(ValueError, match=message):
            import_circuit_tracer(tmp_path)
        file.write_bytes(whole[file])
    decoder.write_bytes(whole[decoder][:100])
    with pytest.raises(ValueError, match=r"W_dec_1\.safetensors is damaged"):
        import_circuit_tracer(tmp_path)
    decoder.unlink()
    with pytest.raises(FileNotFoundError, match=r"W_dec_1\.safetensors is missing"):
        import_circuit_tracer(tmp_path)


def test_layers_of_different_sizes_are_refused(tmp_path: Path) -> None:
    export_circuit_tracer(random_transcoder(0, cross_layer=False), tmp_path / "a", model_name="m")
    other = random_transcoder(0, cross_layer=False, n_features=8)
    export_circuit_tracer(other, tmp_path / "b", model_name="m")
    (tmp_path / "b" / "layer_2.safetensors").replace(tmp_path / "a" / "layer_2.safetensors")
    with pytest.raises(
        ValueError, match=r"layer 2 has an encoder of shape .*different transcoders"
    ):
        import_circuit_tracer(tmp_path / "a")
