"""What interventions may say, what they refuse, where they act."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from helpers.clt_models import clt_model, random_transcoder

from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "feature 4 of layer 1 got none of them: give exactly one of value="),
        ({"value": 1, "scale": 2}, ValueError, "got value and scale: give exactly one"),
        ({"value": math.nan}, ValueError, "value=nan must be finite"),
        ({"add": math.inf}, ValueError, "add=inf must be finite"),
        ({"scale": "2"}, TypeError, "scale must be a number, got '2'"),
        ({"value": 1, "positions": 2.0}, TypeError, "positions must be an int, got 2.0"),
        ({"value": 1, "positions": []}, ValueError, "positions is empty: give at least one"),
        ({"value": 1, "positions": [1, True]}, TypeError, "positions must be an int, got True"),
        ({"value": 1, "positions": slice(5, None, -1)}, ValueError, r"\(the step\)=-1 must be"),
        ({"value": 1, "positions": "12"}, TypeError, "positions must be an int, got '12'"),
        ({"value": 1, "rows": -1}, ValueError, "rows=-1 must be at least 0"),
        ({"value": 1, "layer": -1}, ValueError, "layer=-1 must be at least 0"),
        ({"value": 1, "feature": 1.5}, TypeError, "feature must be an int, got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Intervention(**{"layer": 1, "feature": 4} | options)


def test_numbers_of_any_library_and_words() -> None:
    one = Intervention(np.int64(1), torch.tensor(4), value=np.float32(0.5), positions=np.arange(3))  # type: ignore[arg-type]
    assert (one.layer, one.feature, one.value, one.positions) == (1, 4, 0.5, (0, 1, 2))
    assert Intervention(1, 4, add=1, positions={2}).positions == (2,)
    words = [Intervention(1, 4, **way) for way in ({"value": 0}, {"scale": 2}, {"add": 1.5})]
    assert [str(w) for w in words] == ["1/4=0", "1/4*2", "1/4+1.5"]
    assert str(Intervention(1, 4, add=-1.5)) == "1/4-1.5"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": 6}, r"positions=6 is beyond prompt 0, which has 6 tokens: give 1 to 5, or "
                           r"-5 to -1; a slice without a stop takes tokens that are generated"),
        ({"positions": (2, -7)}, "positions=-7 is beyond prompt 0"),
        ({"positions": 5, "rows": 1}, "positions=5 is beyond prompt 1, which has 4 tokens"),
        ({"positions": range(3)}, r"positions=0 of prompt 0 is never touched, for the trans"),
        ({"positions": -6}, "positions=-6 of prompt 0 is never touched"),
        ({"positions": slice(6, 9)}, r"positions=slice\(6, 9, None\) holds no token of the prompt"),
        ({"positions": slice(0, 1)}, "holds no token"),
        ({"positions": slice(4, 6), "rows": 1}, "of prompt 1, which has 4 tokens"),
        ({"rows": (0, 2)}, "rows=2 is out of range, the batch has prompts 0 to 1"),
    ],
)  # fmt: skip
def test_places_that_are_not_there_are_refused(
    parts: ReplacementModel, options: Any, message: str
) -> None:
    mask = torch.ones(2, 6, dtype=torch.int64)
    mask[1, :2] = 0
    one = Intervention(1, 4, value=1.0, **options)
    named = f"intervention on feature 4 of layer 1: .*{message}"
    with torch.no_grad(), intervened(parts, None, one), pytest.raises(ValueError, match=named):
        parts.model(torch.arange(3, 15).view(2, 6), attention_mask=mask)


@pytest.fixture(scope="module")
def parts() -> ReplacementModel:
    coder = random_transcoder(0)
    return ReplacementModel(clt_model(coder), coder)


def test_arguments_that_do_not_fit(parts: ReplacementModel) -> None:
    def refused(message: str, *data: Any, kind: Any = ValueError) -> None:
        with pytest.raises(kind, match=message), intervened(*data):
            pass

    model, coder = parts.model, parts.transcoder
    refused("layer=3 is out of range, the transcoder has layers 0 to 2", parts, None,
            Intervention(3, 0, value=0))  # fmt: skip
    refused("feature=40 is out of range, layer 1 has features 0 to 39", parts, None,
            Intervention(1, 40, value=0))  # fmt: skip
    refused("must be of Intervention, got 3", parts, None, [3], kind=TypeError)
    refused("must be a CrossLayerTranscoder, got None", model, None, [], kind=TypeError)
    refused("must be a module or a ReplacementModel", "demo", coder, [], kind=TypeError)
    refused("transcoder is another than", parts, random_transcoder(1), [])
    with intervened(parts, coder, []):
        refused("model is within a block of intervened", parts, None, [])
        refused("model is within a block of intervened", model, coder, [])
    with intervened(parts, None, []), pytest.raises(ValueError, match=r"wanted \(2, 5\): one col"):
        model(torch.arange(3, 13).view(2, 5), attention_mask=torch.ones(2, 8))
    with intervened(parts, None, []), pytest.raises(ValueError, match=r"shape \(1, 1, 5, 5\), w"):
        model(torch.arange(3, 8)[None], attention_mask=torch.ones(1, 1, 5, 5).bool())


def test_no_position_that_is_skipped_is_touched(parts: ReplacementModel) -> None:
    model = parts.model
    ids = torch.arange(3, 9)[None]
    with torch.no_grad():
        own = model(ids).logits
        for skip in (0, 1, 3):
            it = copy.copy(parts)
            it.skip_positions = skip
            with intervened(it, None, Intervention(0, 1, value=9.0)):
                moved = (model(ids).logits - own).abs().amax((0, 2)) > 1e-6
            assert moved.tolist() == [at >= skip for at in range(6)]
