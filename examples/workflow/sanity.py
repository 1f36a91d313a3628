"""Sanity checks of a backbone: what has to hold before differences between systems mean anything.

    python sanity.py CHECKS.json --card CARD.json --retrieval RETRIEVAL.json

Two checks, by the JSON files that `examples/mini/evaluate.py` writes: retrieval and denoising. That
training on human pairs beats the first sentence, and that zero-shot training fails somehow, the
table shows by itself.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laft_fairseq.files import write_json

ABOVE_CHANCE = 10.0  # the interval's lower end is that many times chance
RIGHT_LANGUAGE = 95.0  # per cent of the reconstructions


def retrieval(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a translation is found far above chance, raw and after removal, both ways.

    By Clopper and Pearson's exact interval of the share.
    """
    from scipy.stats import binomtest

    passed, details = [], []
    for pair, measured in pairs.items():
        kinds = {"raw": measured["encoder"]} | {
            f"after removal, {kind}": measured["after_removal"][kind]
            for kind in ("scaled", "projection")
        }
        for kind, numbers in kinds.items():
            n, shares = measured["pairs"], []
            for way in ("forward", "backward"):
                low, high = binomtest(round(numbers[way] * n), n).proportion_ci()
                passed.append(low >= ABOVE_CHANCE * numbers["chance"])
                shares.append(f"{100 * numbers[way]:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            details.append(f"{pair}, {kind}: {', '.join(shares)} % (chance "
                        f"{100 * numbers['chance']:.2f})")  # fmt: skip
    return {
        "name": "retrieval", "passed": all(passed), "detail": "; ".join(details),
        "title": "Descriptions find their translations, names left out, far above chance (interval "
        f"above {ABOVE_CHANCE:g} times chance in both directions), after removal too",
        "hangs": "this backbone is too weak to tell whether removal leaves what languages share",
    }  # fmt: skip


def denoising(card: Mapping[str, Any]) -> dict[str, Any]:
    """Whether masked text is filled better than by word frequency, in the right language."""
    passed, details = [], []
    for lang, measured in card["denoising"].items():
        hidden, right = measured["hidden"], card["reconstruction"][lang]["right_language"]
        passed += [hidden["perplexity"] < hidden["unigram"], (right or 0.0) > RIGHT_LANGUAGE]
        share = "-" if right is None else f"{right:.1f} %"
        details.append(f"{lang}: perplexity under masks {hidden['perplexity']:.0f}, unigram filler "
                    f"{hidden['unigram']:.0f}, in the right language {share}")  # fmt: skip
    return {
        "name": "denoising", "passed": all(passed), "detail": "; ".join(details),
        "title": "Denoising beats a unigram filler, and texts are restored in their own language "
        f"(over {RIGHT_LANGUAGE:g} %), in each language",
        "hangs": "this backbone is too weak to tell anything about a language that it cannot write",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--retrieval", type=Path, required=True)
    given = parser.parse_args()
    card, pairs = (json.loads(path.read_text()) for path in (given.card, given.retrieval))
    checks = [retrieval(pairs["retrieval"]), denoising(card)]
    write_json(given.out, {"format": "laft-gates/1", "gates": checks})


if __name__ == "__main__":
    main()
