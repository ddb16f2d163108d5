"""Try extract() and freeze() on every text model type that the installed transformers can build.

Each type is built small with random weights, in a process of its own with a time limit. The answer
is compared with the model's own ``output_hidden_states`` (one unpadded sentence at a time, its
mean over tokens in float64), and the frozen parameters with the gradients of these states. Nothing
here uses how ilo_fast finds the parts of a model.

    python tools/architecture_coverage.py --output docs/results/architectures.md --json table.json
    python tools/architecture_coverage.py --types gpt2 bert
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

sys.path.insert(0, str(Path(__file__).parent))

from architectures.build import UnbuildableError, build_model, text_types  # noqa: E402
from architectures.check import check_extract, check_freeze  # noqa: E402

TIME_LIMIT = 120.0


def try_type(name: str, side: str = "left") -> dict[str, Any]:
    """The verdicts on one model type; `side` is the one on which its tokenizer would pad."""
    import torch

    torch.set_num_threads(1)
    entry: dict[str, Any] = {"type": name}
    try:
        model = build_model(name)
    except UnbuildableError as error:
        return entry | {"built": False, "why": str(error), "text": error.text}
    entry |= {"built": True, "class": type(model).__name__}
    entry["extract"], entry["extract_note"] = _outcome(lambda: check_extract(model, side))
    entry["freeze"], entry["freeze_note"] = _outcome(lambda: check_freeze(model))
    return entry


def _outcome(check: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    try:
        return check()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return "crashed", what


def _child(name: str, pipe: Any) -> None:
    logging.disable(logging.NOTSET)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    pipe.send(try_type(name))
    pipe.close()


def in_own_process(name: str) -> dict[str, Any]:
    """try_type() in a fork: a crash or an endless loop ends only that."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(name, send))
    process.start()
    send.close()
    started = time.perf_counter()
    result: dict[str, Any] = {"type": name, "built": False, "text": True}
    try:
        if receive.poll(TIME_LIMIT):
            result = receive.recv()
        else:
            result["why"] = f"took more than {TIME_LIMIT:.0f} s"
    except EOFError:
        result["why"] = "the process died"
    result["seconds"] = round(time.perf_counter() - started, 1)
    process.kill()
    process.join()
    return result


def verdict(entry: dict[str, Any], what: str) -> tuple[str, str]:
    """The verdict on a type, and its note."""
    if not entry["built"]:
        return "not built", entry["why"]
    return entry[what], entry[f"{what}_note"]


def table(entries: list[dict[str, Any]]) -> str:
    """The page of the documentation."""
    import torch
    import transformers

    built = [entry for entry in entries if entry["built"]]
    counts = {what: Counter(verdict(e, what)[0] for e in built) for what in ("extract", "freeze")}
    lines = [
        "# Architectures",
        "",
        f"Every text model type of transformers {transformers.__version__} (torch "
        f"{torch.__version__.split('+')[0]}) that can be built small with",
        "random weights, with its language-model head where it has one. *Extract*: short and long",
        "sentences in one corpus, compared with the model's own `output_hidden_states`, one",
        "unpadded sentence at a time, mean over its tokens in float64. *Freeze*: compared with",
        "the first of these states that has a gradient for each parameter. Reproduce:",
        "",
        "    python tools/architecture_coverage.py --output docs/results/architectures.md",
        "",
        "| | right | refused | wrong |",
        "|---|---:|---:|---:|",
    ]
    for what, count in counts.items():
        lines.append(
            f"| {what} | {count['right']} | {count['refused']} | "
            f"{count['wrong'] + count['crashed']} |"
        )
    lines += [
        "",
        f"Types: {len(built)}, counted by configuration: a composite and its text side are",
        "two, and text sides of vision and speech are among them. An earlier count, of 311 types,",
        "did not record which; the two cannot be compared type by type.",
        "",
        "## Not right",
        "",
    ]
    for entry in built:
        for what in ("extract", "freeze"):
            outcome, note = verdict(entry, what)
            if outcome != "right":
                lines += _wrapped(f"- `{entry['type']}`, {what}, {outcome}: {note}")
    lines += ["", "## Right, with a remark", ""]
    for entry in built:
        if entry["extract"] == "right" and entry["extract_note"]:
            lines += _wrapped(f"- `{entry['type']}`: {entry['extract_note']}")
    right = [
        e["type"] for e in built if verdict(e, "extract")[0] == verdict(e, "freeze")[0] == "right"
    ]
    lines += ["", "## Right", "", *_wrapped(", ".join(f"`{name}`" for name in right))]
    lines += ["", "## Text models that were not built", ""]
    for entry in entries:
        if not entry["built"] and entry["text"]:
            lines += _wrapped(f"- `{entry['type']}`: {entry['why']}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text.replace("\n", " "),
        110,
        subsequent_indent="  " * text.startswith("- "),
        break_long_words=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--types", nargs="*", help="model types; all by default")
    parser.add_argument("--output", type=Path, help="the table, in Markdown")
    parser.add_argument(
        "--json", type=Path, help="all that was found; with --types, its other entries stay"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    options = parser.parse_args()
    names = options.types or text_types()
    for known in ("bert", "llama", "t5"):
        try_type(known)  # what this imports, the forks have; nothing of it is kept

    entries = []
    with ThreadPoolExecutor(options.jobs) as pool, contextlib.suppress(KeyboardInterrupt):
        for entry in pool.map(in_own_process, names):
            entries.append(entry)
            for what in ("extract", "freeze"):
                outcome, note = verdict(entry, what)
                if options.types or (outcome != "right" and (entry["built"] or entry["text"])):
                    print(f"{entry['type']:32s} {what:8s} {outcome:9s} {note[:300]}", flush=True)
                if not entry["built"]:
                    break
    for what in ("extract", "freeze"):
        print(what, dict(Counter(verdict(entry, what)[0] for entry in entries)))
    if options.json:
        if options.types and options.json.exists():
            known = {entry["type"]: entry for entry in json.loads(options.json.read_text())}
            known |= {entry["type"]: entry for entry in entries}
            entries = [known[name] for name in sorted(known)]
        options.json.write_text(json.dumps(entries, indent=1))
    if options.output:
        options.output.write_text(table(entries))


if __name__ == "__main__":
    main()
