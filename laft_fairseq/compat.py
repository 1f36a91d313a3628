"""What fairseq needs on torch >= 2.6 and Python >= 3.11; each patch stands behind a feature test.

Importing this module is enough. Nothing here loosens torch's weights-only loading: the
few harmless classes that fairseq writes into its checkpoints are allowed by name.
"""

from __future__ import annotations

import argparse
import collections
import functools
import logging
import os
import pickle
import re
import stat
import sys
import types
import typing
import warnings
import zipfile

import numpy as np
import torch

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.errors import ScoringError

ORIGIN_KEY = "laft.origin"  # where a checkpoint was read from, added to its model state


def patch_numpy() -> None:
    """fairseq's token blocks still ask for ``numpy.compat.long``."""
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)  # type: ignore[attr-defined]


def allow_checkpoint_classes() -> None:
    """Name the classes that fairseq's own checkpoints and broadcasts hold."""
    from fairseq.distributed import utils as distributed_utils
    from fairseq.logging.meters import AverageMeter, StopwatchMeter, TimeMeter
    from omegaconf import DictConfig, ListConfig, base, nodes

    torch.serialization.add_safe_globals(
        [
            argparse.Namespace,
            DictConfig,
            ListConfig,
            base.ContainerMetadata,
            base.Metadata,
            nodes.AnyNode,
            distributed_utils._TensorPlaceholder,
            collections.defaultdict,
            dict,
            list,
            int,
            typing.Any,
            # Counters, in checkpoints of 2019 such as mbart.cc25.v2, by their module's name then.
            *(
                (meter, f"fairseq.meters.{meter.__name__}")
                for meter in (AverageMeter, TimeMeter, StopwatchMeter)
            ),
        ]
    )


def read_checkpoint(path: str, *, mmap: bool = False) -> dict[str, typing.Any]:
    """Load a torch file to the CPU, weights only; the file is mapped where its format allows.

    Raises:
        LaftError: missing, corrupt or truncated file, no regular one, or a pickle with anything
            but tensors and plain values in it (nothing of it is run).
    """
    refuse_special(path)
    allow_checkpoint_classes()
    try:
        mappable = mmap and zipfile.is_zipfile(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    except FileNotFoundError:
        raise LaftError(f"{path}: no such checkpoint") from None
    except IsADirectoryError:
        raise LaftError(f"{path}: a folder; name the file in it, such as model.pt") from None
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {forbidden.group(1)}" if forbidden else "it may be damaged"
        raise LaftError(
            f"{path}: refused, nothing of it was run: more than weights and plain values is in it "
            f"({reason}); use a file written by fairseq, torch.save or `laft export`"
        ) from None
    except Exception as error:  # what bytes that are no pickle raise in torch's reader is any
        reason = str(error).split("\n")[0][:160]
        raise LaftError(
            f"{path}: corrupt or truncated checkpoint ({reason}); fetch it again"
        ) from None
    if not isinstance(state, dict):
        raise LaftError(f"{path}: not a checkpoint: it holds a {type(state).__name__}, not a dict")
    if isinstance(state.get("model"), dict):
        state["model"].pop(ORIGIN_KEY, None)  # said by who reads a file, and not by the file
    return state


def refuse_special(path: str) -> None:
    """Refuse a pipe, which may never end or begin, and a device.

    Raises:
        LaftError: it is one.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # what reads it says so
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise LaftError(f"{path}: a pipe or a device, no regular file")


def remember_checkpoint_origin() -> None:
    """Let a slim checkpoint know its own path, and turn a broken file into one clear line."""
    from fairseq import checkpoint_utils

    stock = checkpoint_utils.load_checkpoint_to_cpu
    if getattr(stock, "laft", False):
        return

    @functools.wraps(stock)
    def load_checkpoint_to_cpu(
        path: str, *args: typing.Any, **kwargs: typing.Any
    ) -> dict[str, typing.Any]:
        try:
            state = stock(path, *args, **kwargs)
        except (pickle.UnpicklingError, RuntimeError, EOFError):
            read_checkpoint(path)  # says clearly what is wrong with the file
            raise
        except KeyError as error:
            raise LaftError(
                f"{path}: not a checkpoint of fairseq's training (no {error}); a bare backbone "
                "goes to --backbone"
            ) from None
        model = state.get("model")
        if isinstance(model, dict) and any(key.startswith("laft.") for key in model):
            model[ORIGIN_KEY] = text_tensor(str(path))
        return state

    load_checkpoint_to_cpu.laft = True  # type: ignore[attr-defined]
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def text_tensor(text: str) -> torch.Tensor:
    """UTF-8 bytes of ``text`` as a (n,) uint8 tensor, so that a state dict can carry it."""
    return torch.tensor(list(text.encode("utf-8")), dtype=torch.uint8)


def tensor_text(tensor: torch.Tensor) -> str:
    """The inverse of :func:`text_tensor`."""
    return bytes(tensor.tolist()).decode("utf-8")


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
        while cause is not None and not isinstance(cause, (LaftError, ScoringError)):
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
    remember_checkpoint_origin()
    decode_byte_pieces()
    quiet_start()
    one_line_errors()
