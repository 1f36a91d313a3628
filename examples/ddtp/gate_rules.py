"""The gates as pure functions: result cells and a model card in, a verdict with its numbers out.

A gate says whether this backbone can tell what hangs on it. `passed` is None where something that
it needs was not run and nothing that was run fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gate_cells import Cell, Row, average, find

SUPERVISED_MARGIN = 3.0  # ROUGE-L above LEAD-1
ABOVE_CHANCE = 10.0  # "far above chance": the interval's lower end is that many times chance
RIGHT_LANGUAGE = 95.0  # per cent of the reconstructions
WRONG_LANGUAGE_POINTS = 5.0  # below the references' own share
LENGTH_RATIO = 1.5
SCALINGS = ("scaled", "projection")


@dataclass(frozen=True)
class Gate:
    """A verdict of `gates.json`."""

    name: str
    title: str
    passed: bool | None
    detail: str
    hangs: str

    def as_json(self) -> dict[str, Any]:
        """The gate as it is written."""
        return asdict(self)


def together(parts: Iterable[bool | None]) -> bool | None:
    """All of them: False if one is, else None if one was not run."""
    found = list(parts)
    if False in found:
        return False
    return None if None in found or not found else True


def supervised(cells: Sequence[Cell], langs: Sequence[str]) -> Gate:
    """Gate 1: on human pairs, full tuning beats LEAD-1 by 3 ROUGE-L, intervals apart.

    Args:
        cells: of the experiment.
        langs: the languages that have human pairs.
    """
    passed: list[bool | None] = []
    said = []
    for lang in langs:
        row = average(find(cells, lang, setting="supervised", variant="main"))
        if row is None:
            passed.append(None)
            said.append(f"{lang}: not run")
            continue
        apart = row.low > row.lead_high
        passed.append(row.margin[0] >= SUPERVISED_MARGIN and apart)
        said.append(
            f"{lang}: ROUGE-L {interval(row.f, row.low, row.high)} against LEAD-1 "
            f"{interval(row.lead, row.lead_low, row.lead_high)}, {row.margin[0]:+.1f}, intervals "
            f"{'apart' if apart else 'overlap'}"
        )
    return Gate(
        "supervised",
        f"Trained on human pairs, full tuning beats LEAD-1 by {SUPERVISED_MARGIN:g} ROUGE-L",
        together(passed),
        "; ".join(said),
        "this backbone is too weak to tell how good a method's headlines are: where training on "
        "human pairs does not beat the first sentence, differences between zero-shot rows do not "
        "show quality",
    )


def binomial_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share, 0 to 1."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return low, high


def retrieval(pairs: Mapping[str, Any]) -> Gate:
    """Gate 2: a translation is found far above chance, raw and after removal (both scalings).

    Args:
        pairs: `retrieval` of the JSON that `examples/mini/evaluate.py` writes.
    """
    passed: list[bool | None] = []
    said = []
    for pair, found in pairs.items():
        removed = found.get("after_removal", {})
        kinds = {"raw": found["encoder"], **{scaling: removed.get(scaling) for scaling in SCALINGS}}
        for kind, numbers in kinds.items():
            name = kind if kind == "raw" else f"after removal, {kind}"
            if numbers is None:
                passed.append(None)
                said.append(f"{pair}, {name}: not run")
                continue
            low, high = {}, {}
            for way in ("forward", "backward"):
                hits = round(numbers[way] * found["pairs"])
                low[way], high[way] = binomial_interval(hits, found["pairs"])
            passed.append(min(low.values()) >= ABOVE_CHANCE * numbers["chance"])
            shares = ", ".join(
                interval(100 * numbers[way], 100 * low[way], 100 * high[way]) for way in low
            )
            said.append(f"{pair}, {name}: {shares} % (chance {100 * numbers['chance']:.2f})")
    return Gate(
        "retrieval",
        "Descriptions find their translations, names left out, far above chance "
        f"(interval above {ABOVE_CHANCE:g} times chance in both directions), after removal too",
        together(passed),
        "; ".join(said),
        "this backbone is too weak to tell whether removal leaves what languages share: it must "
        "have something in common across them first, and still have it afterwards",
    )


def denoising(card: Mapping[str, Any]) -> Gate:
    """Gate 3: below the unigram filler's perplexity, and restored in the right language."""
    passed: list[bool | None] = []
    said = []
    for lang, found in card["denoising"].items():
        hidden, restored = found["hidden"], card["reconstruction"][lang]
        right = restored["right_language"]
        better = hidden["perplexity"] < hidden["unigram"]
        passed += [better, right is not None and right > RIGHT_LANGUAGE]
        said.append(
            f"{lang}: perplexity under masks {hidden['perplexity']:.0f}, unigram filler "
            f"{hidden['unigram']:.0f}, in the right language {share(right)}"
        )
    return Gate(
        "denoising",
        "Denoising beats a unigram filler, and texts are restored in their own language "
        f"(over {RIGHT_LANGUAGE:g} %), in each language",
        together(passed),
        "; ".join(said),
        "this backbone is too weak to tell anything about a language that it cannot write itself",
    )


