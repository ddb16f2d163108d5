"""The README and the pages of docs/, taken apart: their code blocks, their links, what they run."""

from __future__ import annotations

import ast
import builtins
import io
import re
import shlex
import sys
import textwrap
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = (*TOP, *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")))
CARDS = tuple(
    f"python/ilo_fast/demo/{name}/README.md"
    for name in ("corpus", "model", "training", "transcoders")
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)  # also in lists


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes
    ----------
    page
        Its path below the root of the repository.
    line
        Number of its first line of content, from 1.
    kind
        ``python``, ``bash``, ``text``, ...
    text
    """

    page: str
    line: int
    kind: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, kind: str | None = None) -> list[Block]:
    """The fenced blocks of a page, in order; of one kind where that is given."""
    text = read(page)
    found = [
        Block(page, text.count("\n", 0, match.start()) + 2, match[2], textwrap.dedent(match[3]))
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if kind in (None, block.kind)]


def prose(page: str) -> str:
    """A page without its fenced blocks; line numbers stay."""
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), read(page))


def inline_code(page: str) -> list[Block]:
    """Commands in the running text, each as a block of its own."""
    text = prose(page)
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, "bash", " ".join(match[1].split()))
        for match in re.finditer(r"`((?:ilo-fast|pytest|python \w+/)[^`]+)`", text)
    ]


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a ``bash`` block.

    Continued lines are joined, comments dropped, ``&&``, ``;`` and line ends separate. Settings of
    the environment before a command are left out.
    """
    found: list[list[str]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|"):
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words.pop(0)
                if words:
                    found.append(words)
                words = []
            else:
                words.append(word)
    return found


def run_python(block: Block, namespace: dict[str, Any]) -> list[str]:
    """Run a block as printed; what ``print(...)  # value`` shows must be that value.

    In a value, ``...`` stands for anything.

    Returns
    -------
    list of str
        What differs; empty where all is as the page says.
    """
    shown: dict[int, str] = {}

    def recording_print(*values: object, **options: Any) -> None:
        stream = io.StringIO()
        builtins.print(*values, **{**options, "file": stream})
        shown[sys._getframe(1).f_lineno] = " ".join(stream.getvalue().split())

    namespace["print"] = recording_print
    exec(compile(block.text, block.place, "exec"), namespace)
    wrong = []
    for line, wanted in _values(block.text).items():
        pattern = ".*".join(map(re.escape, wanted.split("...")))
        if not re.fullmatch(pattern, shown.get(line, "")):
            wrong.append(f"{block.place}, line {line}: printed {shown.get(line)!r}, not {wanted!r}")
    return wrong


def imported_names(text: str) -> list[tuple[str, str | None]]:
    """Modules and names that a piece of Python imports."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def _values(text: str) -> dict[int, str]:
    """Line number of each ``print(...)`` with a comment behind it -> the comment."""
    prints: dict[int, int] = {}  # last line of the call -> its first
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print":
            prints[node.end_lineno or node.lineno] = node.lineno
    return {
        prints[token.start[0]]: " ".join(token.string.lstrip("# ").split())
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and token.start[0] in prints
    }
