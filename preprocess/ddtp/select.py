"""Choose usable descriptions and split them by package family, none of which is in two splits."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ddtp_index import Index, Text
from text_files import PARAGRAPH, han_share, is_cjk, shingles, stable_hash

SPLITS = ("train", "valid", "test")
NEAR_DUPLICATE = 0.5
PER_SOURCE = 3
SCARCE = 3000
TEST_VALID_SHARES = (0.035, 0.025)
SCARCE_SHARES = (0.6, 0.2)

_DROPPED_PACKAGE = re.compile(r"-(dev|dbg|dbgsym|doc|docs|data|l10n(-.+)?)$|^(task|linux-image)-")
_BOILERPLATE = re.compile(
    r"transitional|dummy package|empty package|meta-?package|dependency package"
    r"|safely (be )?removed|debugging symbols|debug symbols|development files",
    re.IGNORECASE,
)
_UNTRANSLATED = re.compile(r"<trans>", re.IGNORECASE)

Texts = Mapping[str, Mapping[str, Text]]


@dataclass(frozen=True)
class Report:
    """The split texts, {lang: {split: rows}}, and how many rows leaked from train or valid."""

    rows: dict[str, dict[str, list[Text]]]
    families: int
    leaked: int


def usable_english(text: Text) -> bool:
    """Whether an English text is worth summarising: long enough and about something."""
    return (
        not _DROPPED_PACKAGE.search(text.package)
        and not _BOILERPLATE.search(f"{text.synopsis} {text.description}")
        and _long_enough(text)
        and text.synopsis.lower() not in text.description.lower().split(PARAGRAPH)
    )


def _long_enough(text: Text) -> bool:
    """At least 80 characters and 7 words for 2 words or more; a third of that in CJK."""
    if is_cjk(text.description):
        return len(text.description) >= 24 and len(text.synopsis) >= 4
    words = len(text.description.split())
    return len(text.description) >= 80 and words >= 7 and len(text.synopsis.split()) >= 2


def translated(text: Text, english: Text, lang: str) -> bool:
    """Whether a translation really is one: no markers, not English, Chinese in Chinese."""
    both = f"{text.synopsis} {text.description}"
    if _UNTRANSLATED.search(both) or not _long_enough(text):
        return False
    if text.synopsis == english.synopsis or text.description == english.description:
        return False
    if lang.startswith(("zh", "ja")):
        return han_share(text.description) >= 0.35 and han_share(text.synopsis) >= 0.2
    own = shingles(text.description)
    return len(own & shingles(english.description)) < 0.2 * len(own)


def families(index: Index, english: Mapping[str, Text]) -> dict[str, str]:
    """Map md5 -> family: texts joined by a source package or by the same first paragraph."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for md5, text in english.items():
        first = " ".join(re.findall(r"\w+", text.description.split(PARAGRAPH)[0].lower()))
        for node in (f"paragraph:{first}", *_source_nodes(index, text)):
            low, high = sorted((root(f"text:{md5}"), root(node)))
            parent[high] = low
    return {md5: root(f"text:{md5}") for md5 in english}


def _source_nodes(index: Index, text: Text) -> list[str]:
    """The source packages of a text, as the nodes of the family graph."""
    return [f"source:{name}" for name in sorted(index.sources.get(text.package, {text.package}))]


def without_near_duplicates(index: Index, texts: Texts, family: Mapping[str, str]) -> list[str]:
    """The md5s to keep: a few a source package, each with mostly new shingles in its family."""
    languages = Counter(md5 for lang in texts for md5 in texts[lang])
    english = texts["en"]
    order = sorted(english, key=lambda md5: (-languages[md5], english[md5].package, md5))
    seen: dict[str, set[str]] = defaultdict(set)
    taken: Counter[str] = Counter()
    kept = []
    for md5 in order:
        own = shingles(english[md5].description)
        old = seen[family[md5]]
        sources = _source_nodes(index, english[md5])
        fresh = len(own & old) < NEAR_DUPLICATE * len(own)
        if fresh and all(taken[source] < PER_SOURCE for source in sources):
            kept.append(md5)
            taken.update(sources)
            old |= own
    return kept


def split_of(family: str, scarce: bool) -> str:
    """The split of a family by hash; families of a scarce language go mostly to test and valid."""
    test, valid = SCARCE_SHARES if scarce else TEST_VALID_SHARES
    position = stable_hash("ddtp", family) / 2**64
    if position < test:
        return "test"
    return "valid" if position < test + valid else "train"


def leaks(rows: Iterable[Text], test: Iterable[Text]) -> set[str]:
    """The md5s of rows that share half of their shingles with one test item."""
    holders: dict[str, list[str]] = defaultdict(list)
    for item in test:
        for shingle in shingles(item.description):
            holders[shingle].append(item.md5)
    found = set()
    for row in rows:
        own = shingles(row.description)
        shared = Counter(md5 for shingle in own if shingle in holders for md5 in holders[shingle])
        if shared and max(shared.values()) >= NEAR_DUPLICATE * len(own):
            found.add(row.md5)
    return found


def select(index: Index) -> Report:
    """Filter, group into families, split by hash, and drop what leaks into the test."""
    english = {m: t for m, t in index.texts["en"].items() if usable_english(t)}
    texts: dict[str, dict[str, Text]] = {"en": english}
    for lang in index.texts:
        if lang != "en":
            found = ((m, t) for m, t in index.texts[lang].items() if m in english)
            texts[lang] = {m: t for m, t in found if translated(t, english[m], lang)}
    family = families(index, english)
    kept = without_near_duplicates(index, texts, family)
    texts = {lang: {m: texts[lang][m] for m in kept if m in texts[lang]} for lang in texts}
    few = [lang for lang in texts if lang != "en" and len(texts[lang]) < SCARCE]
    scarce = {family[md5] for lang in few for md5 in texts[lang]}
    split = {m: split_of(family[m], family[m] in scarce) for m in kept}
    rows: dict[str, dict[str, list[Text]]] = {}
    leaked: set[tuple[str, str]] = set()
    for lang, found_texts in texts.items():
        ordered = sorted(found_texts.values(), key=lambda t: (t.package, t.md5))
        rows[lang] = {name: [t for t in ordered if split[t.md5] == name] for name in SPLITS}
        others = [*rows[lang]["train"], *rows[lang]["valid"]]
        leaked |= {(lang, md5) for md5 in leaks(others, rows[lang]["test"])}
    for lang in rows:
        for name in ("train", "valid"):
            kept_rows = (t for t in rows[lang][name] if ("en", t.md5) not in leaked)
            rows[lang][name] = [t for t in kept_rows if (lang, t.md5) not in leaked]
    return Report(rows=rows, families=len(set(family.values())), leaked=len(leaked))
