import numpy as np
import pytest

from ilo_fast.graph.knn import knn_graph
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.structure.parts import short_name
from ilo_fast.scores.structure.structure import structure

SHARED = ("eng_Latn", "deu_Latn", "rus_Cyrl", "hin_Deva")
APART = ("sin_Sinh", "jpn_Jpan")


def meanings(n: int, seed: int, dim: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim))


def planted(n: int = 50, seed: int = 0) -> tuple[np.ndarray, list[str], list[int]]:
    """Four languages that share meanings, and two that are far from them and from each other."""
    rng, shared = np.random.default_rng(seed + 1), meanings(n, seed)
    parts = [shared + 0.05 * rng.normal(size=shared.shape) for _ in SHARED]
    parts += [60.0 * (c + 1) + meanings(n, seed + 9 + c) for c in range(len(APART))]
    codes = [code for code in (*SHARED, *APART) for _ in range(n)]
    return np.concatenate(parts), codes, list(range(n)) * 6


def test_planted_regions_are_found_exactly() -> None:
    rows, codes, sentences = planted()
    found = structure(knn_graph(rows, 3, metric="euclidean"), codes, sentences=sentences)
    label = {"sin_Sinh": 1, "jpn_Jpan": 2}
    assert found.labels is not None
    assert found.labels[0].tolist() == [label.get(code, 0) for code in codes]
    (layer,) = found.components
    assert layer.core.languages == SHARED
    assert layer.core.n_parts == 50  # one component for each meaning, and no giant one
    assert layer.largest == 4
    assert layer.translations == 1.0
    assert layer.rest == 0
    assert [(f.main, f.purity, f.size) for f in layer.fragments] == [
        (("sin_Sinh",), 1.0, 50),
        (("jpn_Jpan",), 1.0, 50),
    ]
    assert found.names == {-1: "rest", 0: "core", 1: "Sinhala", 2: "Japanese"}
    np.testing.assert_allclose(found.language_core_share, [[1, 1, 1, 1, 0, 0]])
    assert (found.z[0][np.triu_indices(4, 1)] > 5).all()
    assert found.share[0, 4].tolist() == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("parallel", [True, False])
def test_noise_gives_one_core_and_so_does_chance(parallel: bool) -> None:
    n, codes = 60, ("eng_Latn", "deu_Latn", "rus_Cyrl", "hin_Deva", "tel_Telu", "swh_Latn")
    rows = meanings(n * len(codes), 3, dim=6)
    found = structure(
        knn_graph(rows, 8),
        np.repeat(codes, n).tolist(),
        sentences=list(range(n)) * len(codes) if parallel else None,
    )
    (layer,) = found.components
    assert layer.core.languages == codes
    assert found.core_share[0] > 0.9
    assert abs(found.core_share[0] - found.core_share_under_mixing[0]) < 0.05
    assert layer.fragments == ()
    assert abs(found.modularity["language"][0]) < 0.05
    if parallel:  # what tells it from a region of meaning
        assert layer.translations is not None
        assert layer.translations < 0.1
    else:
        assert layer.translations is None


def test_languages_of_unequal_size_and_rows_in_any_order() -> None:
    rng = np.random.default_rng(5)
    sizes = (40, 25, 60)
    centers = np.array([[0.0, 0.0], [0.0, 0.0], [90.0, 0.0]])
    rows = np.concatenate(
        [c + rng.normal(size=(n, 2)) for c, n in zip(centers, sizes, strict=True)]
    )
    codes = np.repeat(["eng_Latn", "deu_Latn", "rus_Cyrl"], sizes)
    order = rng.permutation(len(rows))
    found = structure(knn_graph(rows[order], 6, metric="euclidean"), codes[order].tolist())
    (layer,) = found.components
    assert set(layer.core.languages) == {"eng_Latn", "deu_Latn"}
    assert [f.main for f in layer.fragments] == [("rus_Cyrl",)]
    assert dict(zip(found.languages, found.n_points, strict=True)) == {
        "eng_Latn": 40,
        "deu_Latn": 25,
        "rus_Cyrl": 60,
    }


def test_copies_across_languages_are_a_core() -> None:
    rows = np.repeat(meanings(20, 7), 2, axis=0)  # every row twice: once in each language
    found = structure(knn_graph(rows, 1), ["eng_Latn", "deu_Latn"] * 20)
    assert found.core_share[0] == 1.0
    assert found.components[0].core.n_parts == 20
    assert found.settings["languages_needed"] == 2


def test_one_neighbour_joins_pairs_only() -> None:
    rows, codes, sentences = planted(20)
    found = structure(knn_graph(rows, 1), codes, sentences=sentences)
    assert found.components[0].largest <= 2
    assert found.components[0].core.size == 0  # three of six languages are needed
    assert found.components[0].translations is None


def test_identical_points_everywhere() -> None:
    rows = np.ones((30, 3))
    found = structure(knn_graph(rows, 4), np.repeat(["eng_Latn", "deu_Latn", "x"], 10).tolist())
    assert found.components[0].core.size + found.components[0].rest + sum(
        f.size for f in found.components[0].fragments
    ) == len(rows)
    assert np.isfinite(found.distance).all()