def symptoms(row: Row, english: Row | None) -> tuple[list[str], bool]:
    """What fails in a zero-shot row, in words, and whether all could be looked at.

    Wrong language: the share is 5 points or more below the references' own. Lost quality: outputs
    over 1.5 times the references' length, or ROUGE-L above LEAD-1 lower than in English with
    intervals apart (the source language, where the same model was trained on pairs).
    """
    found = []
    known = row.right is not None and row.reference_right is not None
    right, reference = row.right or 0.0, row.reference_right or 0.0
    if known and right <= reference - WRONG_LANGUAGE_POINTS:
        found.append("wrong language")
    if row.length is not None and row.length > LENGTH_RATIO:
        found.append("too long")
    if english is not None and row.margin[2] < english.margin[1]:
        found.append("lost quality")
    return found, known and english is not None and row.length is not None


def failure(cells: Sequence[Cell], targets: Sequence[str]) -> Gate:
    """Gate 4: zero-shot `mbart_full`, the better of with and without stage 1, fails somehow."""
    english = average(find(cells, "en_XX", setting="supervised", variant="main"))
    passed: list[bool | None] = []
    said = []
    for lang in targets:
        rows = {
            variant: average(find(cells, lang, setting="zero-shot", variant=variant))
            for variant in ("main", "stage1")
        }
        run = {variant: row for variant, row in rows.items() if row is not None}
        if not run:
            passed.append(None)
            said.append(f"{lang}: not run")
            continue
        variant, row = max(run.items(), key=lambda item: item[1].f)
        found, complete = symptoms(row, english)
        both = len(run) == len(rows)
        passed.append(bool(found) if both and (found or complete) else None)
        said.append(_failure_words(lang, variant, row, english, found))
        if not both:
            said[-1] += " (the other of main and stage1 was not run)"
    return Gate(
        "failure",
        "Fully tuned mBART shows the failure that LAFT is to mend, in each target language",
        together(passed),
        "; ".join(said),
        "this backbone is too weak to tell whether LAFT mends the failure: in a language where it "
        "does not show, there is nothing to mend",
    )


def _failure_words(lang: str, variant: str, row: Row, english: Row | None,
                   found: Sequence[str]) -> str:  # fmt: skip
    length = "-" if row.length is None else f"{row.length:.2f}"
    source = "English not run" if english is None else f"English {interval(*english.margin)}"
    return (
        f"{lang}, {variant}: {' and '.join(found) or 'no failure'}; right language "
        f"{share(row.right)} (references {share(row.reference_right)}), length ratio {length}, "
        f"ROUGE-L above LEAD-1 {interval(*row.margin)}, {source}"
    )


def interval(value: float, low: float, high: float) -> str:
    """``21.3 [19.8, 22.9]``."""
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def share(percent: float | None) -> str:
    """A share, or that it cannot be said."""
    return "undecidable" if percent is None else f"{percent:.1f} %"
