"""Read what fairseq-generate (or fairseq-interactive) printed, in the order of the ids.

Lines that count: `S-id\\tsource`, `T-id\\ttarget`, `H-id\\tscore\\tpieces`, `D-id\\tscore\\ttext`;
anything else is passed over. fairseq prints items by length, so ids come shuffled; with
`--nbest n` an item has n H- and D- lines, of which the first is the best.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.files import lines

_RECORD = regex.compile(r"([STHDP])-(\d+)\t(.*)", flags=regex.DOTALL)
_WORD_START = "▁"
_BYTES = regex.compile(r"(?:<0x[0-9A-F]{2}>)+")
_TAG = r"\[[a-z]{2,3}_[A-Z][A-Za-z]{1,3}\]"
_LANGUAGE_TAG = regex.compile(rf"^{_TAG}\s*|\s*{_TAG}$")


@dataclass(frozen=True)
class GenerateLog:
    """What a log holds, in the order of the ids 0 to n-1."""

    hypotheses: list[str]
    references: list[str] | None  # the T- lines without language tags; None where there are none
    sources: list[str] | None  # the S- lines, likewise
    # The tags that a line of the targets, or else of the sources, begins or ends with, if each of
    # its kind has one: {fr_XX}; of a text that begins with one, both.
    languages: frozenset[frozenset[str]] = frozenset()


@dataclass
class _Records:
    """The first line of each kind and id."""

    by_kind: dict[str, dict[int, str]] = field(default_factory=lambda: {k: {} for k in "STHD"})
    tags: dict[str, set[frozenset[str]]] = field(default_factory=lambda: {"S": set(), "T": set()})

    def add(self, kind: str, item: int, text: str) -> None:
        if kind in self.by_kind:
            self.by_kind[kind].setdefault(item, text)
        if kind in self.tags:
            ends = (tag.strip().strip("[]") for tag in _LANGUAGE_TAG.findall(text))
            self.tags[kind].add(frozenset(ends))


def read_generate_log(path: Path) -> GenerateLog:
    """Read a log; hypotheses are its D- lines, or its H- lines with their subwords joined.

    The logs of a generation in parts may be concatenated first, whatever their order.

    Raises:
        LaftError: the file is unreadable, there is no hypothesis, or an item stands there twice or
            is missing.
    """
    records = _collect(path)
    by_kind = records.by_kind
    hypotheses = by_kind["D"] or by_kind["H"]
    if not hypotheses:
        raise LaftError(
            f"{path}: no H- or D- line: give the output of fairseq-generate, run without --quiet"
        )
    expected = max(max(ids) for ids in by_kind.values() if ids) + 1
    _check_complete(path, "hypothesis (H- or D- line)", hypotheses, expected)
    inputs: dict[str, list[str] | None] = {"S": None, "T": None}
    for kind, name in (("S", "source (S- line)"), ("T", "target (T- line)")):
        if by_kind[kind]:
            _check_complete(path, name, by_kind[kind], expected)
            inputs[kind] = [_LANGUAGE_TAG.sub("", text) for text in _detokenise(by_kind[kind])]
    tags = next((tags for tags in map(records.tags.get, "TS") if tags and all(tags)), set())
    return GenerateLog(_detokenise(hypotheses), inputs["T"], inputs["S"], frozenset(tags))


def _collect(path: Path) -> _Records:
    records = _Records()
    finished: set[int] = set()
    current: int | None = None
    for line in lines(path):
        match = _RECORD.match(line)
        if match is None:
            continue
        kind, item, rest = match[1], int(match[2]), match[3]
        # The items of one run stand each in one block, so a second block is a second run.
        again = kind in "ST" and item in records.by_kind[kind]
        if item != current:
            if current is not None:
                finished.add(current)
            current = item
        if again or item in finished:
            raise LaftError(
                f"{path}: item {item} stands there twice: the log holds more than one run; "
                "generate again into a new file"
            )
        records.add(kind, item, rest.partition("\t")[2] if kind in "HD" else rest)
    return records


def _check_complete(path: Path, what: str, texts: Mapping[int, str], expected: int) -> None:
    missing = [item for item in range(expected) if item not in texts]
    if missing:
        some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise LaftError(
            f"{path}: no {what} for {len(missing)} of {expected} items (id {some}): the run "
            "was cut short or dropped items; generate again, whole, into a new file"
        )


def _detokenise(texts: Mapping[int, str]) -> list[str]:
    """Order by id; join sentencepiece pieces where the log was written without --bpe."""
    ordered = [texts[item] for item in sorted(texts)]
    if any(_WORD_START in text for text in ordered):
        ordered = [join_pieces(text) for text in ordered]
    return [text.strip() for text in ordered]


def join_pieces(text: str) -> str:
    """Join sentencepiece pieces: `▁Bon jour ▁vous` is `Bonjour vous`; bytes become characters."""
    joined = text.replace(" ", "")
    joined = _BYTES.sub(
        lambda run: bytes.fromhex(run[0].replace("<0x", "").replace(">", "")).decode(
            errors="replace"
        ),
        joined,
    )
    return joined.replace(_WORD_START, " ").strip()
