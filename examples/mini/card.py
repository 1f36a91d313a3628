"""The numbers of a small backbone's model card as Markdown, and the gates read off them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

RIGHT_LANGUAGE = 95.0  # per cent of the reconstructions
ABOVE_CHANCE = 10.0  # "far above chance": that many times chance, in both directions
SHOWN = 160  # characters of a sample


def gates(card: dict[str, Any]) -> dict[str, bool]:
    """What has to hold before a table made with this backbone says anything."""
    hidden = [found["hidden"] for found in card["denoising"].values()]
    right = [found["right_language"] for found in card["reconstruction"].values()]
    found = [pair["encoder"] for pair in card["retrieval"].values()]
    return {
        "denoising_beats_unigram": all(h["perplexity"] < h["unigram"] for h in hidden),
        "right_language": all(share is not None and share > RIGHT_LANGUAGE for share in right),
        "retrieval_above_chance": all(
            min(r["forward"], r["backward"]) >= ABOVE_CHANCE * r["chance"] for r in found
        ),
    }


def markdown(card: dict[str, Any]) -> str:
    """The whole block."""
    parts = (
        _denoising(card),
        _reconstruction(card),
        retrieval(card),
        _gates(card),
        _samples(card),
    )
    return "\n\n".join("\n".join(part) for part in parts)


def _denoising(card: dict[str, Any]) -> Iterable[str]:
    noise = card["noise"]
    yield "### Held-out denoising"
    yield (
        f"Perplexity of a token, natural, `</s>` counted and the language's tag not; "
        f"{100 * noise['mask']:g} % of the words masked in spans of Poisson "
        f"{noise['poisson_lambda']:g}, fixed noise, seed {card['seed']}. "
        "*Hidden* tokens are those under a mask: the others can be copied. The unigram filler "
        "gives each token its share of the training text, add-one smoothed.\n"
    )
    columns = ("language", "texts", "tokens", "perplexity", "unigram", "hidden tokens",
               "perplexity of hidden", "unigram of hidden")  # fmt: skip
    rows = []
    for tag, found in card["denoising"].items():
        row = [tag, str(found["texts"])]
        for part in (found["all"], found["hidden"]):
            row += [str(part["tokens"]), f"{part['perplexity']:.2f}", f"{part['unigram']:.1f}"]
        rows.append(row)
    yield from _table(columns, rows)


def _reconstruction(card: dict[str, Any]) -> Iterable[str]:
    tags = ", ".join(card["langs"])
    yield "### Reconstruction"
    yield (
        f"The noised texts, restored with beam {card['beam']}. The language is identified among "
        f"{tags}, as a share of the decidable texts; ROUGE-L against the original, beside that of "
        "the noised text with its masks left out.\n"
    )
    columns = ("language", "texts", "right language", "originals", "undecidable (originals)",
               "ROUGE-L", "ROUGE-L of what was visible")  # fmt: skip
    rows = [
        [tag, str(found["texts"]), _share(found["right_language"]),
         _share(found["right_language_originals"]),
         f"{_share(found['undecidable'])} ({_share(found['undecidable_originals'])})",
         f"{found['rougeL']:.1f}", f"{found['rougeL_visible']:.1f}"]
        for tag, found in card["reconstruction"].items()
    ]  # fmt: skip
    yield from _table(columns, rows)


def retrieval(card: dict[str, Any]) -> Iterable[str]:
    """Its part of the block."""
    yield "### Parallel retrieval"
    yield (
        "Debian's package descriptions, parallel; words of Latin letters and digits that stand in "
        "both texts of a pair (names, commands) are left out of both. Mean encoder output over "
        "the text's tokens, cosine; `centred` takes each language's mean off first. *Surface* is "
        "the same with counts of pieces in place of the encoder: what punctuation and pieces in "
        "common give away. After removal, where components were given, is not centred. Per cent, "
        "in both directions.\n"
    )
    columns = ["pair", "texts", "words left out", "chance", "encoder", "encoder, centred",
               "surface", "surface, centred"]  # fmt: skip
    removed = [pair.get("after_removal", {}) for pair in card["retrieval"].values()]
    scalings = list(dict.fromkeys(scaling for pair in removed for scaling in pair))
    columns += [f"after removal, {scaling}" for scaling in scalings]
    rows = []
    for pair, found in card["retrieval"].items():
        first, second = found["left_out"].values()
        row = [pair, str(found["pairs"]), f"{_share(100 * first)}, {_share(100 * second)}"]
        row.append(f"{100 * found['encoder']['chance']:.2f}")
        kinds = ("encoder", "encoder_centred", "surface", "surface_centred")
        shown = [found[kind] for kind in kinds]
        shown += [found["after_removal"][scaling] for scaling in scalings]
        row += [f"{100 * one['forward']:.1f}, {100 * one['backward']:.1f}" for one in shown]
        rows.append(row)
    yield from _table(columns, rows)


def _gates(card: dict[str, Any]) -> Iterable[str]:
    words = {
        "denoising_beats_unigram": "hidden tokens: below the unigram filler in each language",
        "right_language": f"reconstruction: over {RIGHT_LANGUAGE:g} % in each right language",
        "retrieval_above_chance": f"retrieval, not centred: {ABOVE_CHANCE:g} times chance or more",
    }
    yield "### Gates"
    for gate, passed in card["gates"].items():
        yield f"- {'passed' if passed else '**failed**'}: {words[gate]}"


def _samples(card: dict[str, Any]) -> Iterable[str]:
    yield "### Samples"
    for tag, found in card["reconstruction"].items():
        for sample in found["samples"]:
            lines = (f"{name}: {_cut(sample[name])}" for name in ("noised", "restored", "original"))
            yield "\n".join([f"- {tag}", *(f"  - {line}" for line in lines)])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _share(percent: float | None) -> str:
    return "–" if percent is None else f"{percent:.1f} %"


def _cut(text: str) -> str:
    """Short enough for a page; no mark-up of its own."""
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
    return f"`` {shown} ``"
