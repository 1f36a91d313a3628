"""A model for evaluation: one of our checkpoints, slim or whole, or a plain mBART backbone."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from laft_fairseq import backbone as backbones
from laft_fairseq import checkpoint_options, new_languages
from laft_fairseq.checkpoint_format import checked_tensors, pop_header
from laft_fairseq.checkpoint_size import check_size
from laft_fairseq.compat import ORIGIN_KEY, read_checkpoint, text_tensor
from laft_fairseq.errors import LaftError
from laft_fairseq.language_tags import LAYOUT_FILE
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

logger = logging.getLogger(__name__)

POSITION_OFFSET = 2  # fairseq's learned positions begin after <s> and <pad>
HEAD_WIDTH = 64  # of mBART's attention at every size, where a file does not record its heads


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
    state = content.get("model")
    recorded = _recorded_languages(data, state)
    task = _task(
        data,
        langs or recorded.get("langs.txt"),
        layout or recorded.get(LAYOUT_FILE),
        new_langs or recorded.get(new_languages.FILE),
    )
    args = recorded_arguments(content)
    if args is None or not isinstance(state, dict) or _is_backbone(args, state):
        return _load_backbone(checkpoint, task), task
    args = checkpoint_options.model_options(content, checkpoint)
    state = checked_tensors(state, checkpoint)
    check_size(args, state, checkpoint, backbone)
    if backbone is not None:
        args.backbone = backbone
    state[ORIGIN_KEY] = text_tensor(checkpoint)
    try:
        model = task.build_model(args, from_checkpoint=True)
        model.backbone_named = backbone is not None
        model.load_state_dict(state, strict=True, model_cfg=args)
    except LaftError:
        raise
    except Exception as error:  # whatever fairseq or torch makes of odd options and tensors
        reason = " ".join(str(error).split())[:200]
        raise LaftError(
            f"{checkpoint}: does not fit its own options and {data}/dict.txt ({reason})"
        ) from error
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


def recorded_arguments(content: Mapping[str, Any]) -> Namespace | None:
    """The model's options as a checkpoint of fairseq keeps them; None if it keeps none."""
    recorded = checkpoint_options.recorded_model(content)
    if not recorded:
        return None
    args = Namespace()
    vars(args).update(recorded)
    return args


def shape_arguments(state: Mapping[str, Tensor]) -> dict[str, int]:
    """fairseq's options of an mBART's shape, all but the heads, read off its tensors."""
    found: dict[str, int] = {}
    for side in ("encoder", "decoder"):
        layers = {name.split(".")[2] for name in state if name.startswith(f"{side}.layers.")}
        ffn, d = state[f"{side}.layers.0.fc1.weight"].shape
        positions = state[f"{side}.embed_positions.weight"].size(0) - POSITION_OFFSET
        found[f"{side}_layers"] = len(layers)
        found[f"{side}_embed_dim"] = d
        found[f"{side}_ffn_embed_dim"] = ffn
        found["max_source_positions" if side == "encoder" else "max_target_positions"] = positions
    return found


def _is_backbone(args: Namespace, state: Mapping[str, Tensor]) -> bool:
    """A stock mBART, or one that `laft export --as-backbone` left its shape alone."""
    header, _ = pop_header(dict(state))
    return header is None or (header.method == "mbart_full" and not hasattr(args, "method"))


def _recorded_languages(data: str, state: Any) -> dict[str, str]:
    """What our checkpoint's header says in place of each file that ``data`` lacks, by its name."""
    header, _ = pop_header(dict(state)) if isinstance(state, Mapping) else (None, "")
    if header is None:
        return {}
    said = {"langs.txt": ",".join(header.langs), LAYOUT_FILE: header.tag_layout}
    said[new_languages.FILE] = ",".join(header.new_langs)
    return {name: value for name, value in said.items() if not (Path(data) / name).exists()}


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
    except (KeyError, ValueError, IndexError) as error:
        raise LaftError(f"{path}: not an mBART ({error} is missing or has another shape)") from None
    unseen = {"activation_fn": "gelu", "no_scale_embedding": False} | dict(backbone.options)
    for side in ("encoder", "decoder"):
        if f"{side}_attention_heads" not in unseen:
            unseen[f"{side}_attention_heads"] = _usual_heads(path, shape[f"{side}_embed_dim"])
    args = Namespace(arch="laft_mbart", method="mbart_full", **shape, **unseen)
    check_size(args, backbone.state, path)
    try:
        model = LAFTMBart.build_model(args, task)
    except (AssertionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LaftError(f"{path}: its tensors and options make no mBART ({reason})") from error
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
