"""The frozen encoder's output for training examples, kept on disk (``--encoder-cache``).

A folder holds one file a process and run, ``part-*.cache``: for each example a header with its key,
its length and a checksum, then its bf16 vectors. Records are appended and never rewritten, so a
torn or damaged one is an example that is not there. The folder may be deleted at any time, during
a run too.
"""

import contextlib
import hashlib
import logging
import os
import socket
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.training.precision import wants_bf16

logger = logging.getLogger(__name__)

EncoderOutput = dict[str, list[Tensor]]  # fairseq's
HEADER = struct.Struct("<16sII")  # key, tokens, CRC-32 of the vectors
SCAN_INTERVAL = 5.0  # seconds between looks at what other processes have added
BF16_BYTES = 2


class _Record(NamedTuple):
    """Where an example's vectors lie, and what they must add up to."""

    file: BinaryIO
    start: int  # byte
    tokens: int
    checksum: int


@dataclass
class _Part:
    """One file of records, and how many of its bytes were scanned."""

    file: BinaryIO
    scanned: int = 0


def key_of(tokens: Tensor) -> bytes:
    """Return the 16-byte key of an example, (t,) tokens without padding, on the CPU."""
    numbers = tokens.to(torch.int32).contiguous().numpy().tobytes()
    return hashlib.blake2b(numbers, digest_size=16).digest()


class EncoderCache:
    """Holds bf16 vectors of width d by example, shared by processes, in one backbone's folder.

    Nothing is added beyond ``limit``, the bytes that all parts together may take.

    Raises:
        LaftError: the folder cannot be made.
    """

    def __init__(self, folder: Path, d: int, limit: int) -> None:
        self.folder, self.d, self.limit = folder, d, limit
        self._records: dict[bytes, _Record] = {}
        self._parts: dict[Path, _Part] = {}
        self._writer: _Part | None = None  # this process's part
        self._full = False
        self._last_scan = float("-inf")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LaftError(
                f"{folder}: --encoder-cache cannot be made ({error.strerror})"
            ) from None

    def get(self, keys: Sequence[bytes], lengths: Sequence[int]) -> list[Tensor | None]:
        """Return (t, d) bf16 vectors of each example of t tokens, None for a missing one."""
        vectors = list(map(self._read, keys, lengths))
        is_stale = time.monotonic() - self._last_scan >= SCAN_INTERVAL
        if is_stale and any(tensor is None for tensor in vectors):
            self._scan()
            vectors = list(map(self._read, keys, lengths))
        return vectors

    def put(self, keys: Sequence[bytes], vectors: Sequence[Tensor]) -> None:
        """Add the examples that are not there yet; (t, d) vectors of any dtype and device each."""
        for key, tensor in zip(keys, vectors, strict=True):
            if self._full or key in self._records:
                continue
            try:
                self._append(key, tensor)
            except OSError as error:
                self._full = True
                logger.warning(
                    "%s: no longer written to (%s); training goes on", self.folder, error.strerror
                )

    def _append(self, key: bytes, vectors: Tensor) -> None:
        data = vectors.detach().to("cpu", torch.bfloat16).contiguous()
        content = data.view(torch.int16).numpy().tobytes()
        used = sum(os.fstat(part.file.fileno()).st_size for part in self._parts.values())
        if used + HEADER.size + len(content) > self.limit:
            self._full = True
            logger.info(
                "%s: full at %.1f GB; other examples are encoded in every epoch",
                self.folder, self.limit / 1e9,
            )  # fmt: skip
            return
        if self._writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"part-{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.cache"
            self._writer = self._parts[self.folder / name] = _Part((self.folder / name).open("x+b"))
        part, checksum = self._writer, zlib.crc32(content)
        part.file.write(HEADER.pack(key, len(data), checksum) + content)
        part.file.flush()
        start = part.scanned + HEADER.size
        self._records[key] = _Record(part.file, start, len(data), checksum)
        part.scanned = start + len(content)

    def _scan(self) -> None:
        """Learn what other processes and earlier runs have written since the last scan."""
        self._last_scan = time.monotonic()
        for path in sorted(self.folder.glob("part-*.cache")):
            try:
                part = self._parts.get(path) or _Part(path.open("rb", buffering=0))
            except OSError:
                continue  # deleted in between
            self._parts[path], descriptor = part, part.file.fileno()
            size = os.fstat(descriptor).st_size
            while part.scanned + HEADER.size <= size:
                header = os.pread(descriptor, HEADER.size, part.scanned)
                key, tokens, checksum = HEADER.unpack(header)
                start = part.scanned + HEADER.size
                end = start + tokens * self.d * BF16_BYTES
                if end > size:
                    break  # being written, or torn
                self._records.setdefault(key, _Record(part.file, start, tokens, checksum))
                part.scanned = end

    def _read(self, key: bytes, tokens: int) -> Tensor | None:
        record = self._records.get(key)
        if record is None:
            return None
        content, read = bytearray(tokens * self.d * BF16_BYTES), -1
        if record.tokens == tokens:  # a damaged number may be any
            with contextlib.suppress(OSError):
                read = os.preadv(record.file.fileno(), [content], record.start)
        if read != len(content) or zlib.crc32(content) != record.checksum:
            del self._records[key]
            logger.warning("%s: a damaged record is ignored", self.folder)
            return None
        return torch.frombuffer(content, dtype=torch.bfloat16).view(tokens, self.d)


