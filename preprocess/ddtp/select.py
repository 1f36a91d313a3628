"""Choose usable descriptions and split them by package family, none of which is in two splits."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from preprocess.common.text import PARAGRAPH, han_share, is_cjk, shingles, stable_hash
from preprocess.ddtp.index import Description, Index

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

Descriptions = Mapping[str, Mapping[str, Description]]  # by language, md5


@dataclass(frozen=True)
class Selection:
    """What was chosen."""

    examples: dict[str, dict[str, list[Description]]]  # by language and split
    families: int  # their number
    leaked: int  # examples of train or valid, left out as they resemble a test item


def usable_english(description: Description) -> bool:
    """Whether an English description is worth summarising: long enough and about something."""
    return (
        not _DROPPED_PACKAGE.search(description.package)
        and not _BOILERPLATE.search(f"{description.synopsis} {description.text}")
        and _long_enough(description)
        and description.synopsis.lower() not in description.text.lower().split(PARAGRAPH)
    )


def _long_enough(description: Description) -> bool:
    """At least 80 characters and 7 words for 2 words or more; a third of that in CJK."""
    if is_cjk(description.text):
        return len(description.text) >= 24 and len(description.synopsis) >= 4
    words = len(description.text.split())
    return len(description.text) >= 80 and words >= 7 and len(description.synopsis.split()) >= 2


def is_translated(description: Description, english: Description, lang: str) -> bool:
    """Whether a translation really is one: no markers, not English, Chinese in Chinese."""
    both = f"{description.synopsis} {description.text}"
    if _UNTRANSLATED.search(both) or not _long_enough(description):
        return False
    if description.synopsis == english.synopsis or description.text == english.text:
        return False
    if lang.startswith(("zh", "ja")):
        return han_share(description.text) >= 0.35 and han_share(description.synopsis) >= 0.2
    of_translation = shingles(description.text)
    return len(of_translation & shingles(english.text)) < 0.2 * len(of_translation)


def families(index: Index, english: Mapping[str, Description]) -> dict[str, str]:
    """Map md5 -> family: texts joined by a source package or by the same first paragraph."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for md5, description in english.items():
        first = " ".join(re.findall(r"\w+", description.text.split(PARAGRAPH)[0].lower()))
        for node in (f"paragraph:{first}", *_source_nodes(index, description)):
            low, high = sorted((root(f"text:{md5}"), root(node)))
            parent[high] = low
    return {md5: root(f"text:{md5}") for md5 in english}


def _source_nodes(index: Index, description: Description) -> list[str]:
    """The source packages of a description, as the nodes of the family graph."""
    names = index.sources.get(description.package, {description.package})
    return [f"source:{name}" for name in sorted(names)]


def without_near_duplicates(
    index: Index, translations: Descriptions, family: Mapping[str, str]
) -> list[str]:
    """The md5s to keep: a few a source package, each with mostly new shingles in its family."""
    languages = Counter(md5 for lang in translations for md5 in translations[lang])
    english = translations["en"]
    order = sorted(english, key=lambda md5: (-languages[md5], english[md5].package, md5))
    seen: dict[str, set[str]] = defaultdict(set)
    taken: Counter[str] = Counter()
    kept = []
    for md5 in order:
        new = shingles(english[md5].text)
        of_family = seen[family[md5]]
        sources = _source_nodes(index, english[md5])
        fresh = len(new & of_family) < NEAR_DUPLICATE * len(new)
        if fresh and all(taken[source] < PER_SOURCE for source in sources):
            kept.append(md5)
            taken.update(sources)
            of_family |= new
    return kept


def split_of(family: str, scarce: bool) -> str:
    """The split of a family by hash; families of a scarce language go mostly to test and valid."""
    test, valid = SCARCE_SHARES if scarce else TEST_VALID_SHARES
    position = stable_hash("ddtp", family) / 2**64
    if position < test:
        return "test"
    return "valid" if position < test + valid else "train"


def leaks(examples: Iterable[Description], test: Iterable[Description]) -> set[str]:
    """The md5s of examples that share half of their shingles with one test item."""
    holders: dict[str, list[str]] = defaultdict(list)
    for item in test:
        for shingle in shingles(item.text):
            holders[shingle].append(item.md5)
    leaked = set()
    for example in examples:
        of_example = shingles(example.text)
        shared = Counter(md5 for shingle in of_example if shingle in holders
                         for md5 in holders[shingle])  # fmt: skip
        if shared and max(shared.values()) >= NEAR_DUPLICATE * len(of_example):
            leaked.add(example.md5)
    return leaked


def select(index: Index) -> Selection:
    """Filter, group into families, split by hash, and leave out what leaks into the test."""
    english = {md5: each for md5, each in index.descriptions["en"].items() if usable_english(each)}
    usable: dict[str, dict[str, Description]] = {
        lang: {
            md5: each for md5, each in descriptions.items()
            if md5 in english and (lang == "en" or is_translated(each, english[md5], lang))
        } for lang, descriptions in index.descriptions.items()
    }  # fmt: skip
    family = families(index, english)
    kept = without_near_duplicates(index, usable, family)
    usable = {lang: {m: usable[lang][m] for m in kept if m in usable[lang]} for lang in usable}
    few = [lang for lang in usable if lang != "en" and len(usable[lang]) < SCARCE]
    scarce = {family[md5] for lang in few for md5 in usable[lang]}
    split = {md5: split_of(family[md5], family[md5] in scarce) for md5 in kept}
    examples: dict[str, dict[str, list[Description]]] = {}
    leaked: set[tuple[str, str]] = set()
    for lang in usable:
        ordered = sorted(usable[lang].values(), key=lambda each: (each.package, each.md5))
        examples[lang] = {name: [e for e in ordered if split[e.md5] == name] for name in SPLITS}
        others = [*examples[lang]["train"], *examples[lang]["valid"]]
        leaked |= {(lang, md5) for md5 in leaks(others, examples[lang]["test"])}
    for lang, of_split in examples.items():
        for name in ("train", "valid"):
            of_split[name] = [e for e in of_split[name]
                              if leaked.isdisjoint({("en", e.md5), (lang, e.md5)})]  # fmt: skip
    return Selection(examples, families=len(set(family.values())), leaked=len(leaked))
