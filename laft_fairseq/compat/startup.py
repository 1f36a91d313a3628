"""What fairseq needs on torch >= 2.6 and Python >= 3.11; each patch stands behind a feature test.

Importing this module is enough. Nothing here loosens torch's weights-only loading: the
few harmless classes that fairseq writes into its checkpoints are allowed by name.
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
from laft_fairseq.errors import LaftError


def patch_numpy() -> None:
    """fairseq's token blocks still ask for ``numpy.compat.long``."""
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)  # type: ignore[attr-defined]


def decode_byte_pieces() -> None:
    """fairseq's ``--bpe sentencepiece`` leaves byte-fallback pieces (``<0xE4>``) undecoded."""
    from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE

    if getattr(SentencepieceBPE.decode, "laft", False):
        return
    stock = SentencepieceBPE.decode

    def decode(self: typing.Any, x: str) -> str:
        return self.sp.DecodePieces(x.split()) if "<0x" in x else stock(self, x)

    decode.laft = True  # type: ignore[attr-defined]
    SentencepieceBPE.decode = decode


class _ConfigDumpFilter(logging.Filter):
    """Drops the nine-kilobyte dump of the whole configuration at start-up."""

    def filter(self, record: logging.LogRecord) -> bool:
        return isinstance(record.msg, str)


def quiet_start() -> None:
    """Filter start-up warnings that are not the user's."""
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


def one_line_errors() -> None:
    """An uncaught :class:`LaftError` ends a fairseq command in one line, not in a traceback."""
    stock = sys.excepthook
    if getattr(stock, "laft", False):
        return

    def excepthook(
        kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, LaftError):
            cause = cause.__cause__ or cause.__context__
        if cause is None or os.environ.get("LAFT_DEBUG") == "1":
            stock(kind, error, trace)
        else:
            print(f"laft: error: {cause}", file=sys.stderr)

    excepthook.laft = True  # type: ignore[attr-defined]
    sys.excepthook = excepthook


def apply() -> None:
    """Apply every patch, once."""
    patch_numpy()
    allow_checkpoint_classes()
    decode_byte_pieces()
    quiet_start()
    one_line_errors()
