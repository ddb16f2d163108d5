"""Overlap as a task of lm-evaluation-harness, with the real package, offline."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install 'ilo_fast[lm-eval]'")

import lm_eval
from helpers.harnesses import LANGUAGES, N
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from ilo_fast import OverlapScores, ParallelCorpus, extract, measure, overlap
from ilo_fast.integrations.lm_eval import OverlapTask
from ilo_fast.models.demo import demo_model_path

pytestmark = [
    pytest.mark.filterwarnings("default"),  # of the harness and what it needs
    pytest.mark.usefixtures("seeds_as_before"),
]


@pytest.fixture(scope="module")
def folder(corpus: ParallelCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus")
    for code, lines in corpus.sentences.items():
        (path / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lm() -> HFLM:
    return HFLM(pretrained=str(demo_model_path()), device="cpu", batch_size=4)


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager(include_defaults=False)


@pytest.fixture(scope="module")
def measured(corpus: ParallelCorpus) -> OverlapScores:
    return measure("demo", corpus, intervals=True)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An ordinary task of multiple choice, from a local file."""
    path = tmp_path_factory.mktemp("questions") / "test.jsonl"
    rows = [{"text": f"The number is {i}", "label": i % 2} for i in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "task": "parity",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}}",
        "doc_to_target": "label",
        "doc_to_choice": ["even", "odd"],
    }


def evaluated(lm: Any, manager: TaskManager, *tasks: Any, **options: Any) -> dict[str, Any]:
    found = lm_eval.simple_evaluate(
        model=lm, tasks=list(tasks), task_manager=manager, bootstrap_iters=0, **options
    )
    assert found is not None
    return dict(found)


def assert_row(found: dict[str, Any], scores: OverlapScores, row: int, suffix: str = "") -> None:
    """The metrics are the means of one layer, to the bit."""
    assert scores.intervals is not None and scores.translation_chance is not None
    for name in ("ilo", "bridge", "reach", "translation_share"):
        assert found[f"{name}{suffix},none"] == scores.values(name)[row].mean()
        low, high = (ends[row] for ends in scores.intervals.of_means()[name])
        assert found[f"{name}_low{suffix},none"] == low
        assert found[f"{name}_high{suffix},none"] == high
    assert found[f"translation_chance{suffix},none"] == scores.translation_chance.mean()


def test_one_call_gives_accuracy_and_overlap_of_one_loaded_model(
    lm: HFLM,
    manager: TaskManager,
    corpus: ParallelCorpus,
    measured: OverlapScores,
    questions: dict[str, Any],
) -> None:
    task = OverlapTask(corpus, layers=2)
    found = evaluated(lm, manager, questions, task, num_fewshot=3, log_samples=True)
    assert 0 <= found["results"]["parity"]["acc,none"] <= 1
    assert_row(found["results"]["ilo_demo"], measured, 2)
    assert found["n-samples"]["ilo_demo"] == {"original": N, "effective": N}
    assert found["n-shot"]["ilo_demo"] == 0
    assert found["higher_is_better"]["ilo_demo"]["ilo_low"] is True
    assert found["configs"]["ilo_demo"]["metadata"]["corpus_sha256"] == corpus.fingerprint()
    assert task.scores is not None
    np.testing.assert_array_equal(task.scores.ilo, measured.select(layers=[2]).ilo)
    samples = found["samples"]["ilo_demo"]
    assert json.loads(json.dumps(samples[3]["ilo"])) == 3  # the row, without its vectors
    assert samples[3]["ilo"].vectors is None and samples[3]["resps"][0][0].vectors is None
    assert "ilo" in lm_eval.utils.make_table(found)