def encode(
    tokens: Tensor,
    pad: int,
    cache: EncoderCache,
    encoder: Callable[[Tensor | None], EncoderOutput],
    dtype: torch.dtype,
) -> EncoderOutput:
    """Return the encoder's output for (B, T) tokens, rounded to bf16; only what is missing runs.

    It is rounded where it was just computed as well, so that the epoch that fills the cache and
    those that read it see the same numbers. Vectors at padding, which nothing reads, are zero.

    ``encoder`` encodes the given rows of ``tokens``, (R,) indices, None standing for all; ``dtype``
    is the output's.
    """
    is_token = tokens.ne(pad)  # (B, T), False at padding
    keys = [key_of(row[kept]) for row, kept in zip(tokens.cpu(), is_token.cpu(), strict=True)]
    vectors = cache.get(keys, is_token.sum(dim=1).tolist())
    missing = [row for row, tensor in enumerate(vectors) if tensor is None]
    if missing:
        rows = None if len(missing) == len(keys) else torch.tensor(missing, device=tokens.device)
        computed = encoder(rows)["encoder_out"][0].transpose(0, 1)  # (R, T, d)
        for row, tensor in zip(missing, computed.to(torch.bfloat16), strict=True):
            vectors[row] = tensor[is_token[row]]  # (t, d)
        cache.put([keys[row] for row in missing], [vectors[row] for row in missing])  # type: ignore[misc]
    flat = torch.cat([v.to(tokens.device) for v in vectors if v is not None])  # (all tokens, d)
    e = torch.zeros(*tokens.shape, flat.size(1), dtype=dtype, device=tokens.device)
    e[is_token] = flat.to(dtype)
    return {
        "encoder_out": [e.transpose(0, 1).contiguous()],  # (T, B, d)
        "encoder_padding_mask": [~is_token],
        "encoder_embedding": [],
        "encoder_states": [],
        "fc_results": [],
        "src_tokens": [],
        "src_lengths": [is_token.sum(dim=1, dtype=torch.int32).reshape(-1, 1)],
    }


def use_cache(model: Any, root: str, limit: int, autocast: str) -> None:
    """Keep the encoder's output for training examples below ``root``.

    That folder holds one for each backbone and all that its output depends on; together they take
    at most ``limit`` bytes.

    Raises:
        LaftError: the encoder's output changes in training, or its weights are not known to be
            those of a backbone: the checkpoint may hold an encoder that another system has trained.
    """
    encoder = model.encoder
    if not encoder.frozen:
        raise LaftError(
            "--encoder-cache: this system trains the encoder, so that its output changes at every "
            "step; leave the option out"
        )
    names = {name for name in model.backbone_parameters() if name.startswith("encoder.")}
    if not model.fingerprint or not names <= model.from_backbone:
        raise LaftError(
            "--encoder-cache: needs --backbone, whose fingerprint names the cache, and no "
            "checkpoint with an encoder of its own (a whole one, or of a system that trains the "
            "encoder); give the slim one, or leave the option out"
        )
    weight = encoder.embed_tokens.weight
    bf16 = wants_bf16(weight, autocast)
    d = int(encoder.embed_tokens.embedding_dim)
    settings = {
        "activation": encoder.cfg.activation_fn,
        "d": d,
        "heads": encoder.cfg.encoder.attention_heads,  # no tensor shows these
        "mask_source_tag": encoder.mask_source_tag,
        "precision": "bf16-autocast" if bf16 else str(weight.dtype).removeprefix("torch."),
        "unscaled": encoder.cfg.no_scale_embedding,
    }
    words = [model.fingerprint, *(f"{name}={value}" for name, value in settings.items())]
    folder = Path(root) / "-".join(words)
    others = [part for part in Path(root).glob("*/part-*") if part.parent != folder]
    used = sum(part.stat().st_size for part in others if part.exists())
    encoder.cache = EncoderCache(folder, d, limit - used)
