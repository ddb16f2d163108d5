"""The blocks among the modules that ran in a trial pass.

A block is what turns ``hidden_states[h]`` into ``hidden_states[h + 1]``, so the lists of layers are
compared with the model's own hidden states. Only a model that returns none is judged by the shape
of its lists alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ilo_fast.models.trial import State, Trial


@dataclass(frozen=True)
class Blocks:
    """The blocks of a model.

    Attributes
    ----------
    entries
        Per distinct block, the module that takes the hidden states.
    modules
        Per distinct block, all of it: the entry itself, or a container of the entry and the modules
        beside it (XLM keeps attentions, norms and feed-forwards in lists of their own).
    schedule
        One index into these per layer that runs.
    taken
        What the first of them took.
    last_end
        Number of modules that had started when the last of them ended.
    confirmed
        Whether what they take are the model's own hidden states; None where it returns none.
    """

    entries: tuple[nn.Module, ...]
    modules: tuple[nn.Module, ...]
    schedule: tuple[int, ...]
    taken: State
    last_end: int
    confirmed: bool | None


@dataclass(frozen=True)
class _Candidate:
    """A list of modules and its runs, as positions in ``Trial.started``."""

    path: str
    members: Sequence[nn.Module]
    runs: list[int]


def choose_blocks(backbone: nn.Module, trial: Trial) -> Blocks:
    """The list of layers whose inputs are the model's hidden states.

    Raises
    ------
    ValueError
        No list of layers runs in order; names the lists that were seen.
    """
    candidates = _candidates(backbone, trial)
    confirmed: bool | None = None
    chosen = None
    if trial.states is not None:
        matching = [c for c in candidates if _follows([trial.taken[r] for r in c.runs], trial)]
        # The outermost comes first: a layer may be a list of parts of its own.
        chosen = matching[0] if matching else _across_lists(candidates, trial)
        confirmed = chosen is not None
    if chosen is None:
        chosen = _by_order(backbone, candidates, trial)
    ran = [trial.started[r] for r in chosen.runs]
    entries = list(dict.fromkeys(ran))
    beside = _beside(backbone, chosen, entries, candidates)
    modules = [
        nn.ModuleList([e, *more]) if more else e for e, more in zip(entries, beside, strict=True)
    ]
    inside = {id(m) for module in modules for m in module.modules()}
    first = trial.taken[chosen.runs[0]]
    assert first is not None
    if confirmed:
        # The sentences of the trial differ in their last token. Where the states do not, there are
        # others before them (virtual tokens of a prompt): the first states are not of its tokens.
        confirmed = not torch.equal(first.mark[0, -1], first.mark[1, -1])
    return Blocks(
        entries=tuple(entries),
        modules=tuple(modules),
        schedule=tuple(entries.index(module) for module in ran),
        taken=first,
        last_end=max(position for position, module in trial.ended if id(module) in inside),
        confirmed=confirmed,
    )


def _candidates(backbone: nn.Module, trial: Trial) -> list[_Candidate]:
    found = []
    position: dict[int, list[int]] = {}
    for i, module in enumerate(trial.started):
        position.setdefault(id(module), []).append(i)
    for path, module in backbone.named_modules():
        if isinstance(module, (nn.ModuleList, nn.Sequential, nn.ModuleDict)):
            members = list(module.children())
            runs = sorted(r for m in set(members) for r in position.get(id(m), []))
            if runs:
                found.append(_Candidate(path, members, runs))
    return found


def _follows(taken: Sequence[State | None], trial: Trial) -> bool:
    """Whether the runs took one hidden state after the other, from the first on.

    Some models leave the embeddings out of theirs (Mamba): then the second run took the first. At
    the end there may be one more, or two where the last is given before and after its norm.
    """
    states = trial.states or []
    for skipped in (0, 1):
        pairs = list(zip(taken[skipped:], states, strict=False))
        beyond = len(states) - (len(taken) - skipped)
        if (
            len(pairs) == len(taken) - skipped > 0
            and 0 <= beyond <= 1 + skipped
            and all(own is not None and own.same(state) for own, state in pairs)
        ):
            return taken[0] is not None
    return False


def _across_lists(candidates: Sequence[_Candidate], trial: Trial) -> _Candidate | None:
    """One member of any list per hidden state, where the layers are in several lists."""
    states = trial.states or []
    members = sorted({r for candidate in candidates for r in candidate.runs})
    runs: list[int] = []
    for state in states[:-1]:
        ahead = [r for r in members if not runs or r > runs[-1]]
        found = next((r for r in ahead if (own := trial.taken[r]) and own.same(state)), None)
        if found is None:
            return None
        runs.append(found)
    chosen = set(runs)
    # A list that gave some of its members and ran others too is not understood.
    partly = any(chosen & set(c.runs) and not chosen >= set(c.runs) for c in candidates)
    return None if partly or not runs else _Candidate("", [trial.started[r] for r in runs], runs)


def _by_order(backbone: nn.Module, candidates: Sequence[_Candidate], trial: Trial) -> _Candidate:
    """The list whose members ran in ascending order.

    Of several, the outermost wins (the experts of a layer are a list too, often longer than the
    list of layers), then the one with the most runs.
    """
    found: list[_Candidate] = []
    for candidate in candidates:
        if any(candidate.path.startswith(f"{outer.path}.") for outer in found):
            continue
        index = {id(member): i for i, member in enumerate(candidate.members)}
        order = [index[id(trial.started[r])] for r in candidate.runs]
        takes_states = all(trial.taken[r] is not None for r in candidate.runs)
        if takes_states and order == sorted(order) and _alike(candidate.members):
            found.append(candidate)
    if not found:
        seen = [
            f"{c.path or '(root)'}: {len(c.members)} x {type(c.members[0]).__name__}, "
            f"{len(c.runs)} runs"
            for c in candidates
        ]
        raise ValueError(
            f"no list of layers runs in order in {type(backbone).__name__}; lists seen: "
            f"{'; '.join(seen) or 'none'}"
        )
    return max(found, key=lambda candidate: len(candidate.runs))


def _alike(modules: Sequence[nn.Module]) -> bool:
    """Whether the members share a class besides Module (a hybrid's layer types share a base)."""
    shared = set(type(modules[0]).__mro__)
    for module in modules:
        shared &= set(type(module).__mro__)
    return bool(shared - set(nn.Module.__mro__))


def _beside(
    backbone: nn.Module,
    chosen: _Candidate,
    entries: Sequence[nn.Module],
    candidates: Sequence[_Candidate],
) -> list[list[nn.Module]]:
    """Per block, the members of parallel lists that run between its entry and the next."""
    beside: list[list[nn.Module]] = [[] for _ in entries]
    if len(chosen.runs) != len(entries) or not chosen.path:
        return beside
    parent = chosen.path.rpartition(".")[0]
    bounds = [*chosen.runs, None]
    for other in candidates:
        if other is chosen or other.path.rpartition(".")[0] != parent:
            continue
        if len(other.members) != len(entries) or len(other.runs) != len(entries):
            continue
        between = [
            bounds[i] < run and ((end := bounds[i + 1]) is None or run < end)  # type: ignore[operator]
            for i, run in enumerate(other.runs)
        ]
        if all(between):
            for i, member in enumerate(other.members):
                beside[i].append(member)
    return beside