def test_labels_stay_and_flows_add_up_from_layer_to_layer() -> None:
    rows, codes, sentences = planted(seed=2)
    other, _, _ = planted(seed=3)
    mixed = meanings(300, 4, dim=5)
    stack = np.stack([np.pad(mixed, ((0, 0), (0, 19))), rows, other])
    graph = knn_graph(stack, 3, metric="euclidean")
    found = structure(graph, codes, sentences=sentences, layers=(0, 4, 8))
    assert found.labels is not None
    assert found.layers == (0, 4, 8)
    assert (found.labels[1] == found.labels[2]).all()
    for h, flows in enumerate(found.flows):
        assert sum(n for _, _, n in flows) == 300
        for a, b, n in flows:
            assert n == ((found.labels[h] == a) & (found.labels[h + 1] == b)).sum()
    again = structure(graph, codes, sentences=sentences, layers=(0, 4, 8))
    assert again == found
    assert (again.orders == found.orders).all()


def test_under_mixing_labels_are_exchanged_within_sentences() -> None:
    # Translations alone are linked: exchanged within sentences, all is as before.
    rows, codes, sentences = planted()
    n = 4 * 50
    graph = knn_graph(rows[:n], 3, metric="euclidean")
    found = structure(graph, codes[:n], sentences=sentences[:n])
    assert found.components[0].core_under_mixing == found.components[0].core.size == n
    # Without sentences, among all points: by chance a meaning has one language more than once.
    alone = structure(graph, codes[:n])
    assert alone.components[0].core_under_mixing < n


def test_of_scores_it_is_that_of_their_graph() -> None:
    rows, codes, sentences = planted(20)
    pool = {code: rows[20 * c : 20 * c + 20] for c, code in enumerate((*SHARED, *APART))}
    scores = overlap(pool, n_neighbors=3, metric="euclidean", parallel=True, neighbors=True)
    graph = knn_graph(rows, 3, metric="euclidean")
    assert structure(scores) == structure(graph, codes, sentences=sentences)
    with pytest.raises(ValueError, match="are for a graph alone"):
        structure(scores, codes)


def test_rows_have_every_point_once() -> None:
    rows, codes, _ = planted(20)
    found = structure(knn_graph(rows, 3, metric="euclidean"), codes)
    table = found.rows()
    assert [row["name"] for row in table] == ["core", "Sinhala", "Japanese", "rest"]
    assert sum(row["points"] for row in table) == len(rows)
    assert table[0]["languages"] == " ".join(SHARED)
    assert table[1]["main"] == "sin_Sinh"
    text = found.to_csv()
    assert text.splitlines()[0].startswith("layer,label,name,points,share,share_under_mixing,")
    assert len(text.splitlines()) == 5


def test_what_is_no_pool_is_refused() -> None:
    rows, codes, sentences = planted(20)
    graph = knn_graph(rows, 2)
    with pytest.raises(ValueError, match="language of each of 120 rows, got none"):
        structure(graph)
    with pytest.raises(ValueError, match="language of each of 120 rows, got 3"):
        structure(graph, codes[:3])
    with pytest.raises(ValueError, match="names 1, wanted at least two"):
        structure(graph, ["eng_Latn"] * 120)
    with pytest.raises(ValueError, match="number each of 120 rows, got 5"):
        structure(graph, codes, sentences=sentences[:5])
    with pytest.raises(ValueError, match="names 2 layers, but the graph has 1"):
        structure(graph, codes, layers=(0, 1))
    with pytest.raises(ValueError, match="min_share=0 must be above 0"):
        structure(graph, codes, min_share=0)
    with pytest.raises(ValueError, match=r"purity=0.5 must be above 0.5"):
        structure(graph, codes, purity=0.5)
    with pytest.raises(ValueError, match="resolution=0 must be above 0"):
        structure(graph, codes, resolution=0)
    with pytest.raises(TypeError, match="OverlapScores or a graph, got ndarray"):
        structure(rows, codes)  # type: ignore[arg-type]
    queries = knn_graph(rows, 2, queries=rows[:5])
    with pytest.raises(ValueError, match="one of queries"):
        structure(queries, codes[:5])
    scores = overlap({"a": rows[:20], "b": rows[20:40]}, n_neighbors=2, threshold=1)
    with pytest.raises(ValueError, match=r"neighbors=True"):
        structure(scores)


def test_a_graph_of_one_layer_is_a_stack_of_one() -> None:
    rows, codes, _ = planted(20)
    graph = knn_graph(rows, 3)
    stacked = NeighborGraph(graph.indices[None], graph.distances[None])
    assert structure(graph, codes) == structure(stacked, codes)


def test_sentences_that_are_no_whole_numbers_are_refused() -> None:
    graph = knn_graph(np.random.default_rng(0).normal(size=(20, 3)), 3)
    for sentences in ([0.5] * 20, [2**70] * 20, ["x"] * 20):
        with pytest.raises(TypeError, match=r"sentences have dtype .*, wanted whole numbers"):
            structure(graph, list("ab" * 10), sentences=sentences)


def test_a_core_may_hold_one_language_of_two() -> None:
    """All of a, and one point of b: the component has points of both, b is mostly outside."""
    graph = NeighborGraph(
        np.array([[3, 1], [3, 0], [3, 0], [0, 1], [5, 0], [4, 0]]), np.zeros((6, 2), np.float32)
    )
    found = structure(graph, list("aaabbb"))
    core = found.components[0].core
    assert core.counts == (2, 1) and core.languages == ("a",)
    assert "50% of the points, at least half of those of 1 language)" in repr(found)


def test_names_of_codes_turn_no_writing_round() -> None:
    """A code is other people's: a mark in it must not reorder the text of a figure."""
    assert short_name("\u202eabc\u2028", ["\u202eabc\u2028", "eng_Latn"]) == "abc"
