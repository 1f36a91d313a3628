"""Make a checkpoint's model state complete: what a slim one left out, and what came after it.

The model is a :class:`~laft_fairseq.models.laft_mbart.LAFTMBart`, whose base class imports this
module.
"""

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import Header, check_options
from laft_fairseq.checkpoints.positions import fit_positions
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.new_tag_embeddings import mean_of_tags
from laft_fairseq.training import frozen_weights

logger = logging.getLogger(__name__)

SAME = 1e-2  # relative difference of components that fp16 or another machine's rounding makes


def frozen_tensors(header: Header, source: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """What a slim checkpoint left out, by name, taken from ``source``, the backbone's tensors.

    Raises:
        LaftError: names the checkpoint and a tensor that the backbone lacks.
    """
    for name in header.frozen:
        if name not in source:
            raise LaftError(f"{path}: wants {name} from the backbone: not there")
    return {name: source[name] for name in header.frozen}


def fill_from_backbone(model: Any, state: dict[str, Tensor], header: Header, path: str) -> None:
    """Fill the names that a slim ``state`` left out, and let the model remember whose they are."""
    parameters = model.backbone_parameters()
    if header.fingerprint == model.fingerprint:
        source: Mapping[str, Tensor] = {name: parameters[name] for name in model.from_backbone}
    else:
        source = _find_backbone(model, header, path).state
    frozen = frozen_tensors(header, source, path)
    filled = {name: parameters[name] for name in frozen}
    state.update(filled)  # as they are, so that loading them is nothing to do
    frozen_weights.adopt(filled, frozen)
    model.from_backbone = set(frozen)


def _find_backbone(model: Any, header: Header, path: str) -> backbones.Backbone:
    """The backbone of a slim checkpoint, which the model, of its sizes then, remembers."""
    if model.fingerprint:
        raise LaftError(
            f"{path}: trained on another backbone than {model.backbone_path}; give the one it was "
            "trained on"
        )
    given = model.options.backbone  # after training the option is but the recorded path
    option = given if model.backbone_named or given != header.backbone else None
    backbone = backbones.find(option, path, header.backbone, header.fingerprint)
    check_options(backbone.options, model.architecture_options, backbone.path)
    fit_positions(model, backbone.state, backbone.path)
    shapes = {name: tensor.shape for name, tensor in model.backbone_parameters().items()}
    backbones.check(backbone, shapes, model.backbone_tags, model.encoder.language_tags.layout)
    model.mapped = backbone.file
    model.backbone_path, model.fingerprint = backbone.path, backbone.fingerprint
    return backbone


def add_missing_languages(model: Any, state: dict[str, Tensor], path: str) -> None:
    """Add adapters and components for each language in the checkpoint.

    Raises:
        LaftError: components of another k than the model's own, or others of the same k.
    """
    for key, tensor in state.items():
        if key.startswith("decoder.layers.0.language_adapter."):
            model.add_adapter(key.split(".")[4])
        if key.startswith("encoder.language_components.") and key.endswith(".components"):
            tag = key.split(".")[2]
            mean = state.get(f"encoder.language_components.{tag}.mean_removed", tensor[:, 0])
            _hold_components(model, tag, tensor, mean, path)


def _hold_components(model: Any, tag: str, components: Tensor, mean: Tensor, path: str) -> None:
    """Let the model hold a checkpoint's components (d, k) and mean s_L (d,) of a language."""
    held, file = model.encoder.language_components, model.options.language_components
    k = components.size(1)
    if tag in held and held[tag].components.shape != components.shape:
        raise LaftError(
            f"{file}: {held[tag].components.size(1)} components for {tag}, but the checkpoint was "
            f"trained with {k}; use the file that it was trained with"
        )
    if tag in model.components_given and not (
        same_subspace(held[tag].components, components) and is_near(held[tag].mean_removed, mean)
    ):
        raise LaftError(
            f"{file}: its components for {tag} are others than those that {path} was trained with; "
            "use the file that it was trained with, or none"
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


def fill_new_tags(model: Any, state: dict[str, Tensor], path: str) -> None:
    """Give the tags of languages added since the checkpoint what they begin with."""
    if backbones.EMBEDDING not in state:
        return  # the strict load says so
    for tag in model.encoder.new_tag_rows:
        names = {f"{side}.new_tag_rows.{tag}" for side in ("encoder", "decoder")} - state.keys()
        for name in names:
            state[name] = mean_of_tags(state[backbones.EMBEDDING], model.backbone_tag_ids)
        if names:
            logger.warning("%s: knows no %s; its tag is untrained", path, tag)
