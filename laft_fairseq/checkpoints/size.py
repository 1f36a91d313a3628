"""Whether the files hold as many numbers as a checkpoint's options ask memory for."""

import os
import re
from argparse import Namespace
from collections.abc import Collection
from copy import copy

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.record import Checkpoint
from laft_fairseq.errors import LaftError

ADAPTER = re.compile(r"decoder\.layers\.\d+\.language_adapter\.([^.]+)\.")
SLACK = 1.2  # the count is an estimate


def check_size(
    checkpoint: Checkpoint, options: Namespace | None, backbone: str | None = None
) -> None:
    """Refuse options of a model that is larger than what the files hold.

    ``backbone`` is the path given for a slim checkpoint; without it the options may have one.

    Raises:
        LaftError: also where there are no options, or no backbone is found.
    """
    path, header = checkpoint.path, checkpoint.header
    if options is None:
        raise LaftError(f"{path}: records no options, of which a model could be built")
    size, files = os.path.getsize(path), path
    if header is not None and checkpoint.is_slim:
        given = getattr(options, "backbone", None)
        backbone = backbone or (given if given != header.backbone else None)
        places = backbones.places(backbone, path, header.backbone)
        sizes = [(os.path.getsize(place), place) for place in places if os.path.isfile(place)]
        if not sizes:  # which raises an error that says so
            backbones.find(backbone, path, header.backbone, header.fingerprint)
        size += max(sizes)[0]
        files += f" with the backbone {max(sizes)[1]}"
    count = count_parameters(options, checkpoint.state)
    if 2 * count > SLACK * size:  # no parameter takes less than fp16
        raise LaftError(
            f"{files}: its options make a model of {count} parameters, more than {size} bytes "
            "hold; give the backbone that it was trained on"
        )


def count_parameters(options: Namespace, names: Collection[str]) -> int:
    """About how many a model has, at least; its embedding, which is the dictionary's, left out.

    The ``names`` of its tensors show the added parts.
    """
    from fairseq.models import ARCH_CONFIG_REGISTRY

    args = copy(options)
    ARCH_CONFIG_REGISTRY[args.arch](args)
    d, decoder_d = args.encoder_embed_dim, args.decoder_embed_dim
    encoder_layer = 4 * d * d + 2 * d * args.encoder_ffn_embed_dim
    decoder_layer = 8 * decoder_d * decoder_d + 2 * decoder_d * args.decoder_ffn_embed_dim
    languages = {match.group(1) for match in map(ADAPTER.match, names) if match}
    decoder_layer += len(languages) * 2 * decoder_d * args.language_adapter_dim
    encoder_layers = args.encoder_layers
    if any(name.startswith("encoder.task_module.") for name in names):
        encoder_layers += args.task_module_layers
    count = encoder_layers * encoder_layer + args.decoder_layers * decoder_layer
    count += args.max_source_positions * d + args.max_target_positions * decoder_d
    if any(name.startswith("encoder.fusion.") for name in names):
        count += 3 * d * args.fusion_dim
    return int(count)
