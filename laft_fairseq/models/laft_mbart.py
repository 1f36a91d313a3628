"""LAFT on mBART (Wu et al., INLG 2022) as a fairseq model, and its architectures."""

from __future__ import annotations

import logging
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.models import register_model
from fairseq.models.bart import BARTModel
from fairseq.models.transformer import TransformerConfig
from torch import Tensor, nn

from laft_fairseq import backbone as backbones
from laft_fairseq import components_file
from laft_fairseq.checkpoint_format import HEADER_KEY, Header, pop_header
from laft_fairseq.errors import LaftError
from laft_fairseq.language_tags import LanguageTags
from laft_fairseq.methods import find, is_trained
from laft_fairseq.models import architectures
from laft_fairseq.models.checkpoint_checks import check_adapters, check_header
from laft_fairseq.models.laft_decoder import LAFTDecoder
from laft_fairseq.models.laft_encoder import LAFTEncoder
from laft_fairseq.models.options import LAFTOptions, options_from
from laft_fairseq.modules.task_adapter import TaskAdapter

logger = logging.getLogger(__name__)


@register_model("laft_mbart")
class LAFTMBart(BARTModel):
    """mBART with what ``--method`` adds (§3), trained in two stages.

    The stage is the task's: it decides what is trained. A backbone, components and adapters
    are put in by :meth:`start` where training begins, or come out of a checkpoint.
    """

    encoder: LAFTEncoder
    decoder: LAFTDecoder

    def __init__(self, args: Namespace, encoder: LAFTEncoder, decoder: LAFTDecoder) -> None:
        super().__init__(args, encoder, decoder)
        self.options = options_from(args)
        self.stage = args.stage
        self.backbone_path, self.fingerprint = "", ""
        self.from_backbone: set[str] = set()  # names whose contents are the backbone's
        self.control: str | None = None  # what the components are a control for; None: none yet
        if self.options.task_module_init == "identity":
            if encoder.task_module is not None:
                encoder.task_module.start_as_identity()
            if encoder.fusion is not None:
                encoder.fusion.start_as_identity()
        for module in self.modules():
            if isinstance(module, TaskAdapter):  # BERT's initialisation went over it
                module.start()
        self.freeze()

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        """mBART's options and :class:`LAFTOptions`."""
        super(LAFTMBart, LAFTMBart).add_args(parser)
        gen_parser_from_dataclass(parser, LAFTOptions(), delete_default=True)

    @classmethod
    def build_model(cls, args: Namespace, task: Any) -> LAFTMBart:
        """Build the bare model; the task says stage and languages."""
        architectures.laft_mbart(args)
        if args.backbone:
            args.backbone = os.path.abspath(args.backbone)  # as the header will record it
        args.stage = task.stage
        args.dictionary_tags = list(task.tags)
        return super().build_model(args, task)

    @classmethod
    def build_encoder(
        cls, args: Namespace, src_dict: Dictionary, embed_tokens: nn.Embedding
    ) -> LAFTEncoder:
        """The encoder's side of the method."""
        return LAFTEncoder(*cls._parts(args, src_dict, embed_tokens))

    @classmethod
    def build_decoder(
        cls, args: Namespace, tgt_dict: Dictionary, embed_tokens: nn.Embedding
    ) -> LAFTDecoder:
        """The decoder's side of the method."""
        return LAFTDecoder(*cls._parts(args, tgt_dict, embed_tokens))

    @staticmethod
    def _parts(args: Namespace, dictionary: Dictionary, embed_tokens: nn.Embedding) -> tuple:
        options = options_from(args)
        tags = LanguageTags(dictionary, args.dictionary_tags)
        cfg = TransformerConfig.from_namespace(args)
        return cfg, dictionary, embed_tokens, find(options.method), options, tags

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor,
        prev_output_tokens: Tensor,
        features_only: bool = False,
        output_language: Tensor | None = None,
        decoded_rows: Tensor | None = None,
        **unused: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """(B, S) source and (B, T) decoder input, or (R, T) of ``decoded_rows`` -> logits."""
        encoded = self.encoder(
            src_tokens, src_lengths, output_language=output_language, decoded_rows=decoded_rows
        )
        return self.decoder(prev_output_tokens, encoder_out=encoded, features_only=features_only)

    @property
    def tags(self) -> tuple[str, ...]:
        """The dictionary's languages, in order."""
        return self.encoder.language_tags.tags

    def freeze(self) -> None:
        """Set ``requires_grad`` of every parameter, both ways, by its name (methods.py)."""
        layers = self.encoder.num_layers
        for name, parameter in self.named_parameters():
            parameter.requires_grad = is_trained(name, self.options.method, self.stage, layers)
        self.encoder.frozen = not any(
            parameter.requires_grad
            for name, parameter in self.encoder.named_parameters()
            if not backbones.is_added(name) or ".task_adapter." in name  # runs inside the layers
        )

    def start(self, train_langs: Sequence[str]) -> None:
        """Put in what training begins with: backbone, language components, fresh adapters.

        Raises:
            LaftError: a file is missing, damaged or does not fit.
        """
        if self.options.backbone:
            self.load_backbone(backbones.read(self.options.backbone))
        if self.encoder.reads_components(self.options.language_components):
            self.load_components(str(self.options.language_components), train_langs)
        tags = [t for t in (self.options.adapter_langs or "").split(",") if t] or list(train_langs)
        for tag in tags:
            self.add_adapter(tag)

    def add_adapter(self, tag: str) -> None:
        """A fresh adapter for ``tag`` in every decoder layer, where the method has them."""
        if tag not in self.tags:
            raise LaftError(f"language {tag}: not among the dictionary's {', '.join(self.tags)}")
        if self.decoder.has_adapters and tag not in self.decoder.adapter_tags():
            self.decoder.add_adapters(tag)
            self.freeze()

    def load_backbone(self, backbone: backbones.Backbone) -> None:
        """Copy a pretrained mBART in, whole, after checking that it fits."""
        own = {n: t for n, t in nn.Module.state_dict(self).items() if backbones.is_backbone(n)}
        backbones.check(backbone, {name: t.shape for name, t in own.items()}, self.tags)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(backbone.state[name])
        self.backbone_path, self.fingerprint = os.path.abspath(backbone.path), backbone.fingerprint
        self.from_backbone = set(own)

    def load_components(self, path: str, train_langs: Sequence[str]) -> None:
        """Hold c_L and the mean s_L of each of the file's languages that the dictionary knows."""
        d = self.encoder.embed_tokens.embedding_dim
        components = components_file.load(path)
        components.expect(fingerprint=self.fingerprint or None, d=d)
        components.expect_use(self.encoder.mask_source_tag, self.encoder.removal)
        self.control = components.control.words if components.control else ""
        if self.control:
            logger.warning("%s: a control: %s", path, self.control)
        for tag in [*train_langs, *(tag for tag in components.languages if tag in self.tags)]:
            entry = components.select(tag)
            mean = entry.mean_removed[self.encoder.removal]
            self.encoder.set_components(tag, entry.used(self.encoder.removal), mean)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Slim where a backbone was given: without what is frozen and still the backbone's."""
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        trained = {n for n, p in self.named_parameters(remove_duplicate=False) if p.requires_grad}
        frozen = sorted(self.from_backbone - trained)
        for name in frozen:
            del state[name]
        state[HEADER_KEY] = self.header("slim" if frozen else "whole", frozen).to_tensor()
        return state

    def whole_state_dict(self) -> dict[str, Any]:
        """Every tensor, with a header that says so."""
        state: dict[str, Any] = super().state_dict()
        state[HEADER_KEY] = self.header("whole", []).to_tensor()
        return state

    def header(self, kind: str, frozen: list[str]) -> Header:
        """What a checkpoint of this model says of itself."""
        return Header(
            kind=kind,
            method=str(self.options.method),
            langs=list(self.tags),
            removal=str(self.encoder.removal),
            frozen=frozen,
            fingerprint=self.fingerprint,
            backbone=self.backbone_path,
            mask_source_tag=self.encoder.mask_source_tag,
            control=self.control or "",
            fusion_input=str(self.encoder.fusion_input),
            adapter_norm=str(self.options.adapter_norm) if self.decoder.has_adapters else "",
        )

    def upgrade_state_dict_named(self, state_dict: dict[str, Any], name: str) -> None:
        """Make a checkpoint's model state complete for a strict load, or refuse it.

        Fills the recorded frozen names from the backbone, makes room for the languages that it
        holds, and leaves fresh only parts that the method adds.
        """
        header, origin = pop_header(state_dict)
        if header is not None:
            check_header(header, self.header("whole", []), self.control, origin)
            if header.method == self.options.method:
                check_adapters(state_dict, self.decoder.has_adapters, origin)
                self.control = header.control
        if header is not None and header.kind == "slim":
            self._fill_from_backbone(state_dict, header, origin)
        else:
            self.from_backbone = set()
        self._make_room(state_dict)
        same_method = header is not None and header.method == self.options.method
        for key, tensor in nn.Module.state_dict(self).items():
            of_language = ".language_" in key  # a language added since then starts afresh
            added = backbones.is_added(key) and (of_language or not same_method)
            if key not in state_dict and (added or key.endswith(".version")):
                state_dict[key] = tensor
        super().upgrade_state_dict_named(state_dict, name)

    def _fill_from_backbone(self, state: dict[str, Any], header: Header, origin: str) -> None:
        if header.fingerprint == self.fingerprint:
            source = dict(nn.Module.state_dict(self))
            source = {n: t for n, t in source.items() if n in self.from_backbone}
        else:
            if self.fingerprint:
                raise LaftError(
                    f"{origin or 'checkpoint'}: trained on another backbone than "
                    f"{self.backbone_path}; give the one it was trained on"
                )
            given = self.options.backbone  # after training the option is but the recorded path
            option = None if given == header.backbone else given
            backbone = backbones.find(option, origin, header.backbone, header.fingerprint)
            source = backbone.state
            self.backbone_path, self.fingerprint = backbone.path, backbone.fingerprint
        for name in header.frozen:
            if name not in source:
                raise LaftError(
                    f"{origin or 'checkpoint'}: wants {name} from the backbone: not there"
                )
            state[name] = source[name]
        self.from_backbone = set(header.frozen)

    def _make_room(self, state: dict[str, Any]) -> None:
        """Adapters and components for each language in the checkpoint."""
        for key, tensor in state.items():
            if key.startswith("decoder.layers.0.language_adapter."):
                self.add_adapter(key.split(".")[4])
            if key.startswith("encoder.language_components.") and key.endswith(".components"):
                self._make_room_for_components(key.split(".")[2], tensor)

    def _make_room_for_components(self, tag: str, components: Tensor) -> None:
        held = self.encoder.language_components
        own = getattr(held[tag], "components") if tag in held else components  # noqa: B009
        if own.shape != components.shape:
            raise LaftError(
                f"{self.options.language_components}: {own.size(1)} components "
                f"for {tag}, but the checkpoint was trained with {components.size(1)}; "
                "use the file that it was trained with"
            )
        self.encoder.set_components(tag, components.clone(), components[:, 0].clone())


architectures.register()
