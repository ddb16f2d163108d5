"""``ilo-fast completion``: what a shell needs to complete commands and flags."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.parser import Commands, Parser


@dataclass(frozen=True)
class Completions:
    """What may stand behind a command.

    Attributes
    ----------
    flags : tuple of str
    choices : dict
        Flag -> its values, where these are few and known.
    words : tuple of str
        Values of what stands without a flag, where these are few and known.
    """

    flags: tuple[str, ...]
    choices: Mapping[str, tuple[str, ...]]
    words: tuple[str, ...] = ()


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "completion",
        "print what a shell needs to complete commands and flags",
        lambda args: run(args, commands),
        description="Print a script that teaches a shell commands, flags and values. bash: save it "
        "as ~/.local/share/bash-completion/completions/ilo-fast; zsh: as _ilo-fast in a folder "
        "of $fpath; fish: as ~/.config/fish/completions/ilo-fast.fish.",
        examples=(
            "ilo-fast completion bash",
            "ilo-fast completion zsh",
            "ilo-fast completion fish",
        ),
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish")


def run(args: argparse.Namespace, commands: Commands) -> int:
    known = {name: completions(parser) for name, parser in commands.choices.items()}
    emit({"bash": bash, "zsh": zsh, "fish": fish}[args.shell](known))
    return 0


def completions(parser: Parser) -> Completions:
    """Read off the usage, which argparse makes of flags and their choices."""
    usage = re.sub(r"\s+", " ", parser.format_usage())
    long = dict.fromkeys(flag for flag in parser.flags() if flag.startswith("--"))
    short = dict.fromkeys(flag for flag in parser.flags() if not flag.startswith("--"))
    choices = {
        flag: tuple(values.split(","))
        for flag, values in re.findall(r"(--[\w-]+) \{([^}]*)\}", usage)
    }
    word = re.search(r" ([a-z]+(?:\|[a-z]+)+)$", usage.strip())
    return Completions((*long, *short), choices, tuple(word[1].split("|")) if word else ())


def bash(known: Mapping[str, Completions]) -> str:
    """A completion function and the line that registers it; files where nothing else fits."""
    commands, values = [], []
    for name, found in known.items():
        for flag, choices in found.choices.items():
            values.append(f'    "{name} {flag}") words="{" ".join(choices)}" ;;')
        commands.append(
            f'    {name}) flags="{" ".join(found.flags)}"; words="{" ".join(found.words)}" ;;'
        )
    return f"""\
# bash completion of ilo-fast; written by `ilo-fast completion bash`
_ilo_fast() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
  local command="${{COMP_WORDS[1]}}" flags="" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(known)} --help --version" -- "$current"))
    return
  fi
  case "$command $previous" in
{chr(10).join(values)}
  esac
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$command" in
{chr(10).join(commands)}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current")) ;;
  esac
}}
complete -o filenames -F _ilo_fast ilo-fast
"""


def zsh(known: Mapping[str, Completions]) -> str:
    """zsh runs the function of bash."""
    return f"#compdef ilo-fast\nautoload -U +X bashcompinit && bashcompinit\n{bash(known)}"


def fish(known: Mapping[str, Completions]) -> str:
    """One line for each command, flag and list of values."""
    lines = ["# fish completion of ilo-fast; written by `ilo-fast completion fish`"]
    for name, found in known.items():
        lines.append(f"complete -c ilo-fast -n __fish_use_subcommand -f -a {name}")
        inside = f"complete -c ilo-fast -n '__fish_seen_subcommand_from {name}'"
        for flag in found.flags:
            kind = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            values = found.choices.get(flag)
            lines.append(f"{inside} {kind}" + (f" -x -a '{' '.join(values)}'" if values else ""))
        if found.words:
            lines.append(f"{inside} -f -a '{' '.join(found.words)}'")
    return "\n".join(lines) + "\n"
