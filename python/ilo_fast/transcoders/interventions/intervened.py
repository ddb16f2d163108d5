"""`intervened`: features set, scaled or added to while a model runs; then the model is as it was.

The MLPs stay the model's own. Where a feature s of layer l writes into layer k, what the MLP of k
adds gets (wanted activation - current activation) * W_dec,s->k more; the current activation is what
the transcoder makes of what the MLP of l reads in the same pass.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal
from weakref import WeakSet

import torch
from torch import nn

from ilo_fast._util.checks import choice
from ilo_fast.models.forward import as_written, evaluating
from ilo_fast.transcoders.interventions.holding import Holding
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.interventions.places import TokenPlaces
from ilo_fast.transcoders.interventions.writing import Writing
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Frozen = Literal["attention", "all"]
FROZEN: Final = ("attention", "all")
_changed: Final[WeakSet[nn.Module]] = WeakSet()  # models within a block of `intervened`
_INPUTS: Final = ("inputs", "input_ids", "inputs_embeds")
# Ways of generation whose passes are not of the prompts as they stand.
_REFUSED: Final = {"prefill_chunk_size": (None,), "guidance_scale": (None, 1, 1.0)}


@contextlib.contextmanager
def intervened(
    model: nn.Module | ReplacementModel,
    transcoder: CrossLayerTranscoder | None,
    interventions: Intervention | Sequence[Intervention],
    *,
    frozen: Frozen | None = None,
) -> Iterator[ReplacementModel]:
    """Within the block, ``model(...)`` and ``model.generate(...)`` run with features changed.

    Batches, padding on either side (told by ``attention_mask``), caches, beams and sampling are as
    ever. When the block ends, also by an error or Ctrl-C, the model is as it was.

    Parameters
    ----------
    model
        A causal language model with its head; or a `ReplacementModel`, which spares finding its
        MLPs again.
    transcoder
        Of the model. None: that of the `ReplacementModel`.
    interventions
        Several on one feature act one after the other. Features of later layers see the stream
        that those of earlier ones changed.
    frozen
        What does not react. ``"attention"``: attention probabilities are those of the unchanged
        pass over the same input. ``"all"``: attention, norms, MLPs and all activations are, so that
        every later number changes in proportion to what is done (`LocalModel`); a soft cap of
        logits is held, too. Both for forward passes of whole prompts, at twice the time. None:
        everything reacts.

    Yields
    ------
    ReplacementModel
        Of the model and the transcoder.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be; the transcoder is of another shape; with ``frozen="all"``, the model
        is not affine even then. Within the block: a position that a prompt does not have, a mask
        or a way of generation that does not tell where tokens stand.
    """
    it = replacement_of(model, transcoder)
    given = checked_interventions(interventions, it.transcoder)
    if frozen is not None:
        choice("frozen", frozen, FROZEN)
    if it.model in _changed:
        raise ValueError(
            "model is within a block of intervened() already: put all interventions into one"
        )
    writing = Writing(it.transcoder, given, it.skip_positions)

    def check(begins: list[int], lengths: list[int]) -> None:
        for one in given:
            one.check_places(begins, lengths, it.skip_positions)

    places = TokenPlaces(it.model, it.parts, check)
    holding = None
    if frozen is not None:  # it may run the model, which nothing is to watch
        holding = Holding(it, writing, places, everything=frozen == "all")
    with contextlib.ExitStack() as stack:
        stack.enter_context(evaluating(it.transcoder))
        stack.enter_context(as_written(it.model))
        stack.enter_context(places.watching())
        if holding is None:
            stack.enter_context(_writing(it, writing, places))
        else:
            stack.enter_context(holding.watching())
            stack.enter_context(_instead(it.model, "forward", holding.forward))
        if callable(getattr(it.model, "generate", None)):
            generate = _generating(places, frozen)
            stack.enter_context(_instead(it.model, "generate", generate))
        _changed.add(it.model)
        stack.callback(_changed.discard, it.model)
        yield it


def replacement_of(
    model: nn.Module | ReplacementModel, transcoder: CrossLayerTranscoder | None
) -> ReplacementModel:
    """Of a model and its transcoder, or itself."""
    if isinstance(model, ReplacementModel):
        if transcoder is not None and transcoder is not model.transcoder:
            raise ValueError(
                "transcoder is another than that of the ReplacementModel: pass None, or the model"
            )
        return model
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module or a ReplacementModel, got {model!r}")
    if not isinstance(transcoder, CrossLayerTranscoder):
        raise TypeError(f"transcoder must be a CrossLayerTranscoder, got {transcoder!r}")
    if model in _changed:
        raise ValueError(
            "model is within a block of intervened() already: put all interventions into one"
        )
    return ReplacementModel(model, transcoder)


def checked_interventions(
    interventions: Intervention | Sequence[Intervention], transcoder: CrossLayerTranscoder
) -> tuple[Intervention, ...]:
    """Interventions of features that the transcoder has, as a tuple."""
    given: tuple[Any, ...]
    if isinstance(interventions, Intervention) or not hasattr(interventions, "__iter__"):
        given = (interventions,)
    else:
        given = tuple(interventions)
    for one in given:
        if not isinstance(one, Intervention):
            raise TypeError(f"interventions must be of Intervention, got {one!r}")
        one.check(transcoder)
    return given


@contextlib.contextmanager
def _writing(it: ReplacementModel, writing: Writing, places: TokenPlaces) -> Iterator[None]:
    def read(layer: int, x: torch.Tensor) -> None:
        writing.read(layer, x, places.now)

    def written(layer: int, y: torch.Tensor) -> torch.Tensor | None:
        return writing.added(layer, y) if writing.is_written(layer) else None

    with watched(it.sites, read, written):
        yield


@contextlib.contextmanager
def _instead(
    module: nn.Module, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Within the block, the module's method is another, made of the one that it is."""
    own = vars(module).get(name)
    method = getattr(module, name)
    setattr(module, name, functools.wraps(method)(wrapper(method)))
    try:
        yield
    finally:
        if own is None:
            delattr(module, name)
        else:  # accelerate's
            setattr(module, name, own)


def _generating(
    places: TokenPlaces, frozen: Frozen | None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrapper(method: Callable[..., Any]) -> Callable[..., Any]:
        def generate(*args: Any, **kwargs: Any) -> Any:
            if frozen is not None:
                raise ValueError(
                    f"frozen={frozen!r} is for forward passes of whole prompts, and generate() "
                    "goes on from them: leave frozen out to generate"
                )
            config = kwargs.get("generation_config")
            if config is None:
                config = getattr(getattr(method, "__self__", None), "generation_config", None)
            for name, allowed in _REFUSED.items():
                value = kwargs.get(name, getattr(config, name, None))
                if value not in allowed:
                    raise ValueError(
                        f"{name}={value!r}: its passes do not tell where tokens stand, which "
                        f"interventions must know; leave {name} out"
                    )
            named = (kwargs[name] for name in _INPUTS if kwargs.get(name) is not None)
            prompts = args[0] if args and args[0] is not None else next(named, None)
            with places.generating(1 if prompts is None else len(prompts)):
                return method(*args, **kwargs)

        return generate

    return wrapper
