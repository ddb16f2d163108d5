"""Overlap beside the ordinary tasks of lm-evaluation-harness (needs ``ilo_fast[lm-eval]``).

Importing this adds one method, ``ilo_fast_sentence_states``, to ``lm_eval.api.model.LM``: a kind of
request is a method of the model there, and there is no registry of such kinds.
"""

from __future__ import annotations

from ilo_fast._util.optional import require

require("lm_eval", "lm-eval", at_least="0.4.13", below="0.5")
require("accelerate", "lm-eval")  # of lm_eval's own extra "hf", as is peft
require("peft", "lm-eval")

from ilo_fast.integrations.lm_eval.task import OverlapTask as OverlapTask  # noqa: E402

__all__ = ["OverlapTask"]
