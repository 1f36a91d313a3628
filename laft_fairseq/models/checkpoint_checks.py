"""What a checkpoint was trained with, against the model that is to read it."""

from __future__ import annotations

from collections.abc import Iterable

from laft_fairseq.checkpoint_format import Header
from laft_fairseq.errors import LaftError
from laft_fairseq.methods import METHODS, trains_encoder


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
    if header.method != own.method:
        _check_encoder(header, own, name)
        return
    if header.removal != own.removal:
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
