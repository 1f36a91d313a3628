"""What fairseq needs on torch >= 2.6 and Python >= 3.11.

Nothing here loosens torch's weights-only loading: the few harmless classes that fairseq writes into
its checkpoints are allowed by name.
"""

from __future__ import annotations

import logging
import sys
import types
import typing
import warnings

import numpy as np

from laft_fairseq.checkpoints.reading import allow_checkpoint_classes
from laft_fairseq.compat.patching import wrap


def decode(stock: typing.Any, encoder: typing.Any, x: str) -> str:
    """Decode as ``--bpe sentencepiece`` does, and byte-fallback subwords (``<0xE4>``) too."""
    return str(encoder.sp.DecodePieces(x.split()) if "<0x" in x else stock(encoder, x))


def decode_byte_subwords() -> None:
    """Patch fairseq's sentencepiece, once."""
    from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE

    wrap(SentencepieceBPE, decode)


def quiet_start() -> None:
    """Silence start-up warnings about which a user can do nothing."""
    for name in ("fairseq_cli.train", "fairseq_cli.generate", "fairseq_cli.interactive"):
        # the dump of the whole configuration, nine kilobytes, is no text
        logging.getLogger(name).addFilter(lambda record: isinstance(record.msg, str))
    for module in (r"hydra(\..*)?", r"fairseq(\..*)?", r"torch\.nn\.modules\.transformer"):
        warnings.filterwarnings("ignore", category=UserWarning, module=module)
        warnings.filterwarnings("ignore", category=FutureWarning, module=module)
    for message in (
        r"(?s)\s*'config' is validated against",
        r"'pin_memory' argument is set",
        r"Support for mismatched key_padding_mask",
    ):
        warnings.filterwarnings("ignore", message, category=UserWarning)


def apply() -> None:
    """Apply every patch, once; of a command of fairseq's also its warnings and its last line.

    Where a program imports us, its excepthook and its filters of warnings are its own.
    """
    if not hasattr(np, "compat"):  # of which fairseq's token blocks still read this
        np.compat = types.SimpleNamespace(long=int)  # type: ignore[attr-defined]
    allow_checkpoint_classes()
    decode_byte_subwords()
    if "fairseq_cli" in sys.modules:
        quiet_start()
