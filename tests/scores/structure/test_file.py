import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.structure.result import Structure
from ilo_fast.scores.structure.structure import structure


@pytest.fixture(scope="module")
def found() -> Structure:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 90, 3))
    rows[1, 60:] += 50
    codes = np.repeat(["eng_Latn", "deu_Latn", "my_own"], 30).tolist()
    return structure(knn_graph(rows, 4, metric="euclidean"), codes, layers=(0, 3))


def test_read_back_is_the_same(found: Structure, tmp_path: Path) -> None:
    text = found.to_json(tmp_path / "structure.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["structure.json", "structure.npz"]
    for source in (tmp_path, tmp_path / "structure.json", str(tmp_path)):
        again = Structure.from_json(source)
        assert again == found
        assert (again.z == found.z).all()
        assert again.modularity_chance == found.modularity_chance
    assert json.loads(text)["kind"] == "ilo_fast.structure"
    assert Structure.from_json(text).labels is None
    (tmp_path / "structure.npz").unlink()
    without = Structure.from_json(tmp_path)
    assert without.labels is None
    assert without != found
    assert without.components == found.components


def test_the_same_structure_gives_the_same_bytes(found: Structure, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found.to_json(tmp_path / name / "structure.json")
    for file in ("structure.json", "structure.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def parts(data: dict) -> dict:
    return data["layers"][0]["components"]


def core(data: dict) -> dict:
    return parts(data)["core"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(kind="ilo_fast.overlap"), "another kind of file"),
        (lambda d: d.update(schema_version=9), "schema_version=9"),
        (lambda d: d.pop("flows"), "its parts are incomplete: there is no 'flows'"),
        (lambda d: d.pop("flows"), "find the structure again"),
        (lambda d: d.update(settings={}), "there is no 'languages_needed'"),
        (lambda d: core(d).update(label=7), "the core has label 7"),
        (lambda d: d["languages"].pop(), "counts has shape"),
        (lambda d: d["languages"].__setitem__(0, "deu_Latn"), "languages names one twice"),
        (lambda d: d.update(n_points=[10**400] * 3), "n_points"),
        (lambda d: d["layers"][0].update(layer=0.7), "layer must be an int, got 0.7"),
        (lambda d: d["layers"][1].update(layer=0), "layer names one twice"),
        (lambda d: d["layers"][0]["counts"][0].__setitem__(0, 10**6), "counts are not those"),
        (lambda d: d["layers"][0]["components"].update(rest=91), "do not add up"),
        (lambda d: d["layers"][0]["components"]["core"].pop("size"), "there is no 'size'"),
        (lambda d: core(d).update(size="3"), r"layers\[0\].components.core.size must be an int"),
        (lambda d: core(d).update(counts=[]), "core.counts do not add up to its size"),
        (lambda d: core(d).update(counts=["x"] * 3), "core.counts must be an int, got 'x'"),
        (lambda d: core(d).update(name=["x"]), "core.name must be a text"),
        (lambda d: core(d).update(languages=["xyz_Latn"]), "core names xyz_Latn, no language"),
        (lambda d: core(d).update(purity=1.5), "core.purity is 1.5, wanted a share"),
        (lambda d: core(d).update(common=5), "core.common must be an object, got 5"),
        (lambda d: parts(d).update(core_under_mixing="x"), "core_under_mixing must be a number"),
        (lambda d: parts(d).update(core_under_mixing=None), "core_under_mixing must be a number"),
        (lambda d: parts(d).update(core_under_mixing=91), "core_under_mixing or largest is more"),
        (lambda d: parts(d).update(largest=91), "core_under_mixing or largest is more"),
        (lambda d: parts(d).update(translations="x"), "translations must be a number"),
        (
            lambda d: parts(d).update(fragments=[None]),
            r"fragments\[0\] must be an object, got None",
        ),
        (lambda d: d["layers"][1]["link_sums"].pop("n"), "there is no 'n'"),
        (lambda d: d["layers"][1]["link_sums"].update(n="x"), r"\[1\].link_sums.n must be an int"),
        (lambda d: d["layers"][1]["link_sums"].update(links=3), "link_sums are of 3 links"),
        (lambda d: d.update(names={}), "names have none for label -1, 0"),
        (lambda d: d.update(names={"x": "y"}), "names hold 'x', wanted labels"),
        (lambda d: d.update(names=[]), "names must be an object"),
        (lambda d: d.update(flows=[]), "flows are 0"),
        (lambda d: d.update(flows=[[[7777, 8888, 5]]]), "flows do not add up"),
        (lambda d: d.update(flows=[[[0, 0, 10**30]]]), "flows=.* must be at most"),
        (lambda d: d.update(flows=[[[0, 0]]]), r"flows hold \[0, 0\], wanted"),
        (lambda d: d.update(settings=[]), r"settings must be an object, got \[\]"),
        (lambda d: d.update(layers=3), "layers must be a list, got 3"),
        (lambda d: d.update(layers=[], flows=[]), "0 layers"),
        (lambda d: d["layers"][0].update(counts=[[1], [2, 3]]), r"layers\[0\].counts has shape"),
        (lambda d: d["layers"][0]["counts"][0].__setitem__(0, 10**30), "counts holds a number"),
        (lambda d: d["layers"][0]["counts"][0].__setitem__(0, 1.5), "counts holds a float"),
    ],
)
def test_what_is_damaged_is_refused(found: Structure, change, said: str, tmp_path: Path) -> None:
    data = json.loads(found.to_json())
    change(data)
    path = tmp_path / "structure.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=said) as caught:
        Structure.from_json(path)
    assert str(path) in str(caught.value)


def test_labels_that_are_damaged_or_of_another_structure_are_refused(
    found: Structure, tmp_path: Path
) -> None:
    found.to_json(tmp_path / "structure.json")
    path = tmp_path / "structure.npz"
    whole = path.read_bytes()
    for bad in (b"", b"no file", whole[: len(whole) // 2]):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"structure\.npz is damaged"):
            Structure.from_json(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npy", b"no array")
    with pytest.raises(ValueError, match=r"structure\.npz is damaged"):
        Structure.from_json(tmp_path)
    np.savez_compressed(path, labels=np.zeros((2, 5), np.int32))
    with pytest.raises(ValueError, match="wanted int32 of"):
        Structure.from_json(tmp_path)
    assert found.labels is not None
    np.savez_compressed(path, labels=np.where(found.labels == 0, -1, found.labels))
    with pytest.raises(ValueError, match="belongs to another structure: core differs"):
        Structure.from_json(tmp_path)


def test_log_ratio_is_finite_and_zero_near_chance(found: Structure) -> None:
    assert np.isfinite(found.log_ratio).all()
    assert abs(found.log_ratio[0]).max() < 1  # noise
    assert found.log_ratio[1, 2, 0] < -5  # no link at all between far languages
    assert "3 languages" in repr(found)
