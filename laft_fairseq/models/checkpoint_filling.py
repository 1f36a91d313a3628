"""Make a checkpoint's model state complete: what a slim one left out, and what came after it.

The model is a :class:`~laft_fairseq.models.laft_mbart.LAFTMBart`, whose module imports this one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from laft_fairseq import backbone as backbones
from laft_fairseq import frozen_weights
from laft_fairseq.checkpoint_format import Header
from laft_fairseq.errors import LaftError
from laft_fairseq.modules.new_tag_rows import mean_of_tags

logger = logging.getLogger(__name__)


def fill_from_backbone(model: Any, state: dict[str, Tensor], header: Header, origin: str) -> None:
    """Fill the names that a slim ``state`` left out, and let the model remember whose they are.

    Raises:
        LaftError: no backbone is found, or another one, or it lacks a name.
    """
    name, own = origin or "checkpoint", model.backbone_parameters()
    if header.fingerprint == model.fingerprint:
        source: Mapping[str, Tensor] = {name: own[name] for name in model.from_backbone}
    else:
        if model.fingerprint:
            raise LaftError(
                f"{name}: trained on another backbone than {model.backbone_path}; give the one it "
                "was trained on"
            )
        given = model.options.backbone  # after training the option is but the recorded path
        option = None if given == header.backbone else given
        backbone = backbones.find(option, origin, header.backbone, header.fingerprint)
        source, model.mapped = backbone.state, backbone.file
        model.backbone_path, model.fingerprint = backbone.path, backbone.fingerprint
    for frozen in header.frozen:
        if frozen not in source:
            raise LaftError(f"{name}: wants {frozen} from the backbone: not there")
        state[frozen] = own[frozen]  # as it is, so that loading it is nothing to do
    frozen_weights.adopt({name: own[name] for name in header.frozen}, source)
    model.from_backbone = set(header.frozen)


def make_room(model: Any, state: dict[str, Tensor]) -> None:
    """Adapters and components for each language in the checkpoint.

    Raises:
        LaftError: components of another k than the model's own.
    """
    for key, tensor in state.items():
        if key.startswith("decoder.layers.0.language_adapter."):
            model.add_adapter(key.split(".")[4])
        if key.startswith("encoder.language_components.") and key.endswith(".components"):
            _make_room_for_components(model, key.split(".")[2], tensor)


def _make_room_for_components(model: Any, tag: str, components: Tensor) -> None:
    held = model.encoder.language_components
    own = getattr(held[tag], "components") if tag in held else components  # noqa: B009
    if own.shape != components.shape:
        raise LaftError(
            f"{model.options.language_components}: {own.size(1)} components "
            f"for {tag}, but the checkpoint was trained with {components.size(1)}; "
            "use the file that it was trained with"
        )
    model.encoder.set_components(tag, components.clone(), components[:, 0].clone())


def fill_new_tags(model: Any, state: dict[str, Tensor], origin: str) -> None:
    """Give the tags of languages added since the checkpoint what they begin with."""
    if backbones.EMBEDDING not in state:
        return  # the strict load says so
    added = {
        f"{side}.new_tag_rows.{tag}": tag
        for side in ("encoder", "decoder")
        for tag in model.encoder.new_tag_rows
        if f"{side}.new_tag_rows.{tag}" not in state
    }
    for key in added:
        state[key] = mean_of_tags(state[backbones.EMBEDDING], model.backbone_tag_ids)
    for tag in dict.fromkeys(added.values()):
        logger.warning("%s: knows no %s; its tag is untrained", origin or "checkpoint", tag)
