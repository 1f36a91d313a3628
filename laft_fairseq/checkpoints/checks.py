"""What a checkpoint was trained with, against the model that is to read it."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from laft_fairseq.checkpoints.header import Header, check_options
from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS, trains_encoder


def own_header(found: Header | None, args: Namespace, starts: bool, origin: str) -> Header:
    """The header, without which nothing says what a checkpoint is.

    Args:
        found: in the checkpoint.
        args: fairseq's options, which name the file where ``origin`` does not.
        starts: whether training begins here.
        origin: path of the checkpoint, or "".

    Raises:
        LaftError: there is none.
    """
    if found is not None:
        return found
    given = ("finetune_from_model", "restore_file") if starts else ()
    paths = (origin, *(getattr(args, option, None) for option in given), "checkpoint")
    raise LaftError(
        f"{next(filter(None, paths))}: not written by laft_fairseq, so its languages and shape are "
        "not known; a pretrained mBART goes to --backbone"
    )


def check_header(header: Header, own: Header, control: str | None, origin: str) -> None:
    """Refuse a checkpoint of other languages or tag layout, or of the same method otherwise made.

    Args:
        header: the checkpoint's.
        own: the model's.
        control: of the components that the model has read; None if it has read none.
        origin: path of the checkpoint, or "".

    Raises:
        LaftError: names the checkpoint, what differs and the remedy.
    """
    name = origin or "checkpoint"
    if header.langs != own.langs:
        raise LaftError(
            f"{name}: trained with languages {','.join(header.langs)}, in this order, but "
            f"--langs or langs.txt says {','.join(own.langs)}; use the checkpoint's list"
        )
    if own.new_langs[: len(header.new_langs)] != header.new_langs:
        raise LaftError(
            f"{name}: trained with the new languages {','.join(header.new_langs)}, in this order, "
            f"but --new-langs or new-langs.txt says {','.join(own.new_langs) or 'none'}; use the "
            "checkpoint's list, to which more may be added"
        )
    if header.tag_layout != own.tag_layout:
        raise LaftError(
            f"{name}: trained with the tag layout {header.tag_layout}, but --tag-layout or the "
            f"data's tag-layout.txt says {own.tag_layout}; use the checkpoint's"
        )
    check_options(header.options, own.options, name)
    if header.method != own.method:
        _check_encoder(header, own, name)
        return
    removes = "fusion" in METHODS[own.method].modules  # older files name a removal in every row
    if removes and header.removal != own.removal:
        raise LaftError(f"{name}: trained with --removal {header.removal}, not {own.removal}")
    if header.mask_source_tag != own.mask_source_tag:
        with_or_without = "with" if header.mask_source_tag else "without"
        raise LaftError(f"{name}: trained {with_or_without} --mask-source-tag; do the same here")
    for option in ("fusion_input", "adapter_norm"):  # no tensor's shape tells these apart
        trained, given = getattr(header, option), getattr(own, option)
        if trained and given and trained != given:
            flag = "--" + option.replace("_", "-")
            raise LaftError(f"{name}: trained with {flag} {trained}, not {given}")
    if control is not None and header.control != control:
        raise LaftError(
            f"{name}: trained with {header.control or 'true components'}, but "
            f"--language-components gives {control or 'true ones'}; give its own file, or none"
        )


def _check_encoder(header: Header, own: Header, name: str) -> None:
    """Components describe the encoder that they were estimated with, and no trained one."""
    removes = "fusion" in METHODS[own.method].modules
    if removes and header.method in METHODS and trains_encoder(header.method):
        raise LaftError(
            f"{name}: --method {header.method} has trained its encoder, so the language components "
            f"of the backbone are not its own; for --method {own.method} make it a backbone by "
            "`laft export --as-backbone`, with components of its own by `laft components`"
        )


def check_adapters(state: Iterable[str], has_adapters: bool, origin: str) -> None:
    """Refuse language adapters where the model of the same method has none, and the reverse.

    Raises:
        LaftError: names the checkpoint and the option.
    """
    held = any(".language_adapter." in key for key in state)
    name = origin or "checkpoint"
    if held and not has_adapters:
        raise LaftError(
            f"{name}: holds language adapters, which this model has no place for; leave out "
            "--language-adapter-dim 0, or train stage 1 with it too"
        )
    if has_adapters and not held:
        raise LaftError(
            f"{name}: holds no language adapters; give --language-adapter-dim 0, as in its "
            "own training"
        )


def check_backbone(header: Header, model: Any, origin: str) -> None:
    """Refuse a whole checkpoint, or components, of another backbone than the one given.

    A slim checkpoint's is checked where it is filled. ``model`` is a LAFTMBart.

    Raises:
        LaftError: names the checkpoint or the components file.
    """
    name = origin or "checkpoint"
    of = f"the backbone {header.fingerprint}" if header.fingerprint else "no backbone"
    if header.kind == "whole" and model.fingerprint not in ("", header.fingerprint):
        raise LaftError(
            f"{name}: a whole checkpoint, trained on {of}, but --backbone {model.backbone_path} "
            f"has fingerprint {model.fingerprint}; give its own, or none: it holds every weight"
        )
    if header.fingerprint and model.components_of not in ("", header.fingerprint):
        raise LaftError(
            f"{model.options.language_components}: components of another backbone (fingerprint "
            f"{model.components_of}) than {name}, which was trained on {of}; give its own file, or "
            "none"
        )


def check_widths(state: Mapping[str, Tensor], model: Any, origin: str) -> None:
    """Refuse added parts of another size than the model's. ``model`` is a LAFTMBart.

    Raises:
        LaftError: names the checkpoint, the option and the checkpoint's value.
    """
    d = model.encoder.embed_tokens.embedding_dim
    own = _widths(nn.Module.state_dict(model), d)
    if model.decoder.has_adapters:
        own["language_adapter_dim"] = model.options.language_adapter_dim  # there may be none yet
    for option, trained in _widths(state, d).items():
        if own.get(option, trained) != trained:
            flag = "--" + option.replace("_", "-")
            raise LaftError(
                f"{origin or 'checkpoint'}: trained with {flag} {trained}, not {own[option]}; give "
                "the checkpoint's"
            )


def _widths(state: Mapping[str, Tensor], d: int) -> dict[str, int]:
    """The options that size added parts, read off tensors of a model of width ``d``."""
    layers = {key.split(".")[2] for key in state if key.startswith("encoder.task_module.")}
    found = {"task_module_layers": len(layers)} if layers else {}
    for key, tensor in state.items():
        if key == "encoder.fusion.down.weight":  # (d_a, 2 d)
            found["fusion_dim"] = len(tensor)
        elif key == "encoder.layers.0.task_adapter.down.weight":  # (d / reduction, d)
            found["task_adapter_reduction"] = d // len(tensor)
        elif re.match(r"decoder\.layers\.0\.language_adapter\.[^.]+\.down\.weight", key):
            found["language_adapter_dim"] = len(tensor)
    return found


def check_shapes(state: Mapping[str, Tensor], own: Mapping[str, Tensor], origin: str) -> None:
    """Refuse what is in both, but of another shape.

    Raises:
        LaftError: names the checkpoint and the tensor.
    """
    for key, tensor in state.items():
        if key in own and tensor.shape != own[key].shape:
            raise LaftError(
                f"{origin or 'checkpoint'}: {key} is {tuple(tensor.shape)}, but this model wants "
                f"{tuple(own[key].shape)}; give the --arch and the dictionary of the checkpoint"
            )
