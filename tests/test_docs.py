"""The pages are whole: links, paths, flags of scripts, names of tests, lengths."""

from __future__ import annotations

import importlib
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import pages

_LINK = re.compile(r"\]\(([^()\s]+)\)")
_PATH = re.compile(r"`((?:csrc|python|tests|benchmarks|studies|tools|docs|\.ci)/[\w./*-]*)`")
_WIDEST = 120
# Kept as it was measured, with the command of then.
_KEPT = "docs/results/single_language/table.md"
_WRITTEN = [page for page in pages.PAGES if page != _KEPT]


def test_the_readme_is_at_most_150_lines() -> None:
    assert len(pages.read("README.md").splitlines()) <= 150
    assert len(pages.read("CONTRIBUTING.md").splitlines()) <= 160


@pytest.mark.parametrize("page", pages.PAGES)
def test_lines_are_short(page: str) -> None:
    for number, line in enumerate(pages.read(page).splitlines(), start=1):
        free = line.startswith(("|", "!["))  # a table's row and a picture cannot be broken
        assert free or len(line) <= _WIDEST, f"{page}:{number} has {len(line)} columns"


@pytest.mark.parametrize("page", [*pages.PAGES, *pages.CARDS])
def test_links_lead_somewhere(page: str) -> None:
    for target in _LINK.findall(pages.prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (pages.ROOT / page).parent / path if path else pages.ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in headings(file), f"{page}: {target}"


@pytest.mark.parametrize("page", [*_WRITTEN, *pages.CARDS])
def test_paths_that_a_page_names_exist(page: str) -> None:
    for path in _PATH.findall(pages.prose(page)):
        pattern = path.rstrip("/").replace("NAME", "*")
        assert list(pages.ROOT.glob(pattern)), f"{page}: {path}"


@pytest.mark.parametrize("page", [*_WRITTEN, *pages.CARDS])
def test_scripts_have_the_flags_that_a_page_uses(page: str) -> None:
    for place, script, words in script_calls(page):
        assert (pages.ROOT / script).exists(), f"{place}: {script}"
        known = source_of(script)
        for word in words:
            if word.startswith("-") and not word.lstrip("-").isdigit():
                assert f'"{word}"' in known, f"{place}: {script} has no {word}"


@pytest.mark.parametrize("page", [*_WRITTEN, *pages.CARDS])
def test_tests_that_a_page_names_exist(page: str) -> None:
    for place, words in calls_of(page, "pytest"):
        paths = [word for word in words if word.startswith("tests")]
        for path in paths:
            assert (pages.ROOT / path).exists(), f"{place}: {path}"
        names = "".join(map(source_of, paths))
        for expression in [words[i + 1] for i, word in enumerate(words) if word == "-k"]:
            for word in set(re.findall(r"\w+", expression)) - {"and", "or", "not", "NAME", "part"}:
                assert re.search(rf"(def|class) \w*{word}", names), f"{place}: no test {word}"


def test_the_index_lists_every_page() -> None:
    listed = {
        (pages.ROOT / "docs" / target.partition("#")[0]).resolve()
        for target in _LINK.findall(pages.prose("docs/README.md"))
    }
    missing = [
        page
        for page in pages.PAGES
        if page.startswith("docs/") and page != "docs/README.md"
        if (pages.ROOT / page).resolve() not in listed
    ]
    assert missing == []


def headings(file: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = unicodedata.normalize("NFC", line.lstrip("#").strip().lower())
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def calls_of(page: str, program: str) -> Iterator[tuple[str, list[str]]]:
    """Place and arguments of each call of a program, also as ``python -m program``."""
    for block in [*pages.blocks(page, "bash"), *pages.inline_code(page)]:
        for words in pages.commands(block):
            if words[0] == program:
                yield block.place, words[1:]
            elif program in words[:4] and "-m" in words[:3]:
                yield block.place, words[words.index(program) + 1 :]


def script_calls(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """Place, script and arguments of each script of this repository that a page calls."""
    for block in [*pages.blocks(page, "bash"), *pages.inline_code(page)]:
        for words in pages.commands(block):
            if words[0] in ("bash", "python", "python3"):
                words = words[1:]
            if words and words[0].startswith(
                ("benchmarks/", "studies/", "tests/", "tools/", ".ci/")
            ):
                yield block.place, words[0], words[1:]


def source_of(path: str) -> str:
    """The Python or shell text of a script or a folder; of a benchmark with what it shares."""
    file = pages.ROOT / path
    files = sorted(file.rglob("*.py")) if file.is_dir() else [file]
    return "".join(f.read_text(encoding="utf-8") for f in files)


@pytest.mark.parametrize("package", ["", ".transcoders", ".evaluation", ".scores.similarity"])
def test_the_reference_of_the_site_names_all_that_is_public(package: str) -> None:
    module = importlib.import_module(f"ilo_fast{package}")
    text = pages.read("docs/api.rst")
    listed = set(re.findall(r"^   (ilo_fast[\w.]*)$", text, re.MULTILINE))
    assert listed, "docs/api.rst lists nothing"
    missing = [
        name
        for name in module.__all__
        if name != "__version__"
        and not {f"ilo_fast.{name}", f"{module.__name__}.{name}", module.__name__} & listed
    ]
    assert missing == [], "add them to docs/api.rst"


def test_notebooks_are_committed_without_outputs_and_are_listed() -> None:
    notebooks = sorted((pages.ROOT / "docs" / "notebooks").glob("*.ipynb"))
    assert len(notebooks) >= 3
    for notebook in notebooks:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs"), f"{notebook.name}: clear the outputs of {cell['id']}"
        assert f"(notebooks/{notebook.name})" in pages.prose("docs/README.md"), notebook.name
