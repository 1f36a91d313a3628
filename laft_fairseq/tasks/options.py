"""Options of both tasks."""

from dataclasses import dataclass
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II, MISSING

from laft_fairseq.compat.options import option
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.training.precision import CHOICES


@dataclass
class LaftTaskOptions(FairseqDataclass):
    """Options of data, languages and precision; the last four are copies of fairseq's own."""

    data: str = option(MISSING, "data-bin directory with dict.txt and langs.txt")
    langs: Optional[str] = option(
        None, "the dictionary's languages in order (default: data's langs.txt, else cc25)"
    )
    new_langs: Optional[str] = option(
        None,
        "languages that the backbone has no tag for, in order: their tags follow <mask>, each "
        "with a row of its own, trained in stage 1 (default: data's new-langs.txt, else none)",
    )
    tag_layout: Optional[ChoiceEnum(list(TagLayout))] = option(  # type: ignore[valid-type]
        None,
        "where the tag stands: after the text, as in mBART-cc25, or before it, as in mBART-50 "
        "(default: data's tag-layout.txt, else suffix)",
    )
    train_langs: Optional[str] = option(None, "languages to train on (default: all of --langs)")
    valid_langs: Optional[str] = option(
        None, "languages to validate on (default: those trained on)"
    )
    gen_lang: Optional[str] = option(
        None, "language to generate in; its raw input or set of any --gen-subset is read"
    )
    max_source_positions: int = option(1024, "longer sources are cut to this many tokens")
    max_target_positions: int = option(1024, "longer targets are cut to this many tokens")
    autocast: ChoiceEnum(list(CHOICES)) = option(  # type: ignore[valid-type]
        "auto", "bf16 in training and validation: where the processor has it, always, never"
    )
    half: bool = option(False, "generate in fp16 on a GPU, in bf16 elsewhere; training ignores it")
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
    max_tokens: Optional[int] = II("dataset.max_tokens")
    max_tokens_valid: Optional[int] = II("dataset.max_tokens_valid")


def interpolated_or_default(options: Any, name: str, default: Any) -> Any:
    """Return an option that fairseq copies from another group, ``default`` where it did not.

    It does not in options made by hand, nor in those of an older checkpoint, which lacks it.
    """
    value = getattr(options, name, None)
    copied = not isinstance(value, str) or not value.startswith("${")
    return value if value is not None and copied else default
