"""What fairseq needs on torch >= 2.6 and Python >= 3.11.

Nothing here loosens torch's weights-only loading: the few harmless classes that fairseq writes into
its checkpoints are allowed by name.
"""

from __future__ import annotations

import logging
import os
import sys
import types
import typing
import warnings

import numpy as np

from laft_fairseq.checkpoints.reading import allow_checkpoint_classes
from laft_fairseq.compat.patching import wrap
from laft_fairseq.errors import LaftError


def patch_numpy() -> None:
    """Add ``numpy.compat.long``, which fairseq's token blocks still read."""
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)  # type: ignore[attr-defined]


def decode(stock: typing.Any, encoder: typing.Any, x: str) -> str:
    """Decode as ``--bpe sentencepiece`` does, and byte-fallback subwords (``<0xE4>``) too."""
    return str(encoder.sp.DecodePieces(x.split()) if "<0x" in x else stock(encoder, x))


def decode_byte_pieces() -> None:
    """Patch fairseq's sentencepiece, once."""
    from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE

    wrap(SentencepieceBPE, decode)


class _ConfigDumpFilter(logging.Filter):
    """Drops the dump of the whole configuration, nine kilobytes, from the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return isinstance(record.msg, str)


def quiet_start() -> None:
    """Silence start-up warnings about which a user can do nothing."""
    for name in ("fairseq_cli.train", "fairseq_cli.generate", "fairseq_cli.interactive"):
        logging.getLogger(name).addFilter(_ConfigDumpFilter())
    for module in (r"hydra(\..*)?", r"fairseq(\..*)?", r"torch\.nn\.modules\.transformer"):
        warnings.filterwarnings("ignore", category=UserWarning, module=module)
        warnings.filterwarnings("ignore", category=FutureWarning, module=module)
    for message in (
        r"(?s)\s*'config' is validated against",
        r"'pin_memory' argument is set",
        r"Support for mismatched key_padding_mask",
    ):
        warnings.filterwarnings("ignore", message, category=UserWarning)


def excepthook(
    stock: typing.Any,
    kind: type[BaseException],
    error: BaseException,
    trace: types.TracebackType | None,
) -> None:
    """Print the LaftError in an error or its causes as one line; others as Python does."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LaftError):
        cause = cause.__cause__ or cause.__context__
    if cause is None or os.environ.get("LAFT_DEBUG") == "1":
        stock(kind, error, trace)
    else:
        print(f"laft: error: {cause}", file=sys.stderr)


def one_line_errors() -> None:
    """Print an uncaught :class:`LaftError` of a fairseq command as one line, not a traceback."""
    wrap(sys, excepthook)


def apply() -> None:
    """Apply every patch, once."""
    patch_numpy()
    allow_checkpoint_classes()
    decode_byte_pieces()
    quiet_start()
    one_line_errors()
