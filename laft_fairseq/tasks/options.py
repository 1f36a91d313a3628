"""Options that both tasks have.

fairseq reads the fields' types at run time, so this module keeps plain annotations.
"""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II, MISSING

from laft_fairseq.precision import CHOICES


@dataclass
class LaftTaskOptions(FairseqDataclass):
    """Data, languages and precision."""

    data: str = field(
        default=MISSING, metadata={"help": "data-bin directory with dict.txt and langs.txt"}
    )
    langs: Optional[str] = field(
        default=None,
        metadata={
            "help": "the dictionary's languages in order (default: data's langs.txt, else cc25)"
        },
    )
    train_langs: Optional[str] = field(
        default=None, metadata={"help": "languages to train on (default: all of --langs)"}
    )
    valid_langs: Optional[str] = field(
        default=None, metadata={"help": "languages to validate on (default: those trained on)"}
    )
    gen_lang: Optional[str] = field(
        default=None,
        metadata={"help": "language to generate in; its test set or raw input is read"},
    )
    max_source_positions: int = field(
        default=1024, metadata={"help": "longer sources are cut to this many tokens"}
    )
    max_target_positions: int = field(
        default=1024, metadata={"help": "longer targets are cut to this many tokens"}
    )
    autocast: ChoiceEnum(list(CHOICES)) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={"help": "bf16 in training and validation: where the processor has it, or not"},
    )
    seed: int = II("common.seed")
