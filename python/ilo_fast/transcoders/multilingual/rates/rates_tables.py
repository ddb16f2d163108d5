"""Rates and the split by script as tables, columns explained."""

from __future__ import annotations

from ilo_fast.report.columns import p_value
from ilo_fast.report.text_table import Table
from ilo_fast.transcoders.multilingual.rates.rates_result import LanguageRates
from ilo_fast.transcoders.multilingual.rates.scripts import ScriptSplit


def rates_table(found: LanguageRates) -> Table:
    """Over how many languages the features of each layer spread."""
    rows = []
    for row in found.layer_summary():
        spread, quantiles = "-", "-"
        if row["effective_languages"] is not None:
            spread = f"{row['effective_languages']:.2f}"
            if row["low"] is not None:
                spread += f" [{row['low']:.2f}, {row['high']:.2f}]"
            quantiles = f"{row['q10']:.1f} {row['q50']:.1f} {row['q90']:.1f}"
        null_p = "-" if row["null_p"] is None else p_value(row["null_p"])
        shares = (_share(row[name]) for name in ("differs", "specific", "dominated", "null_95"))
        rows.append([str(row["layer"]), str(row["tested"]), spread, quantiles, *shares, null_p])
    return Table(
        ["layer", "tested", "effective languages", "10 50 90 %", "differ", "specific", "by rule",
         "chance", "p"],
        rows,
        f"tested: features with {found.min_firings} firings or more; effective languages: 2 to "
        "the entropy of a feature's rates, 1: one language, "
        f"{len(found.languages)}: all alike; mean weighted by rates, {found.confidence:.0%} "
        "interval over documents, then the features at 10, 50 and 90 % of the weight. Of the "
        "tested, differ: rates differ between languages, all features considered; specific: and "
        "half or more of the rates in one language, less than a tenth in each other; by rule: the "
        f"latter alone; chance: the same with labels permuted {found.permuted}, 95 % of "
        f"{found.n_permutations} permutations are below; p: of the share by rule.",
        (),
    )  # fmt: skip


def script_table(found: ScriptSplit) -> Table:
    """How much of selectivity lies between scripts."""
    rows = [
        [str(row["layer"]), _bits(row["between"]), _bits(row["within"]),
         _share(row["share_between"])]
        for row in found.layer_summary()
    ]  # fmt: skip
    alone = [
        code
        for code, script in zip(found.languages, found.script_of_language, strict=True)
        if found.script_of_language.count(script) == 1
    ]
    beside = (
        f" Alone in their script, so that this cannot tell language from script: "
        f"{', '.join(alone)}; romanised text can (see the page on features and languages)."
        if alone
        else ""
    )
    return Table(
        ["layer", "between scripts", "within scripts", "share between"],
        rows,
        "Mean over tested features of log2(languages) less the entropy of rates, in bits (0: all "
        "languages alike), divided into what lies between the scripts "
        f"{', '.join(found.scripts)} and within them. No intervals; few firings make both too "
        f"large.{beside}",
        (),
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _bits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
