"""Which of the parts that a method adds to mBART no training has touched.

A part goes by a name: ``fusion``, or with its language ``language_adapter.fr_XX``.
"""

import re
from collections.abc import Collection, Iterable

WORDS = {
    "task_module": "the task module",
    "fusion": "the fusion",
    "gate": "the gate",
    "task_adapter": "the task adapters",
    "lora": "LoRA's updates",
    "language_adapter": "the language adapters",
    "new_tag_rows": "the new tags",
}
# The encoder's rows of new tags are left out: under a frozen encoder they are not to be trained.
PART = re.compile(
    r"^(?:encoder\.(task_module|fusion|gate)\.|.*\.(task_adapter|lora)\.|"
    r"decoder\.layers\.\d+\.(language_adapter\.[^.]+)\.|decoder\.(new_tag_rows\.[^.]+)$)"
)


def parts_of(parameters: Iterable[str]) -> set[str]:
    """The added parts that parameters of these names belong to; mBART's own belong to none."""
    matches = map(PART.match, parameters)
    return {str(match[match.lastindex or 0]) for match in matches if match}


def language_of(part: str) -> str:
    """The language of a part; empty for a part that serves all languages."""
    return part.partition(".")[2]


def parts_trained_by(trainable: Iterable[str], langs: Collection[str]) -> set[str]:
    """The parts that a stage trains, of the languages of its examples: others get no gradient."""
    return {part for part in parts_of(trainable) if language_of(part) in ("", *langs)}


def describe_parts(parts: Iterable[str]) -> str:
    """The parts in words, ``the fusion and the language adapters of en_XX``; empty for none."""
    tags: dict[str, list[str]] = {}
    for part in sorted(parts, key=lambda part: (list(WORDS).index(part.split(".")[0]), part)):
        kind = part.split(".")[0]
        tags.setdefault(kind, []).extend(filter(None, [language_of(part)]))
    names = [
        f"{WORDS[kind]} of {', '.join(of)}" if of else WORDS[kind] for kind, of in tags.items()
    ]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
