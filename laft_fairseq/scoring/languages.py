"""Language tags, as mBART writes them, and the plain codes that scores use."""

import re
from collections.abc import Sequence

from laft_fairseq.scoring.errors import ScoringError

# The languages of mBART-50, which include all of mBART-cc25.
MBART50 = frozenset(
    "af ar az bn cs de en es et fa fi fr gl gu he hi hr id it ja ka kk km ko lt lv mk ml mn mr my "
    "ne nl pl ps pt ro ru si sl sv sw ta te th tl tr uk ur vi xh zh".split()
)
# Those and the others that py3langid (language_id.py) tells apart by an ISO 639-1 code, which a
# backbone may be taught.
KNOWN = MBART50 | frozenset(
    "am an as ba be bg br bs ca cy da dz el eo eu fo fy ga gd ha ht hu hy ig is jv kn ku ky la lb "
    "lg ln lo mg ms mt nn no oc om or pa qu rw sa se sk sn so sq sr st tg tk tt ug uz vo wa yo "
    "zu".split()
)
_TAG = re.compile(r"\[?([a-z]{2,3})(?:_[A-Z][A-Za-z]{1,3})?\]?")


def language_code(tag: str) -> str:
    """Give the plain code of a tag: `fr_XX`, `[fr_XX]` and `fr` are all `fr`.

    Raises:
        ScoringError: the tag is malformed, or its language is none of KNOWN.
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
