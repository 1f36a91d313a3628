"""Language tags, as mBART writes them, and the plain codes that scores use."""

import re
from collections.abc import Sequence

from laft_fairseq.scoring.errors import ScoringError

# The languages of mBART-50, which include all of mBART-cc25.
KNOWN = frozenset(
    "af ar az bn cs de en es et fa fi fr gl gu he hi hr id it ja ka kk km ko lt lv mk ml mn mr my "
    "ne nl pl ps pt ro ru si sl sv sw ta te th tl tr uk ur vi xh zh".split()
)
_TAG = re.compile(r"\[?([a-z]{2,3})(?:_[A-Z]{2})?\]?")


def language_code(tag: str) -> str:
    """Give the plain code of a tag: `fr_XX`, `[fr_XX]` and `fr` are all `fr`.

    Raises:
        ScoringError: the tag is malformed or its language is none of mBART-50's.
    """
    match = _TAG.fullmatch(tag)
    if match is None or match[1] not in KNOWN:
        raise ScoringError(
            f"unknown language {tag!r}: give an mBART tag such as fr_XX or zh_CN, "
            f"one of {', '.join(sorted(KNOWN))}"
        )
    return match[1]


def language_codes(tags: Sequence[str]) -> tuple[str, ...]:
    """Give the plain codes of several tags, sorted and without repetition."""
    return tuple(sorted({language_code(tag) for tag in tags}))
