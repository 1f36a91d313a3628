"""Make a checkpoint's model state complete: what a slim one left out, and what came after it.

The model is a :class:`~laft_fairseq.models.laft_mbart.LAFTMBart`, whose module imports this one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import Header, check_options
from laft_fairseq.checkpoints.positions import check_positions, fit_positions
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.new_tag_embeddings import mean_of_tags
from laft_fairseq.method.systems import METHODS, trains_encoder
from laft_fairseq.training import frozen_weights

logger = logging.getLogger(__name__)

SAME = 1e-2  # relative difference of components that fp16 or another machine's rounding makes


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
        option = given if model.backbone_named or given != header.backbone else None
        backbone = backbones.find(option, origin, header.backbone, header.fingerprint)
        check_options(backbone.options, model.architecture_options, backbone.path)
        source, model.mapped = backbone.state, backbone.file
        check_positions(model, source, backbone.path)
        fit_positions(model, source)
        shapes, layout = {n: t.shape for n, t in own.items()}, model.encoder.language_tags.layout
        backbones.check(backbone, shapes, model.backbone_tags, layout)
        model.backbone_path, model.fingerprint = backbone.path, backbone.fingerprint
    for frozen in header.frozen:
        if frozen not in source:
            raise LaftError(f"{name}: wants {frozen} from the backbone: not there")
        state[frozen] = own[frozen]  # as it is, so that loading it is nothing to do
    frozen_weights.adopt({name: own[name] for name in header.frozen}, source)
    model.from_backbone = set(header.frozen)


def keep_backbones_name(model: Any, header: Header) -> None:
    """Let a model of a whole checkpoint remember whose encoder it has, if no row trained it."""
    trained = header.method not in METHODS or trains_encoder(header.method)
    if not model.fingerprint and not trained:
        model.fingerprint, model.backbone_path = header.fingerprint, header.backbone


def add_missing_languages(model: Any, state: dict[str, Tensor], origin: str) -> None:
    """Adapters and components for each language in the checkpoint.

    Raises:
        LaftError: components of another k than the model's own, or others of the same k.
    """
    for key, tensor in state.items():
        if key.startswith("decoder.layers.0.language_adapter."):
            model.add_adapter(key.split(".")[4])
        if key.startswith("encoder.language_components.") and key.endswith(".components"):
            tag = key.split(".")[2]
            mean = state.get(f"encoder.language_components.{tag}.mean_removed", tensor[:, 0])
            _make_room_for_components(model, tag, tensor, mean, origin)


def _make_room_for_components(
    model: Any, tag: str, components: Tensor, mean: Tensor, origin: str
) -> None:
    """Components (d, k) and the mean s_L (d,) of a language, in the checkpoint."""
    held, file = model.encoder.language_components, model.options.language_components
    own = held[tag].components if tag in held else components
    if own.shape != components.shape:
        raise LaftError(
            f"{file}: {own.size(1)} components "
            f"for {tag}, but the checkpoint was trained with {components.size(1)}; "
            "use the file that it was trained with"
        )
    if tag in model.components_given and not (
        same_subspace(own, components) and is_near(held[tag].mean_removed, mean)
    ):
        raise LaftError(
            f"{file}: its components for {tag} are others than those that "
            f"{origin or 'the checkpoint'} was trained with; use the file that it was trained "
            "with, or none"
        )
    model.components_given.discard(tag)
    model.encoder.set_components(tag, components.clone(), mean.clone())


def same_subspace(one: Tensor, other: Tensor) -> bool:
    """Whether c cᵀ of two (d, k) is the same, up to rounding: c itself may be turned within it.

    ‖A − B‖² = ‖A‖² + ‖B‖² − 2 tr(A B) for the two products, none of which is formed.
    """
    a, b = one.double().cpu(), other.double().cpu()
    norm_a, norm_b, common = ((x.t() @ y).square().sum() for x, y in ((a, a), (b, b), (a, b)))
    return bool(norm_a + norm_b - 2 * common <= SAME**2 * norm_b)


def is_near(one: Tensor, other: Tensor) -> bool:
    """Whether two (d,) are the same up to rounding."""
    a, b = one.double().cpu(), other.double().cpu()
    return bool((a - b).norm() <= SAME * b.norm())


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
