"""A frozen encoder's output, from disk where it was kept (``--encoder-cache``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.training.encoder_cache import (
    EncoderCache,
    bytes_in_other_caches,
    folder_of,
    key_of,
)

EncoderOutput = dict[str, list[Tensor]]


def encoder_name(model: Any) -> str:
    """The backbone's fingerprint, by which its cache goes; empty for an encoder of other weights.

    Args:
        model: a LAFTMBart. Its checkpoint may hold an encoder that another row has trained.
    """
    own = {name for name in model.backbone_parameters() if name.startswith("encoder.")}
    return str(model.fingerprint) if own <= model.from_backbone else ""


def encode(
    tokens: Tensor,
    pad: int,
    cache: EncoderCache,
    encoder: Callable[[Tensor | None], EncoderOutput],
    dtype: torch.dtype = torch.float32,
) -> EncoderOutput:
    """What ``encoder`` gives for (B, T) ``tokens``, rounded to bf16, kept or read, as ``dtype``.

    Rounded where it was just computed as well, so that an epoch that fills the cache and one that
    reads it see the same numbers. Vectors at padding, which nothing looks at, are zero.

    Args:
        tokens: (B, T).
        pad: the token of padding.
        cache: where vectors lie.
        encoder: encodes the given rows of ``tokens``, (R,) indices; None stands for all.
        dtype: of the output's vectors.
    """
    texts = tokens.ne(pad)  # (B, T), True at what is no padding
    cpu_tokens, cpu_texts = tokens.cpu(), texts.cpu()
    keys = [key_of(row[kept]) for row, kept in zip(cpu_tokens, cpu_texts, strict=True)]
    found = cache.get(keys)
    missing = [row for row, vectors in enumerate(found) if vectors is None]
    if missing:
        rows = None if len(missing) == len(keys) else torch.tensor(missing, device=tokens.device)
        computed = encoder(rows)["encoder_out"][0].transpose(0, 1)  # (R, T, d)
        rounded = computed.to(torch.bfloat16)
        new = [text[texts[row]] for row, text in zip(missing, rounded, strict=True)]
        cache.put([keys[row] for row in missing], new)
        for row, vectors in zip(missing, new, strict=True):
            found[row] = vectors
    flat = torch.cat([v.to(tokens.device) for v in found if v is not None])  # (all tokens, d)
    e = torch.zeros(*tokens.shape, flat.size(1), dtype=dtype, device=tokens.device)
    e[texts] = flat.to(dtype)
    return {
        "encoder_out": [e.transpose(0, 1).contiguous()],  # (T, B, d)
        "encoder_padding_mask": [~texts],
        "encoder_embedding": [],
        "encoder_states": [],
        "fc_results": [],
        "src_tokens": [],
        "src_lengths": [texts.sum(dim=1, dtype=torch.int32).reshape(-1, 1)],
    }


def use_cache(encoder: Any, root: str, limit: int, fingerprint: str, precision: str) -> None:
    """Keep an encoder's output for training texts below ``root``, in at most ``limit`` bytes.

    Args:
        encoder: a LAFTEncoder.
        root: holds one folder for each backbone and use.
        limit: of all these folders together.
        fingerprint: the backbone's.
        precision: in which the encoder computes.

    Raises:
        LaftError: the encoder's output changes in training, or ``fingerprint`` is empty, so that
            it is not known to be the backbone's.
    """
    if not encoder.frozen:
        raise LaftError(
            "--encoder-cache: this system trains the encoder, so that its output changes at every "
            "step; leave the option out"
        )
    if not fingerprint:
        raise LaftError(
            "--encoder-cache: needs --backbone, whose fingerprint names the cache, and no "
            "checkpoint with an encoder of its own (a whole one, or of a system that trains the "
            "encoder); give the slim one, or leave the option out"
        )
    d = int(encoder.embed_tokens.embedding_dim)
    folder = folder_of(
        root,
        fingerprint,
        d=d,
        mask_source_tag=encoder.mask_source_tag,
        heads=encoder.cfg.encoder.attention_heads,  # no tensor shows these
        activation=encoder.cfg.activation_fn,
        unscaled=encoder.cfg.no_scale_embedding,
        precision=precision,
    )
    encoder.cache = EncoderCache(folder, d, limit - bytes_in_other_caches(folder))
