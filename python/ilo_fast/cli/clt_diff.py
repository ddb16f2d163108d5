"""``ilo-fast clt diff``: what training has changed in a model, feature by feature."""

from __future__ import annotations

import argparse
import json
import logging
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags
from ilo_fast.cli.clt_flags import add_device_flags
from ilo_fast.cli.common import load_corpus, model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name, write_page
from ilo_fast.cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.transcoders.files.opening import Opened

logger = logging.getLogger(__name__)

DIFF_FILE = "diff.json"


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "diff",
        "tell what training has changed in a model, feature by feature, beside what seeds change",
        run,
        description="Compare a model with the same one trained on, through transcoders, on the "
        "same parallel text: features that grew, died, changed language or moved, what layers "
        "write, how strong links are. Writes diff.json, two figures, and all of it as diff.html.",
        examples=(
            "ilo-fast clt diff results/base --tuned-model results/tuned -l eng_Latn,deu_Latn",
            "ilo-fast clt diff results/base results/refitted --seed-control results/refitted_base "
            "-l eng_Latn,deu_Latn --prompts 0",
            "ilo-fast clt diff results/base --tuned-model results/tuned --control-model "
            "results/control -l eng_Latn,deu_Latn --prompts 4 --json",
        ),
    )
    parser.add_argument(
        "base", nargs="?", default="demo", metavar="BASE",
        help="folder of the base model's transcoder, a `clt train` run (default: demo)",
    )  # fmt: skip
    parser.add_argument(
        "tuned", nargs="?", metavar="TUNED",
        help="folder of the tuned model's transcoder (default: BASE's own, on --tuned-model)",
    )  # fmt: skip
    group = parser.add_argument_group("models")
    group.add_argument(
        "-m", "--model", metavar="MODEL",
        help="the base model (default: that of BASE's training)",
    )  # fmt: skip
    group.add_argument(
        "--tuned-model", metavar="MODEL",
        help="the tuned model, such as the folder of a finetune run, full or LoRA (default: that "
        "of TUNED's training)",
    )  # fmt: skip
    flags.add_hub_flags(group)
    group.add_argument(
        "--seed-control", nargs="+", action="append", metavar="FOLDER", default=[],
        help="a transcoder that differs from BASE's in its seed alone, or two that do so from each "
        "other; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--control-model", action="append", metavar="MODEL", default=[],
        help="a model that was trained on without what is in question; BASE's transcoder is used "
        "on it; may be given several times",
    )  # fmt: skip
    add_device_flags(group)
    flags.add_corpus_flags(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--correspondence", choices=("number", "match"),
        help="compare features of one number, or those most alike (default: by number, unless the "
        "transcoders were fitted apart)",
    )  # fmt: skip
    group.add_argument(
        "--prompts", type=_count, default=16, metavar="N",
        help="beginnings of lines whose graphs are compared (default: 16; 0: none)",
    )  # fmt: skip
    group.add_argument(
        "--prompt-tokens", type=flags.positive_int, default=16, metavar="N",
        help="of each beginning (default: 16)",
    )  # fmt: skip
    group.add_argument(
        "--min-firings", type=flags.positive_int, default=20, metavar="N",
        help="features that are active less often on this text are not judged (default: 20)",
    )  # fmt: skip
    group.add_argument(
        "--null-share", type=float, default=0.01, metavar="SHARE",
        help="of the features of seed controls, so many may be beyond a threshold (default: 0.01)",
    )  # fmt: skip
    group.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="of bootstraps, and of what is drawn (default: 0)",
    )  # fmt: skip
    flags.add_thread_flag(parser)
    flags.add_output_flags(parser, f"{RESULTS_FOLDER}/diff__BASE__TUNED")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    if args.tuned is None and args.tuned_model is None:
        raise UsageError("what is BASE compared with? give TUNED, or --tuned-model")
    for folders in args.seed_control:
        if len(folders) > 2:
            raise UsageError(
                f"--seed-control {' '.join(folders)}: give one folder, or two; the flag may be "
                "given several times"
            )
    from ilo_fast._util.folders import made_folder
    from ilo_fast.models.folders import display_name
    from ilo_fast.report.files import write_figures
    from ilo_fast.transcoders.files.opening import transcoder_name
    from ilo_fast.transcoders.multilingual.diffing.diff import diff_models
    from ilo_fast.transcoders.multilingual.diffing.page import diff_page
    from ilo_fast.transcoders.multilingual.diffing.tables import text_report

    set_threads(args)
    corpus = load_corpus(args, args.languages)
    with model_output(args.quiet):
        base = _opened(args, args.base, args.model)
        tuned = _opened(args, args.tuned or args.base, args.tuned_model)
        controls: list[Any] = [
            tuple(_opened(args, folder) for folder in folders)
            if len(folders) == 2
            else _opened(args, folders[0])
            for folders in args.seed_control
        ]
        controls += [_opened(args, args.base, model) for model in args.control_model]
        found = diff_models(
            base, tuned, corpus,
            controls=controls, correspondence=args.correspondence, prompts=args.prompts,
            prompt_tokens=args.prompt_tokens, min_firings=args.min_firings,
            null_share=args.null_share, seed=args.seed, progress=not args.quiet,
        )  # fmt: skip
    second = (
        transcoder_name(args.tuned) if args.tuned is not None else display_name(args.tuned_model)
    )
    folder = args.output or RESULTS_FOLDER / folder_name("diff", transcoder_name(args.base), second)
    with made_folder(folder, "-o"):
        written = [folder / DIFF_FILE]
        found.to_json(written[0])
        written += write_figures(folder, lambda: _figures(found))
        written += write_page(folder / "diff.html", lambda: diff_page(found))
    if args.json:
        emit(json.dumps(found.to_dict(), ensure_ascii=False, indent=1) + "\n")
        return 0
    emit(text_report(found) + "\n" + "".join(f"{path}\n" for path in written))
    return 0


def _opened(args: argparse.Namespace, folder: str, model: str | None = None) -> Opened:
    from ilo_fast.transcoders.files.opening import open_transcoder

    return open_transcoder(
        folder,
        model=model,
        allow_other_weights=model is not None,
        device=args.device,
        dtype=args.dtype,
        revision=args.revision if folder == args.base and model == args.model else None,
        trust_remote_code=args.trust_remote_code,
    )


def _figures(found: Any) -> dict[str, Figure]:
    """Those that can be drawn."""
    drawn = {}
    for by in ("layer", "language"):
        try:
            drawn[f"diff_{by}"] = found.plot(by)
        except ValueError as error:  # dead transcoders
            logger.warning("no figure by %s: %s", by, error)
    return drawn


def _count(text: str) -> int:
    return 0 if text.strip() == "0" else flags.positive_int(text)
