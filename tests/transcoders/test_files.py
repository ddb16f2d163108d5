"""Transcoders in folders: what is read back, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.clt_models import random_transcoder
from safetensors.torch import load_file, save_file

from ilo_fast._util.hashing import hash_file
from ilo_fast.transcoders.activations import Activation, BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.files.folder import MANIFEST, WEIGHTS, load_transcoder, save_transcoder
from ilo_fast.transcoders.info import Probe, TranscodedModel, TranscoderInfo
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

ACTIVATIONS = [JumpReLU(0.02, 0.3), TopK(6), BatchTopK(5)]
ROW = (0.25, -1.5, 1e-3)
INFO = TranscoderInfo(
    model=TranscodedModel(
        name="some/model",
        architecture="LlamaModel",
        dtype="float32",
        weights_sha256="ab" * 32,
        reads=("layers.0.mlp", "layers.1.mlp", "layers.2.mlp"),
        writes=("layers.0.norm", "layers.1.norm", "layers.2.norm"),
        probe=Probe(((1, 2, 3), (1, 2, 4)), (ROW, ROW, ROW), (ROW, ROW, ROW)),
    ),
    context=32,
    skip_positions=1,
    languages=("deu_Latn", "eng_Latn"),
    tokens=4096,
    held_out="every 20th document of each language",
    options={"learning_rate": 1e-3, "schedule": [1, 2]},
    metrics={"explained_variance": {"deu_Latn": [0.5, 0.25, 0.125]}},
)


def saved(path: Path, activation: Activation = ACTIVATIONS[0], **options: Any) -> Any:
    transcoder = random_transcoder(secrets.randbelow(2**31), activation=activation, **options)
    transcoder.info = INFO
    save_transcoder(transcoder, path)
    return transcoder


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.kind)
@pytest.mark.parametrize("cross_layer", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_read_back_is_what_was_saved(
    tmp_path: Path, activation: Activation, cross_layer: bool, dtype: torch.dtype
) -> None:
    before = random_transcoder(1, activation=activation, cross_layer=cross_layer).to(dtype)
    before.info = INFO
    save_transcoder(before, tmp_path / "new" / "clt")
    assert {p.name for p in (tmp_path / "new" / "clt").iterdir()} == {MANIFEST, WEIGHTS}
    after = load_transcoder(tmp_path / "new" / "clt")
    assert (after.activation, after.cross_layer, after.info) == (activation, cross_layer, INFO)
    assert not after.training
    x = torch.randn(20, 3, 16, dtype=dtype)
    assert torch.equal(after(x), before(x))
    state, other = before.state_dict(), after.state_dict()
    assert list(state) == list(other)
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.kind)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_computed_with_as_float32(
    tmp_path: Path, activation: Activation, dtype: torch.dtype
) -> None:
    before = random_transcoder(1, activation=activation).float()
    save_transcoder(copy.deepcopy(before).to(dtype), tmp_path)
    after = load_transcoder(tmp_path)
    stored = load_file(tmp_path / WEIGHTS)
    assert {value.dtype for value in stored.values()} == {dtype}
    for name, value in after.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, stored[name].float()), name
    x = torch.randn(400, 3, 16)
    close = 0.02 if dtype == torch.float16 else 0.2  # but where a feature is at its threshold
    with torch.no_grad():
        off, size = (of.norm(dim=(1, 2)) for of in (after(x) - before(x), before(x)))
    assert (off < close * size).float().mean() > 0.8


def test_another_transcoder_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    saved(tmp_path, TopK(3))
    after = saved(tmp_path, BatchTopK(4), n_features=8)
    assert torch.equal(load_transcoder(tmp_path).threshold, after.threshold)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_one_that_is_not_trained_has_no_info_and_no_thresholds(tmp_path: Path) -> None:
    save_transcoder(CrossLayerTranscoder(2, 4, 6, activation=BatchTopK(2)), tmp_path)
    after = load_transcoder(tmp_path)
    assert after.info is None
    assert after.threshold.isnan().all()


def test_metrics_that_are_no_numbers_do_not_lose_the_transcoder(tmp_path: Path) -> None:
    transcoder = random_transcoder(3)
    transcoder.info = dataclasses.replace(INFO, metrics={"kl": [float("nan"), 1.0]})
    save_transcoder(transcoder, tmp_path)
    after = load_transcoder(tmp_path).info
    assert after is not None
    assert after.metrics == {"kl": ["nan", 1.0]}


# The keys that lead to a value, what it becomes, and what is said.
WRONG: list[tuple[tuple[str, ...], Any, str]] = [
    (("kind",), "ilo_fast.scores", "kind='ilo_fast.scores', wanted 'ilo_fast.transcoder'"),
    (("schema_version",), 2, "schema_version=2 cannot be read .* knows 1: .* or update ilo_fast"),
    (("n_layers",), 4, "info.model.reads has 3 layers, n_layers is 4"),
    (("n_layers",), 10**30, "n_layers=.* must be at most"),
    (("hidden_size",), 15, r"encoder_weight has shape .* wanted \(3, 40, 15\)"),
    (("n_features",), "40", "n_features must be an int, got '40'"),
    (("cross_layer",), False, r"decoder_weights.0 has shape \(40, 3, 16\), wanted \(40, 1, 16\)"),
    (("cross_layer",), "no", "cross_layer must be True or False"),
    (("activation",), {"kind": "topk", "k": 3}, "holds 9 tensors, wanted 8"),
    (("activation", "kind"), "relu", "activation 'relu' is none of jumprelu, topk, batchtopk"),
    (("activation", "bandwidth"), -1, "activation jumprelu: bandwidth=-1 must be from 1e-30"),
    (("weights_sha256",), "00" * 32, f"weights_sha256 is 0000000000000000, but {WEIGHTS} has"),
    (("info",), 3, "info must be an object"),
    (("info", "context"), 0, "context=0 must be at least 1"),
    (("info", "skip_positions"), None, "skip_positions must be an int"),
    (("info", "languages"), ["a", "a"], "languages names one twice"),
    (("info", "model", "weights_sha256"), 7, "model.weights_sha256 must be a text"),
    (("info", "model", "reads"), ["a", "b"], "model.writes has 3 layers, model.reads 2"),
    (("info", "model", "probe", "ids"), [[1], [2, 3]], "model.probe.ids has rows of different"),
    (("info", "model", "probe", "adds"), [[1.0]], "model.probe.adds has 1 layers, model.reads 3"),
    (("info", "model", "probe", "reads"), [["x"]] * 3, "model.probe.reads must be a number"),
]


@pytest.mark.parametrize(("keys", "value", "message"), WRONG)
def test_a_field_that_is_wrong_is_named_with_its_file(
    tmp_path: Path, keys: tuple[str, ...], value: Any, message: str
) -> None:
    saved(tmp_path)
    about = json.loads((tmp_path / MANIFEST).read_text())
    inner = about
    for key in keys[:-1]:
        inner = inner[key]
    assert inner[keys[-1]] != value
    inner[keys[-1]] = value
    (tmp_path / MANIFEST).write_text(json.dumps(about))
    with pytest.raises(ValueError, match=rf"{MANIFEST} is not a file of a transcoder: .*{message}"):
        load_transcoder(tmp_path)


def test_every_field_is_needed(tmp_path: Path) -> None:
    saved(tmp_path)
    whole = json.loads((tmp_path / MANIFEST).read_text())
    needed = [(key,) for key in whole if key not in ("versions",)]
    needed += [("info", key) for key in whole["info"]]
    needed += [("info", "model", key) for key in whole["info"]["model"]]
    for keys in needed:
        about = json.loads(json.dumps(whole))
        inner = about
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        (tmp_path / MANIFEST).write_text(json.dumps(about))
        with pytest.raises(ValueError, match=rf"{MANIFEST}.*{keys[-1]}"):
            load_transcoder(tmp_path)


def test_weights_that_are_damaged_cut_or_swapped_are_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    file = tmp_path / WEIGHTS
    whole = file.read_bytes()
    other = random_transcoder(5)
    save_file({name: value.clone() for name, value in other.state_dict().items()}, file)
    swapped = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for data in (b"", whole[:1000], whole[:-1], bytes(flipped), swapped):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=f"{MANIFEST}.*weights_sha256 is .*, but {WEIGHTS} ha"):
            load_transcoder(tmp_path)
    file.write_bytes(whole)
    load_transcoder(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoder_bias", torch.full((3, 40), torch.nan).double(), "encoder_bias holds values that"),
        ("log_threshold", torch.zeros(3, 40), "log_threshold has dtype torch.float32"),
        ("input_scale", torch.tensor([1.0, 0.0, 1.0]).double(), "input_scale .* not positive"),
        ("output_scale", torch.ones(3, 1).double(), r"output_scale has shape \(3, 1\)"),
        ("decoder_weights.1", None, "holds no decoder_weights.1"),
    ],
)
def test_weights_that_a_transcoder_cannot_have_are_refused_by_name(
    tmp_path: Path, name: str, value: torch.Tensor | None, message: str
) -> None:
    """Also where the checksum was made to agree."""
    saved(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    tensors[name if value is not None else "other"] = tensors.pop(name) if value is None else value
    save_file(tensors, tmp_path / WEIGHTS)
    about = json.loads((tmp_path / MANIFEST).read_text())
    about["weights_sha256"] = hash_file(tmp_path / WEIGHTS)
    (tmp_path / MANIFEST).write_text(json.dumps(about))
    with pytest.raises(ValueError, match=message):
        load_transcoder(tmp_path)


def test_a_pickle_under_the_name_of_weights_is_not_opened(tmp_path: Path) -> None:
    saved(tmp_path)
    torch.save({"encoder_weight": torch.ones(2)}, tmp_path / WEIGHTS)
    about = json.loads((tmp_path / MANIFEST).read_text())
    about["weights_sha256"] = hash_file(tmp_path / WEIGHTS)
    (tmp_path / MANIFEST).write_text(json.dumps(about))
    with pytest.raises(ValueError, match=f"{WEIGHTS} is no safetensors file"):
        load_transcoder(tmp_path)


def test_a_folder_without_a_transcoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no transcoder: there is no such folder"):
        load_transcoder(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=f"holds no transcoder: there is no {MANIFEST}"):
        load_transcoder(tmp_path)
    saved(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no {WEIGHTS}"):
        load_transcoder(tmp_path)
    (tmp_path / MANIFEST).unlink()
    (tmp_path / "config.yaml").write_text("model_kind: cross_layer_transcoder\n")
    with pytest.raises(FileNotFoundError, match="import_circuit_tracer"):
        load_transcoder(tmp_path)
    (tmp_path / MANIFEST).write_text('{"kind": ')
    (tmp_path / WEIGHTS).write_bytes(b"")
    with pytest.raises(ValueError, match="is not complete JSON"):
        load_transcoder(tmp_path)


def test_a_save_that_fails_leaves_the_transcoder_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ilo_fast.transcoders.files.folder.write_json", full)
    with pytest.raises(OSError, match="the disk is full"):
        saved(tmp_path, TopK(3))
    monkeypatch.undo()
    assert torch.equal(load_transcoder(tmp_path).encoder_weight, before.encoder_weight)
    assert {p.name for p in tmp_path.iterdir()} == {MANIFEST, WEIGHTS}


def test_a_save_that_was_killed_half_way_is_finished_or_refused(tmp_path: Path) -> None:
    """A new pair on its way into the folder: the manifest was removed, one file moved."""
    saved(tmp_path / "new")
    saved(tmp_path / "clt")
    (tmp_path / "clt" / MANIFEST).unlink()
    finished = tmp_path / "clt" / ".finished"
    finished.mkdir()
    wanted = hash_file(tmp_path / "new" / WEIGHTS)
    (tmp_path / "new" / WEIGHTS).replace(tmp_path / "clt" / WEIGHTS)
    (tmp_path / "new" / MANIFEST).replace(finished / MANIFEST)
    load_transcoder(tmp_path / "clt")
    assert hash_file(tmp_path / "clt" / WEIGHTS) == wanted


def test_weights_that_would_not_be_loaded_are_not_saved(tmp_path: Path) -> None:
    transcoder = CrossLayerTranscoder(2, 4, 6, activation=TopK(2))
    save_transcoder(transcoder, tmp_path)
    transcoder.encoder_bias.data[1, 2] = float("nan")
    with pytest.raises(ValueError, match="encoder_bias holds values that are not finite"):
        save_transcoder(transcoder, tmp_path)
    assert torch.equal(load_transcoder(tmp_path).encoder_bias, torch.zeros(2, 6))


@pytest.mark.parametrize("name", ["initial_threshold", "bandwidth"])
def test_thresholds_that_no_float32_holds_are_refused(name: str) -> None:
    for wrong in (1e-46, 1e39, 0.0):
        with pytest.raises(ValueError, match=rf"{name}=.* must be from 1e-30 to 1e\+30"):
            JumpReLU(**{name: wrong})
