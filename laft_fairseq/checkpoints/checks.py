"""What a checkpoint was trained with, against the LAFTMBart that is to read it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from laft_fairseq.checkpoints.header import Header, check_options
from laft_fairseq.errors import LaftError, flag
from laft_fairseq.method.systems import METHODS, trains_encoder


def check_header(header: Header, model: Any, path: str) -> None:
    """Refuse a checkpoint of other languages or tag layout, or of the same system otherwise made.

    Raises:
        LaftError: names the checkpoint, what differs and the remedy.
    """
    built: Header = model.header("whole", [])
    if header.langs != built.langs:
        raise LaftError(
            f"{path}: trained with languages {','.join(header.langs)}, in this order, but "
            f"--langs or langs.txt says {','.join(built.langs)}; use the checkpoint's list"
        )
    if built.new_langs[: len(header.new_langs)] != header.new_langs:
        raise LaftError(
            f"{path}: trained with the new languages {','.join(header.new_langs)}, in this order, "
            f"but --new-langs or new-langs.txt says {','.join(built.new_langs) or 'none'}; use the "
            "checkpoint's list, to which more may be added"
        )
    if header.tag_layout != built.tag_layout:
        raise LaftError(
            f"{path}: trained with the tag layout {header.tag_layout}, but --tag-layout or the "
            f"data's tag-layout.txt says {built.tag_layout}; use the checkpoint's"
        )
    check_options(header.options, built.options, path)
    removes = "fusion" in METHODS[built.method].modules
    if header.method == built.method:
        _check_method(header, built, removes, path)
        if model.control not in (None, header.control):
            raise LaftError(
                f"{path}: trained with {header.control or 'true components'}, but "
                f"--language-components gives {model.control or 'true ones'}; give its own file, "
                "or none"
            )
    elif removes and header.method in METHODS and trains_encoder(header.method):
        raise LaftError(
            f"{path}: --method {header.method} has trained its encoder, so the language components "
            f"of the backbone are not its own; for --method {built.method} make it a backbone by "
            "`laft export --as-backbone`, with components of its own by `laft components`"
        )


def _check_method(header: Header, built: Header, removes: bool, path: str) -> None:
    """Refuse other choices of the system, which no tensor's shape tells apart."""
    if header.mask_source_tag != built.mask_source_tag:
        with_or_without = "with" if header.mask_source_tag else "without"
        raise LaftError(f"{path}: trained {with_or_without} --mask-source-tag; do the same here")
    for option in ("removal", "fusion_input", "adapter_norm"):
        trained, given = getattr(header, option), getattr(built, option)
        # Older files name a removal for every system, and none of the other two.
        compared = removes if option == "removal" else trained and given
        if compared and trained != given:
            raise LaftError(f"{path}: trained with {flag(option)} {trained}, not {given}")


def check_adapters(state: Iterable[str], has_adapters: bool, path: str) -> None:
    """Refuse language adapters where the model of the same system has none, and the reverse.

    Raises:
        LaftError: names the checkpoint and the option.
    """
    held = any(".language_adapter." in key for key in state)
    if held and not has_adapters:
        raise LaftError(
            f"{path}: holds language adapters, which this model has no place for; leave out "
            "--language-adapter-dim 0, or train stage 1 with it too"
        )
    if has_adapters and not held:
        raise LaftError(
            f"{path}: holds no language adapters; give --language-adapter-dim 0, as in its "
            "own training"
        )


def check_backbone(header: Header, model: Any, path: str) -> None:
    """Refuse a whole checkpoint, or components, of another backbone than the one given.

    A slim checkpoint's is checked where it is filled.

    Raises:
        LaftError: names the checkpoint or the components file.
    """
    trained_on = f"the backbone {header.fingerprint}" if header.fingerprint else "no backbone"
    if header.kind == "whole" and model.fingerprint not in ("", header.fingerprint):
        raise LaftError(
            f"{path}: a whole checkpoint, trained on {trained_on}, but --backbone "
            f"{model.backbone_path} has fingerprint {model.fingerprint}; give its own, or none: "
            "it holds every weight"
        )
    if header.fingerprint and model.components_of not in ("", header.fingerprint):
        raise LaftError(
            f"{model.options.language_components}: components of another backbone (fingerprint "
            f"{model.components_of}) than {path}, which was trained on {trained_on}; give its own "
            "file, or none"
        )


def check_widths(state: Mapping[str, Tensor], model: Any, path: str) -> None:
    """Refuse added parts of another size than the model's.

    Raises:
        LaftError: names the checkpoint, the option and the checkpoint's value.
    """
    d = model.encoder.embed_tokens.embedding_dim
    given = _widths(nn.Module.state_dict(model), d)
    if model.decoder.has_adapters:
        given["language_adapter_dim"] = model.options.language_adapter_dim  # may hold none yet
    for option, trained in _widths(state, d).items():
        if given.get(option, trained) != trained:
            raise LaftError(
                f"{path}: trained with {flag(option)} {trained}, not {given[option]}; give the "
                "checkpoint's"
            )


def _widths(state: Mapping[str, Tensor], d: int) -> dict[str, int]:
    """The options that size added parts, read off tensors of a model of width ``d``."""
    layers = {key.split(".")[2] for key in state if key.startswith("encoder.task_module.")}
    widths = {"task_module_layers": len(layers)} if layers else {}
    for key, tensor in state.items():
        if key == "encoder.fusion.down.weight":  # (d_a, 2 d)
            widths["fusion_dim"] = len(tensor)
        elif key == "encoder.layers.0.task_adapter.down.weight":  # (d / reduction, d)
            widths["task_adapter_reduction"] = d // len(tensor)
        elif key == "encoder.layers.0.fc1.lora_A.lora.weight":  # (r, d)
            widths["lora_rank"] = len(tensor)
        elif re.match(r"decoder\.layers\.0\.language_adapter\.[^.]+\.down\.weight", key):
            widths["language_adapter_dim"] = len(tensor)
    return widths


def check_shapes(state: Mapping[str, Tensor], built: Mapping[str, Tensor], path: str) -> None:
    """Refuse what is in both, but of another shape.

    Raises:
        LaftError: names the checkpoint and the tensor.
    """
    for key, tensor in state.items():
        if key in built and tensor.shape != built[key].shape:
            raise LaftError(
                f"{path}: {key} is {tuple(tensor.shape)}, but this model wants "
                f"{tuple(built[key].shape)}; give the --arch and the dictionary of the checkpoint"
            )


def check_parts(
    state: Iterable[str], built: Iterable[str], header: Header, model: Any, path: str
) -> None:
    """Refuse tensors that the model has no place for, and a lack of others.

    Raises:
        LaftError: names the checkpoint, its system and a tensor.
    """
    held, wanted = set(state), set(built)
    if held != wanted:
        name, method = min(held ^ wanted), model.options.method
        raise LaftError(
            f"{path}: does not fit --method {method}: trained with --method {header.method}, it "
            f"{'holds' if name in held else 'lacks'} {name}; start from a checkpoint of --method "
            f"{method}, or from --backbone alone"
        )


def check_finite(state: Mapping[str, Tensor], path: str) -> None:
    """Refuse weights that are no numbers, of which no output would come.

    Raises:
        LaftError: names the checkpoint and a tensor.
    """
    for name, tensor in state.items():
        if not is_finite(tensor):
            raise LaftError(
                f"{path}: its {name} holds infinite numbers or none: that training diverged, or "
                "the file is damaged; use an earlier checkpoint"
            )


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are finite; no tensor of its size is made."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return all(map(torch.isfinite, tensor.aminmax()))
