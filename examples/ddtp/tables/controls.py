"""LAFT with one part of its mechanism taken away or exchanged: what each control changes."""

from __future__ import annotations

from dataclasses import dataclass

NO_FUSION = ("--fusion-input", "none")
NO_ADAPTER = ("--language-adapter-dim", "0")
MASKED = ("--mask-source-tag",)


@dataclass(frozen=True)
class Control:
    """One control: the options that differ, in both stages alike.

    Attributes:
        options: of fairseq-train.
        components: name of the components file that it reads.
        make: options of `laft components` that make this file; empty for the true one.
        anew: whether the file is estimated anew, and not computed from the true one.
        staged: whether it has stage 1.
    """

    options: tuple[str, ...] = ()
    components: str = "true"
    make: tuple[str, ...] = ()
    anew: bool = False
    staged: bool = True


def _numbered(k: int) -> Control:
    return Control(components=f"k-{k}", make=("--num-components", str(k)))


CONTROLS: dict[str, Control] = {
    "projection": Control(("--removal", "projection")),
    "random-subspace": Control((), "random-subspace", ("--control", "random-subspace")),
    "no-removal": Control(("--removal", "none")),
    # Untrained adapters are the identity, and only the annotated language would have one.
    "no-stage1": Control(NO_ADAPTER, staged=False),
    "other-language": Control((), "other-language", ("--control", "other-language")),
    "mean-vector": Control(("--removal", "mean")),
    "no-fusion": Control(NO_FUSION),
    "no-adapter": Control(NO_ADAPTER),
    "task-module-alone": Control(("--removal", "none", *NO_FUSION, *NO_ADAPTER)),
    "tag-masked": Control(MASKED, "tag-masked", MASKED, anew=True),
    "k-1": _numbered(1),
    "k-2": _numbered(2),
    "k-12": _numbered(12),
}
# The verdict asks these two, so they get as many seeds as the rows that they are held against.
JUDGED = ("random-subspace", "no-removal")
