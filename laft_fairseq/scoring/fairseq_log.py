"""Read what fairseq-generate (or fairseq-interactive) printed, in the order of the ids.

Lines that count: `S-id\\tsource`, `T-id\\ttarget`, `H-id\\tscore\\tsubwords` and
`D-id\\tscore\\ttext`; anything else is passed over.
fairseq prints items by length, so ids come shuffled; with `--nbest n` an item has n H- and D-
lines, of which the first is the best.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.files import MAX_TEXT_BYTES, lines
from laft_fairseq.languages.byte_fallback import plain_text
from laft_fairseq.languages.tags import TAG

_RECORD = regex.compile(r"([STHDP])-(\d+)\t(.*)", flags=regex.DOTALL)
_WORD_START = "▁"
_LANGUAGE_TAG = regex.compile(rf"^\[{TAG}\]\s*|\s*\[{TAG}\]$")
_KINDS = {"H": "hypothesis (H- or D- line)", "S": "source (S- line)", "T": "target (T- line)"}

Records = dict[str, dict[int, str]]  # by kind of line and id


@dataclass(frozen=True)
class GenerateLog:
    """What a log holds, in the order of the ids 0 to n-1."""

    hypotheses: list[str]
    references: list[str] | None  # the T- lines without language tags; None where there are none
    sources: list[str] | None  # the S- lines, likewise
    # The tags that a line of the targets, or else of the sources, begins or ends with, if each of
    # its kind has one: {fr_XX}; of a line that begins with one, both.
    languages: frozenset[frozenset[str]] = frozenset()


def read_generate_log(path: Path) -> GenerateLog:
    """Read a log; hypotheses are its D- lines, or its H- lines with their subwords joined.

    Several logs of one generation may be concatenated first, whatever their order.

    Raises:
        LaftError: the file is unreadable, there is no hypothesis, or an item stands there twice or
            is missing.
    """
    records = _first_lines(path)
    hypotheses = records["D"] or records["H"]
    if not hypotheses:
        raise LaftError(
            f"{path}: no H- or D- line: give the output of fairseq-generate, run without --quiet"
        )
    expected = max(max(ids) for ids in records.values() if ids) + 1
    _check_complete(path, "H", hypotheses, expected)
    untagged: dict[str, list[str] | None] = {"S": None, "T": None}
    languages: set[frozenset[str]] = set()
    for kind in "ST":  # the targets' tags count where there are any
        if records[kind]:
            _check_complete(path, kind, records[kind], expected)
            tags = set(map(_tags, records[kind].values()))
            languages = tags if all(tags) else languages
            untagged[kind] = [_LANGUAGE_TAG.sub("", line) for line in _joined(records[kind])]
    return GenerateLog(_joined(hypotheses), untagged["T"], untagged["S"], frozenset(languages))


def _first_lines(path: Path) -> Records:
    """Return the first line of each kind and id, without its score."""
    records: Records = {kind: {} for kind in "STHD"}
    finished: set[int] = set()
    current: int | None = None
    for line in lines(path, max_bytes=MAX_TEXT_BYTES):
        match = _RECORD.match(line)
        if match is None:
            continue
        # The first digits of a number that is no item's are too many already.
        kind, item, rest = match[1], int(match[2][:18]), match[3]
        # The items of one run stand each in one block, so a second block is a second run.
        repeated = kind in "ST" and item in records[kind]
        if item != current:
            if current is not None:
                finished.add(current)
            current = item
        if repeated or item in finished:
            raise LaftError(
                f"{path}: item {item} stands there twice: the log holds more than one run; "
                "generate again into a new file"
            )
        if kind != "P":
            records[kind].setdefault(item, rest.partition("\t")[2] if kind in "HD" else rest)
    return records


def _tags(line: str) -> frozenset[str]:
    """Return the language tags that a line begins or ends with."""
    return frozenset(tag.strip().strip("[]") for tag in _LANGUAGE_TAG.findall(line))


def _check_complete(path: Path, kind: str, by_id: Mapping[int, str], expected: int) -> None:
    missing = expected - len(by_id)
    if missing:  # not listed whole: a damaged number may promise 10^18 items
        first = islice((item for item in range(expected) if item not in by_id), 5)
        some = ", ".join(map(str, first)) + (", ..." if missing > 5 else "")
        raise LaftError(
            f"{path}: no {_KINDS[kind]} for {missing} of {expected} items (id {some}): the run was "
            "cut short or dropped items; generate again, whole, into a new file"
        )


def _joined(by_id: Mapping[int, str]) -> list[str]:
    """Return the lines by id, their subwords joined where the log was written without --bpe."""
    ordered = [by_id[item] for item in sorted(by_id)]
    if any(_WORD_START in line for line in ordered):
        ordered = [join_subwords(line) for line in ordered]
    return [line.strip() for line in ordered]


def join_subwords(text: str) -> str:
    """Join sentencepiece subwords: `▁Bon jour ▁vous` is `Bonjour vous`; bytes become characters."""
    joined = plain_text([text.replace(" ", "")], errors="replace")
    return joined.replace(_WORD_START, " ").strip()
