"""Any layer and pooling of any Hugging Face model as an encoder of MTEB."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import choice
from ilo_fast.corpora.languages import candidates
from ilo_fast.corpora.lines import is_blank
from ilo_fast.models.folders import display_name
from ilo_fast.models.identity import hash_state
from ilo_fast.models.source import ModelSource
from ilo_fast.representations.extraction import extract, resolve_layers
from ilo_fast.representations.poolings import POOLINGS
from ilo_fast.training.identity import tokenizer_hash

logger = logging.getLogger(__name__)

_BLANK = "."  # stands for a text without a visible character, of which no token would be left


class LayerEncoder(AbsEncoder):  # type: ignore[misc]
    """A layer of a model, pooled over tokens, as :func:`~ilo_fast.extract` gives it.

    Layer and pooling, and what else is not the default, stand in ``experiment_kwargs``: MTEB then
    keeps results and embeddings of each apart. No prompt is put before the text.

    Parameters
    ----------
    model
        A Hub name, a folder, ``"demo"``, or a loaded module.
    layer
        As :func:`~ilo_fast.extract`; -1 is the last.
    pooling, special_tokens, max_length, batch_tokens, tokenizer, tokenizer_languages
        As there.
    device, dtype, revision, trust_remote_code
        As there.
    name
        ``"organisation/model"``, what MTEB calls the model; None: its Hub name, else
        ``"local/<folder>"``.

    Attributes
    ----------
    layer : int
        Counted from 0, the embedding output.
    mteb_model_meta : mteb.ModelMeta
        The revision is the Hub's commit, else a hash of the weights: a folder that is trained on
        is another model.

    Raises
    ------
    AccessError, ValueError, TypeError
        As :func:`~ilo_fast.extract`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | nn.Module,
        *,
        layer: int,
        pooling: str = "mean",
        special_tokens: str = "include",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        tokenizer: Any = None,
        tokenizer_languages: Mapping[str, str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        name: str | None = None,
    ) -> None:
        choice("pooling", pooling, POOLINGS)
        choice("special_tokens", special_tokens, ("include", "exclude"))
        if name is not None and "/" not in name:
            raise ValueError(f"name={name!r} must be 'organisation/model'")
        source = ModelSource.open(
            model,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        parts = source.load()
        (self.layer,) = resolve_layers(layer, parts.n_blocks)
        self.model = parts.backbone
        self.tokenizer = source.tokenizer
        self._options: dict[str, Any] = {
            "layers": self.layer,
            "pooling": pooling,
            "special_tokens": special_tokens,
            "max_length": max_length,
            "batch_tokens": batch_tokens,
            "tokenizer_languages": tokenizer_languages,
        }
        self._verified = False
        commit = None if source.files is None else source.files.revision
        info = source.info()
        experiment: dict[str, Any] = {"layer": self.layer, "pooling": pooling}
        for option, value, usual in (
            ("special_tokens", special_tokens, "include"),
            ("max_length", max_length, None),
            ("dtype", info.dtype, "float32"),
            ("tokenizer_languages", tokenizer_languages, None),
            ("tokenizer", None if tokenizer is None else tokenizer_hash(source.tokenizer), None),
        ):
            if value != usual:
                experiment[option] = value
        self.mteb_model_meta = ModelMeta.create_empty(
            overwrites={
                "name": name or _model_name(source.name, on_hub=commit is not None),
                "revision": commit or hash_state(parts.backbone)[:40],
                "embed_dim": parts.dim,
                "n_parameters": sum(p.numel() for p in parts.backbone.parameters()),
                "max_tokens": info.position_limit,
                "framework": ["PyTorch"],
                "experiment_kwargs": experiment,
            }
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> NDArray[np.float32]:
        """Vectors of all texts, float32, shape (texts, dim).

        Parameters
        ----------
        inputs
            Batches with a list of texts under ``"text"``.
        hf_subset
            The language, for tokenizers that mark it; a subset that names none is passed on as it
            is.

        Raises
        ------
        CorpusError, ValueError, FloatingPointError
            As :func:`~ilo_fast.extract`.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        blank = sum(map(is_blank, texts))
        if blank:
            logger.warning("%d blank texts are represented as %r", blank, _BLANK)
            texts = [_BLANK if is_blank(text) else text for text in texts]
        meant = candidates(hf_subset)
        code = meant[0] if len(meant) == 1 else "text"
        found = extract(
            self.model,
            {code: texts},
            tokenizer=self.tokenizer,
            verify=not self._verified,  # once for a model: it stays as it is
            **self._options,
        )
        self._verified = True
        rows: NDArray[np.float32] = found[code][0]
        return rows


def _model_name(name: str, *, on_hub: bool) -> str:
    """``organisation/model``, as MTEB wants it."""
    if on_hub:
        return name if "/" in name else f"hub/{name}"
    return "local/" + display_name(name).replace("/", "-").replace(" ", "-")