def test_several_layers_have_their_numbers_behind(
    lm: HFLM, manager: TaskManager, corpus: ParallelCorpus, measured: OverlapScores
) -> None:
    middle, every = OverlapTask(corpus, task="a"), OverlapTask(corpus, task="b", layers="all")
    found = evaluated(lm, manager, middle, every, log_samples=False)["results"]
    assert middle.scores is not None and every.scores is not None
    assert middle.scores.layers == ((len(measured.layers) - 1) // 2,)
    assert_row(found["a"], measured, middle.scores.layers[0])
    assert every.scores.layers == measured.layers
    for row, layer in enumerate(measured.layers):
        assert_row(found["b"], measured, row, f"_layer_{layer}")
    assert every.scores == measured


def test_a_limit_takes_the_first_sentences_and_few_have_no_intervals(
    lm: HFLM, manager: TaskManager, corpus: ParallelCorpus
) -> None:
    task = OverlapTask(corpus, layers=[1])
    found = evaluated(lm, manager, task, limit=8)["results"]["ilo_demo"]
    wanted = measure("demo", corpus.head(8), layers=[1])
    assert found["ilo,none"] == wanted.ilo[0].mean() and "ilo_low,none" not in found
    rows = [11, 2, 5, 7, 9, 13, 0, 1, 3, 4]
    found = evaluated(lm, manager, task, samples={"ilo_demo": rows})["results"]["ilo_demo"]
    chosen = {c: [lines[i] for i in sorted(rows)] for c, lines in corpus.sentences.items()}
    wanted = measure("demo", ParallelCorpus.from_dict(chosen), layers=[1], intervals=True)
    assert_row(found, wanted, 0)
    with pytest.raises(ValueError, match="n_neighbors"):
        evaluated(lm, manager, task, limit=1)


def test_documents_and_companions_are_taken_into_account(
    lm: HFLM, manager: TaskManager, corpus: ParallelCorpus
) -> None:
    groups = [f"page {i // 2}" for i in range(N)]
    text = ParallelCorpus.from_dict(corpus.sentences, groups=groups)
    task = OverlapTask(text, layers=1, companions=True, intervals=False, task="ilo")
    found = evaluated(lm, manager, task)["results"]["ilo"]
    assert task.companions is not None and task.scores is not None
    assert found["retrieval_p1,none"] == task.companions["retrieval_p1"].means[0]
    assert found["retrieval_p1_chance,none"] == 1 / N
    assert "isoscore_chance,none" not in found and "ilo_low,none" not in found
    wide = OverlapTask(text, layers=1, task="ilo")
    assert "ilo_low,none" not in evaluated(lm, manager, wide)["results"]["ilo"]  # 8 documents


def test_what_ranks_that_share_the_work_found_is_scored_as_one(
    lm: HFLM, corpus: ParallelCorpus
) -> None:
    gathered: list[Any] = []
    task = OverlapTask(corpus, layers=1)
    for rank in (1, 0):  # the last to run keeps the results
        task.build_all_requests(rank=rank, world_size=2)
        answers = getattr(lm, task.OUTPUT_TYPE)(task.instances)
        by_doc: dict[int, list[Any]] = {}
        for request, answer in zip(task.instances, answers, strict=True):
            by_doc.setdefault(request.doc["row"], []).append(answer)
        gathered += [
            task.process_results(task.test_docs()[row], states)["ilo"]
            for row, states in by_doc.items()
        ]
    assert len(gathered) == N and gathered != sorted(gathered)
    whole = extract("demo", corpus, layers=1)
    ordered = np.stack([one.vectors for one in sorted(gathered)])  # (sentences, languages, 1, dim)
    for c, code in enumerate(LANGUAGES):
        # Other sentences shared the batches: equal up to rounding.
        np.testing.assert_allclose(ordered[:, c, 0], whole[code][0], rtol=1e-4, atol=1e-5)
    arrays = {code: ordered[:, c, 0] for c, code in enumerate(LANGUAGES)}
    wanted = overlap(arrays, parallel=True, intervals=True)
    assert task.aggregation()["ilo"](gathered) == wanted.ilo[0].mean()
    assert task.scores is not None and task.scores.intervals is not None
    assert wanted.intervals is not None
    np.testing.assert_array_equal(
        task.scores.intervals.mean_low["ilo"], wanted.intervals.mean_low["ilo"]
    )


@pytest.fixture
def written(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tasks"
    path.mkdir()
    (path / "ilo.yaml").write_text(
        "task: ilo_mine\n"
        "class: !function ilo_fast.integrations.lm_eval.OverlapTask\n"
        f"corpus: {folder}\n"
        "layers: [0, 2]\n",
        encoding="utf-8",
    )
    return path


def test_the_command_line_finds_the_task_by_its_folder(
    written: Path,
    tmp_path: Path,
    measured: OverlapScores,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from lm_eval.__main__ import cli_evaluate

    # Its own files of tasks are not searched: there are 14,000, and that takes long.
    without = functools.partialmethod(TaskManager.__init__, include_defaults=False)
    monkeypatch.setattr(TaskManager, "__init__", without)
    command = [
        "lm-eval", "run", "--model", "hf", "--model_args", f"pretrained={demo_model_path()}",
        "--device", "cpu", "--include_path", str(written), "--tasks", "ilo_mine",
        "--output_path", str(tmp_path / "out"), "--log_samples",
        "--metadata", '{"ilo_threshold": 2}',
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    cli_evaluate()
    assert "ilo_low_layer_2" in capsys.readouterr().out
    (file,) = (tmp_path / "out").rglob("results_*.json")
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["configs"]["ilo_mine"]["metadata"]["threshold"] == 2
    wanted = measured.values("reach")[2].mean()  # which knows no threshold
    assert found["results"]["ilo_mine"]["reach_layer_2,none"] == wanted
    assert list((tmp_path / "out").rglob("samples_ilo_mine_*.jsonl"))


def test_what_cannot_be_is_refused_before_the_model_runs(corpus: ParallelCorpus) -> None:
    with pytest.raises(ValueError, match="corpus is missing"):
        OverlapTask()
    with pytest.raises(ValueError, match="layers='last' is not known: use 'middle', 'all'"):
        OverlapTask(corpus, layers="last")
    with pytest.raises(ValueError, match="unknown options of a task: layer; it takes corpus"):
        OverlapTask(config={"task": "x", "corpus": "demo", "layer": 3})
    with pytest.raises(ValueError, match="unknown options of a task: ilo_layer;"):
        OverlapTask(config={"task": "x", "corpus": "demo", "metadata": {"ilo_layer": 3}})
    with pytest.raises(ValueError, match="threshold"):
        OverlapTask(corpus, threshold=4)


def test_a_model_without_hidden_states_is_refused(
    manager: TaskManager, corpus: ParallelCorpus
) -> None:
    with pytest.raises(TypeError, match="which DummyLM does not give: use model='hf'"):
        evaluated("dummy", manager, OverlapTask(corpus))
