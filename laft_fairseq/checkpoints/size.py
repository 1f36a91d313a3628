"""Whether the files hold as many numbers as a checkpoint's options ask memory for."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Mapping
from copy import copy
from typing import Any

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import Header
from laft_fairseq.errors import LaftError

ADAPTER = re.compile(r"decoder\.layers\.\d+\.language_adapter\.[^.]+\.")


def check_size(
    options: Namespace | None,
    state: Mapping[str, Any],
    header: Header | None,
    path: str,
    backbone: str | None = None,
) -> None:
    """Refuse options of a model that is larger than what the files hold.

    Args:
        options: of :func:`model_options`; the user's own may be among them.
        state: the checkpoint's model state.
        header: the checkpoint's.
        path: of the checkpoint.
        backbone: path given by the user for a slim checkpoint; None: the options may have one.

    Raises:
        LaftError: so it is; or there are no options, or no backbone is found.
    """
    if options is None:
        raise LaftError(f"{path}: records no options, of which a model could be built")
    size = os.path.getsize(path)
    if header is not None and header.kind == "slim":
        given = getattr(options, "backbone", None)
        backbone = backbone or (given if given != header.backbone else None)
        places = backbones.places(backbone, path, header.backbone)
        sizes = [os.path.getsize(place) for place in places if os.path.isfile(place)]
        if not sizes:  # it says so
            backbones.find(backbone, path, header.backbone, header.fingerprint)
        size += max(sizes)
    count = _parameters(options, state)
    if 2 * count > 1.2 * size:  # none of them takes less than fp16
        raise LaftError(
            f"{path}: its options make a model of {count} parameters, more than {size} bytes hold"
        )


def _parameters(options: Namespace, state: Mapping[str, Any]) -> int:
    """About how many a model has, at least; its embedding, which is the dictionary's, left out."""
    from fairseq.models import ARCH_CONFIG_REGISTRY

    args = copy(options)
    ARCH_CONFIG_REGISTRY[args.arch](args)
    d, ffn, layers = args.encoder_embed_dim, args.encoder_ffn_embed_dim, args.encoder_layers
    block = 4 * d * d + 2 * d * ffn
    wide = args.decoder_embed_dim
    tags = {key.split(".")[4] for key in state if ADAPTER.match(key)}
    count = layers * block + args.max_source_positions * d + args.max_target_positions * wide
    count += args.decoder_layers * (8 * wide * wide + 2 * wide * args.decoder_ffn_embed_dim)
    count += args.decoder_layers * len(tags) * 2 * wide * args.language_adapter_dim
    if any(key.startswith("encoder.task_module.") for key in state):
        count += args.task_module_layers * block
    if any(key.startswith("encoder.fusion.") for key in state):
        count += 3 * d * args.fusion_dim
    return int(count)
