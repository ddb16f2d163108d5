"""From a path to the model inside it, and to its name."""

from __future__ import annotations

import pytest

from ilo_fast.errors import AccessError
from ilo_fast.models.demo import demo_model_path
from ilo_fast.models.folders import display_name, local_folder
from ilo_fast.models.loading import open_files


@pytest.fixture
def run_folder(tmp_path):
    for name in (
        "run/model",
        "run/checkpoint-2",
        "trainer/checkpoint-20",
        "trainer/checkpoint-100",
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "run" / "run_card.json").write_text("{}")
    return tmp_path


def test_run_folder_is_its_model_and_gives_it_its_name(run_folder):
    assert local_folder(run_folder / "run") == run_folder / "run" / "model"
    assert display_name(run_folder / "run") == "run" == display_name(run_folder / "run" / "model")
    assert display_name(run_folder / "trainer" / "checkpoint-20") == "trainer/checkpoint-20"


def test_demo_is_a_name_everywhere():
    assert local_folder("demo") == demo_model_path()
    assert display_name("demo") == "demo model" == display_name(demo_model_path())
    files = open_files("demo", revision=None, trust_remote_code=False)
    assert (files.name, files.folder) == ("demo", demo_model_path())


def test_adapter_of_a_run_is_found(run_folder):
    (run_folder / "run" / "model").rename(run_folder / "run" / "adapter")
    (run_folder / "run" / "adapter" / "config.json").rename(
        run_folder / "run" / "adapter" / "adapter_config.json"
    )
    assert local_folder(run_folder / "run") == run_folder / "run" / "adapter"


def test_folder_of_checkpoints_says_which_there_are(run_folder):
    with pytest.raises(AccessError, match=r"checkpoint-20, checkpoint-100\), such as .*-100"):
        local_folder(run_folder / "trainer")


def test_folder_around_models_and_unfinished_runs_say_so(run_folder):
    with pytest.raises(AccessError, match=r"no config.json.*models in .*checkpoint-100"):
        (run_folder / "trainer").rename(run_folder / "x")
        for path in (run_folder / "x").iterdir():
            path.rename(path.with_name(path.name.replace("checkpoint-", "a-checkpoint-")))
        local_folder(run_folder / "x")
    (run_folder / "run" / "model" / "config.json").unlink()
    with pytest.raises(AccessError, match="no model yet: it is not finished"):
        local_folder(run_folder / "run")


@pytest.mark.parametrize(("model", "says"), [("", "is empty"), ("file", "is a file")])
def test_what_is_no_folder_is_refused(tmp_path, monkeypatch, model, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(AccessError, match=says):
        local_folder(model)
