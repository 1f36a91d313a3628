"""Language tags as mBART writes them: ``fr_XX``, in the dictionary ``[fr_XX]``."""

import re
from collections.abc import Sequence
from pathlib import Path

from laft_fairseq.errors import LaftError

TAG = r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}"  # as a regular expression
CC25 = (
    "ar_AR,cs_CZ,de_DE,en_XX,es_XX,et_EE,fi_FI,fr_XX,gu_IN,hi_IN,it_IT,ja_XX,kk_KZ,"
    "ko_KR,lt_LT,lv_LV,my_MM,ne_NP,nl_XX,ro_RO,ru_RU,si_LK,tr_TR,vi_VN,zh_CN"
).split(",")
MBART50 = CC25 + (
    "af_ZA,az_AZ,bn_IN,fa_IR,he_IL,hr_HR,id_ID,ka_GE,km_KH,mk_MK,ml_IN,mn_MN,mr_IN,"
    "pl_PL,ps_AF,pt_XX,sv_SE,sw_KE,ta_IN,te_IN,th_TH,tl_XX,uk_UA,ur_PK,xh_ZA,gl_ES,sl_SI"
).split(",")
NEVER_SEEN = "one that the backbone never saw is named by --new-langs"


def words_of(path: Path) -> list[str]:
    """Return the words of a small file, each a tag or a layout.

    Raises:
        LaftError: it is no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise LaftError(f"{path}: cannot be read as UTF-8 text ({error})") from None


def symbol(tag: str) -> str:
    """Return the dictionary's entry for a language: ``fr_XX`` -> ``[fr_XX]``."""
    return f"[{tag}]"


def check_tag(tag: str, where: str | Path) -> None:
    """Refuse what is no tag: tags name folders, parameters and dictionary entries.

    Raises:
        LaftError: names ``where`` the tag stands, and the one that may be meant.
    """
    if not re.fullmatch(TAG, tag):
        code = re.split("[^a-z]", tag.lower())[0]
        alike = [known for known in MBART50 if known.split("_")[0] == code]
        meant = f" (did you mean {alike[0]}?)" if alike else ""
        raise LaftError(
            f"{where}: {tag!r} is no language tag{meant}; write it as fr_XX, zh_TW or zho_Hans"
        )


def split_tags(text: str | None, where: str | Path = "languages") -> list[str]:
    """``"en_XX,fr_XX"`` -> ``["en_XX", "fr_XX"]``; duplicates and what is no tag are refused."""
    tags = [tag.strip() for tag in (text or "").split(",") if tag.strip()]
    for tag in tags:
        check_tag(tag, where)
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise LaftError(f"{where}: language {repeated[0]} is listed twice in {text!r}")
    return tags


def read_tags(path: Path) -> list[str]:
    """Return the tags in a file, parted by white space."""
    return split_tags(",".join(words_of(path)), path)


def unknown(option: str, tag: str, where: str | Path, tags: Sequence[str]) -> str:
    """Return the message about a ``tag`` that is none of ``tags``, with the one that is meant."""
    alike = [known for known in tags if known.split("_")[0] == tag.split("_")[0].lower()]
    meant = f" (did you mean {alike[0]}?)" if alike else ""
    return f"{option}: unknown language {tag}{meant}; {where} has {', '.join(tags)}"
