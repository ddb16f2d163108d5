"""The page's script without a browser: QuickJS runs the files that ask for no page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ilo_fast.report.page import read_template

# QuickJS knows the language and nothing of the web.
_DECODER = """
globalThis.TextDecoder = class {
  decode(bytes) {
    let text = "";
    for (const byte of bytes) text += "%" + byte.toString(16).padStart(2, "0");
    return decodeURIComponent(text);
  }
};
"""


class Script:
    """Functions of files of ``templates/explorer``, and of the viewer's, called by name."""

    def __init__(self, *names: str, viewer: Sequence[str] = ()) -> None:
        quickjs = pytest.importorskip("quickjs", reason="pip install quickjs runs the script")
        self._context = quickjs.Context()
        self._context.eval(_DECODER)
        files = [read_template(f"explorer/{name}.js") for name in names]
        files += [read_template(f"{name}.js", "ilo_fast.transcoders.viewer") for name in viewer]
        self._context.eval("\n".join(files))

    def __call__(self, expression: str, **values: Any) -> Any:
        """The value of an expression in which `values` are known."""
        known = "".join(f"const {name} = {json.dumps(v)};" for name, v in values.items())
        replacer = "(_, v) => typeof v === 'number' && Number.isNaN(v) ? 'NaN' : v"
        text = self._context.eval(
            f"(() => {{ {known} return JSON.stringify({expression}, {replacer}); }})()"
        )
        return json.loads(text)
