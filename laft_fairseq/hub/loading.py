"""A model for evaluation: one of our checkpoints, slim or whole, or a plain mBART backbone."""

import logging
import os
from argparse import Namespace

from laft_fairseq.backbone.folder import MODEL
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.options import model_options
from laft_fairseq.checkpoints.record import (
    HEAD_WIDTH,
    Checkpoint,
    open_checkpoint,
    shape_arguments,
)
from laft_fairseq.checkpoints.size import check_size
from laft_fairseq.errors import LaftError, in_one_line
from laft_fairseq.languages.vocabulary_files import LANGS_FILE, LAYOUT_FILE, NEW_LANGS_FILE
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

logger = logging.getLogger(__name__)


def checkpoint_file(path: str | os.PathLike[str]) -> str:
    """Return the path of a checkpoint, given it or the folder of its ``model.pt``."""
    name = os.fspath(path)
    return os.path.join(name, MODEL) if os.path.isdir(name) else name


def load_model(
    checkpoint: str | Checkpoint,
    data: str,
    langs: str | None = None,
    backbone: str | None = None,
    layout: str | None = None,
) -> tuple[LAFTMBart, LaftGeneration]:
    """Load ``checkpoint`` in eval and fp32, with a stage-2 task on the directory ``data``.

    It is one of ours, or a plain mBART, which becomes the system ``mbart_full``. What neither an
    argument nor a file in ``data`` says of languages and layout is as our checkpoint records it.
    ``backbone`` is that of a slim one, where it is not found by itself (checkpoints/backbone.py).

    Raises:
        LaftError: a file is missing, damaged or does not fit the dictionary.
    """
    if backbone is not None and not os.path.exists(backbone):
        raise LaftError(f"{backbone}: no such backbone")
    if isinstance(checkpoint, Checkpoint):
        opened = checkpoint
    else:
        opened = open_checkpoint(checkpoint_file(checkpoint))
    path, task = opened.path, _task(opened, data, langs, layout)
    if opened.is_backbone:
        return _load_backbone(opened, task), task
    args = model_options(opened.options["model"], path)
    check_size(opened, args, backbone)
    if backbone is not None:
        args.backbone = backbone
    try:
        model = task.build_model(args, from_checkpoint=True)
        model.backbone_named = backbone is not None
        model.load_state_dict(opened.state_to_load(), strict=True, model_cfg=args)
    except LaftError:
        raise
    except Exception as error:  # whatever fairseq or torch makes of odd options and tensors
        raise LaftError(
            f"{path}: does not fit its own options and {data}/dict.txt ({in_one_line(error)})"
        ) from error
    return _for_evaluation(model, task), task


def load_backbone_model(
    path: str,
    data: str,
    langs: str | None = None,
    layout: str | None = None,
    new_langs: str | None = None,
) -> tuple[LAFTMBart, list[str]]:
    """Load a plain mBART as the system ``mbart_full`` in eval and fp32; its tensors say its shape.

    The tags of ``new_langs`` are what stage 1 begins with.

    Returns:
        The model, its ``fingerprint`` set, and the dictionary's tags in order.

    Raises:
        LaftError: not an mBART, or one that does not fit the dictionary of ``data``.
    """
    opened = open_checkpoint(path)
    task = _task(opened, data, langs, layout, new_langs)
    return _load_backbone(opened, task), task.tags


def _task(
    opened: Checkpoint, data: str, langs: str | None, layout: str | None,
    new_langs: str | None = None,
) -> LaftGeneration:  # fmt: skip
    """A stage-2 task on ``data``, for its dictionary, tags and generation."""
    recorded = opened.in_place_of_files(data)
    options = LaftGenerationOptions(
        data=data,
        langs=langs or recorded.get(LANGS_FILE),
        tag_layout=layout or recorded.get(LAYOUT_FILE),
        new_langs=new_langs or recorded.get(NEW_LANGS_FILE),
    )
    task = LaftGeneration.setup_task(options)
    assert isinstance(task, LaftGeneration)
    task.checkpoint = opened.path
    return task


def _load_backbone(opened: Checkpoint, task: LaftGeneration) -> LAFTMBart:
    """A plain mBART as the system ``mbart_full``."""
    path, backbone = opened.path, backbones.backbone_of(opened)
    shape = shape_arguments(backbone.state, path)
    options = {"activation_fn": "gelu", "no_scale_embedding": False} | dict(backbone.options)
    for side in ("encoder", "decoder"):
        if f"{side}_attention_heads" not in options:
            options[f"{side}_attention_heads"] = _usual_heads(path, shape[f"{side}_embed_dim"])
    args = Namespace(arch="laft_mbart", method="mbart_full", **shape, **options)
    check_size(opened, args)
    try:
        model = LAFTMBart.build_model(args, task)
    except (AssertionError, ValueError, RuntimeError) as error:
        raise LaftError(
            f"{path}: its tensors and options make no mBART ({in_one_line(error)})"
        ) from error
    model.load_backbone(backbone)
    return _for_evaluation(model, task)


def _usual_heads(path: str, d: int) -> int:
    """mBART's number of heads at width ``d``, for a file that records none."""
    if d % HEAD_WIDTH:
        raise LaftError(
            f"{path}: records no number of attention heads, and its width {d} is no multiple of "
            f"mBART's {HEAD_WIDTH} per head; keep the checkpoint's args or cfg in it"
        )
    logger.info("%s: records no heads; taking %d, as mBART of width %d", path, d // HEAD_WIDTH, d)
    return d // HEAD_WIDTH


def _for_evaluation(model: LAFTMBart, task: LaftGeneration) -> LAFTMBart:
    """The model in eval, with the task cutting examples to the model's positions."""
    source, target = model.max_positions()
    task.cfg.max_source_positions = min(task.cfg.max_source_positions, source)
    task.cfg.max_target_positions = min(task.cfg.max_target_positions, target)
    return model.float().eval()
