"""A model for evaluation: one of our checkpoints, slim or whole, or a plain mBART backbone."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from collections.abc import Mapping

from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import pop_header
from laft_fairseq.checkpoints.reading import ORIGIN_KEY, read_checkpoint, text_tensor
from laft_fairseq.checkpoints.record import (
    HEAD_WIDTH,
    recorded_arguments,
    recorded_languages,
    shape_arguments,
)
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.vocabulary_files import LANGS_FILE, LAYOUT_FILE, NEW_LANGS_FILE
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

logger = logging.getLogger(__name__)


def load_model(
    checkpoint: str,
    data: str,
    langs: str | None = None,
    backbone: str | None = None,
    layout: str | None = None,
    new_langs: str | None = None,
) -> tuple[LAFTMBart, LaftGeneration]:
    """Load ``checkpoint`` in eval and fp32, with a stage-2 task on the directory ``data``.

    Args:
        checkpoint: one of our checkpoints, or a plain mBART (then the row ``mbart_full``).
        data: data-bin directory with dict.txt.
        langs: the dictionary's tags in order, where langs.txt does not say them.
        backbone: of a slim checkpoint, where it is not found by itself (backbone.py).
        layout: where the tag stands, where tag-layout.txt does not say it.
        new_langs: languages new to the backbone, where new-langs.txt does not say them.

    Of the last three, what neither an argument nor a file in ``data`` says is as our checkpoint
    records it.

    Raises:
        LaftError: a file is missing, damaged or does not fit the dictionary.
    """
    if backbone is not None and not os.path.exists(backbone):
        raise LaftError(f"{backbone}: no such backbone")
    content = read_checkpoint(checkpoint, mmap=True)
    args = recorded_arguments(content)
    state = content.get("model")
    recorded = recorded_languages(data, state)
    task = _task(
        data,
        langs or recorded.get(LANGS_FILE),
        layout or recorded.get(LAYOUT_FILE),
        new_langs or recorded.get(NEW_LANGS_FILE),
    )
    if args is None or not isinstance(state, dict) or _is_backbone(args, state):
        return _load_backbone(checkpoint, task), task
    if backbone is not None:
        args.backbone = backbone
    state[ORIGIN_KEY] = text_tensor(checkpoint)
    model = task.build_model(args, from_checkpoint=True)
    model.backbone_named = backbone is not None
    try:
        model.load_state_dict(state, strict=True, model_cfg=args)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise LaftError(
            f"{checkpoint}: does not fit its own options and {data}/dict.txt ({reason})"
        ) from None
    return _for_evaluation(model, task), task


def load_backbone_model(
    path: str,
    data: str,
    langs: str | None = None,
    layout: str | None = None,
    new_langs: str | None = None,
) -> tuple[LAFTMBart, list[str]]:
    """Load a plain mBART as the row ``mbart_full`` in eval and fp32; its shape is its tensors'.

    The tags of ``new_langs`` are what stage 1 begins with.

    Returns:
        The model, its ``fingerprint`` set, and the dictionary's tags in order.

    Raises:
        LaftError: not an mBART, or one that does not fit the dictionary of ``data``.
    """
    task = _task(data, langs, layout, new_langs)
    return _load_backbone(path, task), task.tags


def _is_backbone(args: Namespace, state: Mapping[str, Tensor]) -> bool:
    """A stock mBART, or one that `laft export --as-backbone` left its shape alone."""
    header, _ = pop_header(dict(state))
    return header is None or (header.method == "mbart_full" and not hasattr(args, "method"))


def _task(
    data: str, langs: str | None, layout: str | None, new_langs: str | None
) -> LaftGeneration:
    """A stage-2 task on ``data``, for its dictionary, tags and generation."""
    options = LaftGenerationOptions(data=data, langs=langs, tag_layout=layout, new_langs=new_langs)
    task = LaftGeneration.setup_task(options)
    assert isinstance(task, LaftGeneration)
    return task


def _load_backbone(path: str, task: LaftGeneration) -> LAFTMBart:
    backbone = backbones.read(path)
    try:
        shape = shape_arguments(backbone.state)
    except (KeyError, ValueError) as error:
        raise LaftError(f"{path}: not an mBART ({error} is missing or has another shape)") from None
    options = {"activation_fn": "gelu", "no_scale_embedding": False} | dict(backbone.options)
    for side in ("encoder", "decoder"):
        if f"{side}_attention_heads" not in options:
            options[f"{side}_attention_heads"] = _usual_heads(path, shape[f"{side}_embed_dim"])
    args = Namespace(arch="laft_mbart", method="mbart_full", **shape, **options)
    model = LAFTMBart.build_model(args, task)
    model.load_backbone(backbone)
    return _for_evaluation(model, task)


def _usual_heads(path: str, d: int) -> int:
    """mBART's number of heads at width ``d``, for a file that records none."""
    if d % HEAD_WIDTH:
        raise LaftError(
            f"{path}: records no number of attention heads, and its width {d} is no multiple of "
            f"mBART's {HEAD_WIDTH} a head; keep the checkpoint's args or cfg in it"
        )
    logger.info("%s: records no heads; taking %d, as mBART of width %d", path, d // HEAD_WIDTH, d)
    return d // HEAD_WIDTH


def _for_evaluation(model: LAFTMBart, task: LaftGeneration) -> LAFTMBart:
    """In eval, with the task cutting texts to the model's positions."""
    source, target = model.max_positions()
    task.cfg.max_source_positions = min(task.cfg.max_source_positions, source)
    task.cfg.max_target_positions = min(task.cfg.max_target_positions, target)
    return model.float().eval()
