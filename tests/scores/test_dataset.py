"""Results as xarray Datasets: every number where its layer and language are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.scores import overlap_scores, transfer_scores

from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.companions.result import Companion, Companions
from ilo_fast.scores.structure.structure import structure


@pytest.fixture
def xarray():
    return pytest.importorskip("xarray", reason="xarray is in ilo_fast[xarray]")


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_the_dataset_holds_what_the_rows_hold(xarray, certain: bool, parallel: bool) -> None:
    scores = overlap_scores(certain=certain, parallel=parallel)
    data = scores.to_xarray()
    assert isinstance(data, xarray.Dataset) and dict(data.sizes) == {"layer": 3, "language": 4}
    compared = 0
    for row in scores.rows():
        here = data.sel(layer=row["layer"], language=row["language"])
        for name, value in row.items():
            if name in ("model", "layer", "language", "name"):
                continue
            if value is None:
                assert name not in data
            else:
                assert here[name].item() == value, name
                compared += 1
        assert here.language_name.item() == row["name"]
    assert compared == 12 * {
        (False, False): 8, (False, True): 10, (True, False): 23, (True, True): 29
    }[certain, parallel]  # fmt: skip
    assert ("ilo_mean_low" in data, "p_mixing_mean" in data) == (certain, certain)
    if certain:
        assert scores.intervals is not None
        np.testing.assert_array_equal(data.ilo_mean_low, scores.intervals.mean_low["ilo"])
    assert (data.attrs["model"], data.attrs["n_neighbors"]) == ("org/model", 5)


def test_the_dataset_is_a_copy_and_goes_to_a_file_and_back(xarray, tmp_path: Path) -> None:
    scores = overlap_scores(certain=True)
    data = scores.to_xarray()
    np.testing.assert_allclose(data.ilo.mean("language"), scores.ilo.mean(axis=1))
    data.to_netcdf(tmp_path / "scores.nc", engine="scipy")
    again = xarray.load_dataset(tmp_path / "scores.nc", engine="scipy")
    assert again.equals(data) and again.attrs == data.attrs
    data.ilo[:] = 0
    assert (scores.ilo > 0).all()


def test_companions_have_means_and_pairs(xarray) -> None:
    rng = np.random.default_rng(1)
    values, codes = rng.random((2, 3)), ("deu_Latn", "eng_Latn", "swh_Latn")
    cka = Companion(
        "cka", "CKA", "About.", 0.0, 1.0, values, values.mean(axis=1),
        low=values - 0.1, means_chance=np.full(2, 0.1),
    )  # fmt: skip
    whole = Companion("isoscore", "Iso", "About.", 0.0, 1.0, None, rng.random(2))
    pairs = {"cka": rng.random((2, 3, 3))}
    data = Companions((0, 4), codes, (cka, whole), pairs, 0.9).to_xarray()
    assert set(data.data_vars) == {
        "cka", "cka_low", "cka_mean", "cka_mean_chance", "isoscore", "cka_of_pairs"
    }  # fmt: skip
    np.testing.assert_array_equal(data.cka.sel(layer=4), values[1])
    assert data.isoscore.dims == ("layer",) and data.cka.attrs["long_name"] == "CKA"
    one = data.cka_of_pairs.sel(layer=0, source="eng_Latn", target="deu_Latn")
    assert one == pairs["cka"][0, 1, 0]
    assert data.attrs == {"interval_level": 0.9}


def test_structure_has_pairs_of_languages(xarray) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 40, 5))
    codes = [code for code in ("eng_Latn", "deu_Latn") for _ in range(20)]
    found = structure(knn_graph(rows, 3), codes)
    data = found.to_xarray()
    assert dict(data.sizes) == {"layer": 2, "language": 2, "neighbor": 2}
    for h, a, b in np.ndindex(2, 2, 2):
        one = data.sel(layer=h, language=found.languages[a], neighbor=found.languages[b])
        for name in ("counts", "share", "log_ratio", "z", "distance"):
            assert one[name] == getattr(found, name)[h, a, b]
    np.testing.assert_array_equal(data.core_share, found.core_share)
    np.testing.assert_array_equal(data.language_core_share, found.language_core_share)
    np.testing.assert_array_equal(data.expected, found.expected)


def test_transfer_has_its_confusions(xarray) -> None:
    scores = transfer_scores({"eng_Latn": 0.9, "deu_Latn": 0.5})
    data = scores.to_xarray()
    one = data.sel(language="deu_Latn")
    assert one.accuracy == 0.5 and one.n == 50
    assert one.confusion.sel(true="alpha", predicted="alpha") == scores.confusion[1, 0, 0]
    assert one.accuracy_low == scores.accuracy_interval[1, 0]
    assert data.attrs == {"split": "test", "source": "eng_Latn"}


def test_without_xarray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs xarray: pip install 'ilo_fast\[xarray\]'"):
        overlap_scores().to_xarray()
