"""LAFT on mBART (Wu et al., INLG 2022) as a fairseq model, and its architectures."""

import logging
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any, Self

from fairseq.data import Dictionary
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.models import register_model
from fairseq.models.transformer import TransformerConfig
from torch import Tensor, nn

from laft_fairseq.baselines.lora import add_lora
from laft_fairseq.baselines.task_adapter import TaskAdapter
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.checkpointed_model import CheckpointedMBart
from laft_fairseq.checkpoints.header import check_options
from laft_fairseq.checkpoints.positions import fit_positions
from laft_fairseq.checkpoints.untrained_parts import language_of
from laft_fairseq.components import file as components_file
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import backbone_part
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.new_tag_embeddings import mean_of_tags
from laft_fairseq.languages.tags import split_tags
from laft_fairseq.method.systems import find, is_trained
from laft_fairseq.models import architectures
from laft_fairseq.models.laft_decoder import LAFTDecoder
from laft_fairseq.models.laft_encoder import LAFTEncoder
from laft_fairseq.models.options import LAFTOptions, options_from
from laft_fairseq.training import frozen_weights

logger = logging.getLogger(__name__)


@register_model("laft_mbart")
class LAFTMBart(CheckpointedMBart):
    """mBART with the modules of ``--method`` (section 3), trained in two stages.

    The task's stage decides what is trained. Backbone, components and adapters are set by
    :meth:`start` where training begins, or come from a checkpoint.
    """

    recorded: Namespace  # fairseq's options, as checkpoints record them
    backbone_named = False  # whether a backbone's path was given when a checkpoint was loaded

    def __init__(self, args: Namespace, encoder: LAFTEncoder, decoder: LAFTDecoder) -> None:
        super().__init__(args, encoder, decoder)
        self.options = options_from(args)
        self.stage = args.stage
        if "lora" in find(self.options.method).modules:
            add_lora(self, self.options.lora_rank)
        self.reset_provenance()
        if self.options.task_module_init == "identity":
            if encoder.task_module is not None:
                encoder.task_module.start_as_identity()
            if encoder.fusion is not None:
                encoder.fusion.start_as_identity()
        for module in self.modules():
            if isinstance(module, TaskAdapter):  # undo BERT's initialisation
                module.reset_parameters()
        self.start_new_tags()
        self.freeze()

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        """Add mBART's options and those of :class:`LAFTOptions`."""
        super(LAFTMBart, LAFTMBart).add_args(parser)
        gen_parser_from_dataclass(parser, LAFTOptions(), delete_default=True)

    @classmethod
    def build_model(cls, args: Namespace, task: Any) -> Self:
        """Build the bare model, for the task's stage and languages."""
        architectures.laft_mbart(args)
        if args.backbone:
            args.backbone = os.path.abspath(args.backbone)  # as the header records it
        args.stage = task.stage
        args.dictionary_tags, args.tag_layout = list(task.tags), task.layout.value
        model: LAFTMBart = super().build_model(args, task)
        model.recorded = args  # the model's own are a copy
        return model

    @classmethod
    def build_embedding(
        cls, args: Namespace, dictionary: Dictionary, embed_dim: int, path: str | None = None
    ) -> nn.Embedding:
        """Build the backbone's embedding; new languages' tags have rows of their own beside it."""
        return super().build_embedding(args, backbone_part(dictionary), embed_dim, path)

    @classmethod
    def build_encoder(
        cls, args: Namespace, src_dict: Dictionary, embed_tokens: nn.Embedding
    ) -> LAFTEncoder:
        """Build the encoder."""
        return LAFTEncoder(*cls._parts(args, src_dict, embed_tokens))

    @classmethod
    def build_decoder(
        cls, args: Namespace, tgt_dict: Dictionary, embed_tokens: nn.Embedding
    ) -> LAFTDecoder:
        """Build the decoder."""
        return LAFTDecoder(*cls._parts(args, tgt_dict, embed_tokens))

    @staticmethod
    def _parts(args: Namespace, dictionary: Dictionary, embed_tokens: nn.Embedding) -> tuple:
        options = options_from(args)
        tags = LanguageTags(dictionary, args.dictionary_tags, TagLayout(args.tag_layout))
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
        """Return logits for (B, S) sources and (B, T) decoder inputs, or (R, T) of decoded rows."""
        encoded = self.encoder(
            src_tokens, src_lengths, output_language=output_language, decoded_rows=decoded_rows
        )
        return self.decoder(prev_output_tokens, encoder_out=encoded, features_only=features_only)

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the dictionary's languages, in order; those new to the backbone come last."""
        return self.encoder.language_tags.tags

    def start_new_tags(self) -> None:
        """Initialise each new language's tag as the mean of the backbone's tags."""
        row = mean_of_tags(self.encoder.embed_tokens.weight, self.backbone_tag_ids)
        for side in (self.encoder, self.decoder):
            side.new_tag_rows.start(row)

    def freeze(self) -> None:
        """Set ``requires_grad`` of every parameter, both ways, by its name (systems.py)."""
        layers = self.encoder.num_layers
        for name, parameter in self.named_parameters():
            parameter.requires_grad = is_trained(name, self.options.method, self.stage, layers)
        self.encoder.frozen = not any(
            parameter.requires_grad
            for name, parameter in self.encoder.named_parameters()
            # what is added, but runs inside the layers
            if not backbones.is_added(name) or ".task_adapter." in name or ".lora." in name
        )

    def start(self, train_langs: Sequence[str]) -> None:
        """Set what training begins with: backbone, language components, fresh adapters."""
        self.train_langs = tuple(train_langs)
        if self.options.backbone:
            self.load_backbone(backbones.read(self.options.backbone))
        path = self.options.language_components
        if path and self.encoder.needs_components:
            self.load_components(path, train_langs)
        elif path:
            logger.warning("--language-components %s: not read: this system removes nothing", path)
        adapted = split_tags(self.options.adapter_langs, "--adapter-langs") or train_langs
        without = [tag for tag in train_langs if tag not in adapted]
        if self.decoder.has_adapters and without:
            raise LaftError(
                f"--adapter-langs {','.join(adapted)}: lacks {without[0]}, which is trained on; "
                "add it, or leave it out of --train-langs"
            )
        for tag in adapted:
            self.add_adapter(tag)

    def untrained_tags(self) -> set[str]:
        """Return the languages whose added parts were never trained."""
        return set(filter(None, map(language_of, self.never_trained())))

    def add_adapter(self, tag: str) -> None:
        """Add an adapter for ``tag`` to every decoder layer, where the system has adapters."""
        if tag not in self.tags:
            raise LaftError(
                f"language {tag}: not in the dictionary, which has {', '.join(self.tags)}"
            )
        if self.decoder.has_adapters and tag not in self.decoder.adapter_tags():
            self.decoder.add_adapters(tag)
            self.untrained.add(f"language_adapter.{tag}")
            self.freeze()

    def backbone_parameters(self) -> dict[str, nn.Parameter]:
        """Return the backbone's parameters, under all their names."""
        named = self.named_parameters(remove_duplicate=False)
        return {name: parameter for name, parameter in named if backbones.is_backbone(name)}

    def load_backbone(self, backbone: backbones.Backbone) -> None:
        """Load a pretrained mBART after checking that it fits; position tables take its size."""
        fit_positions(self, backbone.state)
        parameters = self.backbone_parameters()
        layout = self.encoder.language_tags.layout
        shapes = {name: parameter.shape for name, parameter in parameters.items()}
        backbones.check(backbone, shapes, self.backbone_tags, layout)
        check_options(backbone.options, self.architecture_options, backbone.path)
        frozen_weights.adopt(parameters, backbone.state)
        self.start_new_tags()
        self.backbone_path, self.fingerprint = os.path.abspath(backbone.path), backbone.fingerprint
        self.from_backbone, self.mapped = set(parameters), backbone.file
        frozen_weights.release(parameters.values())  # the fingerprint has read all of it

    def load_components(self, path: str, train_langs: Sequence[str]) -> None:
        """Load c_L and the mean s_L of each of the file's languages that the dictionary has."""
        d = self.encoder.embed_tokens.embedding_dim
        components = components_file.load(path)
        components.expect(fingerprint=self.fingerprint or None, d=d)
        layout, removal = self.encoder.language_tags.layout, self.encoder.removal
        components.expect_use(self.encoder.mask_source_tag, layout, removal)
        self.control = components.control.words if components.control else ""
        self.components_of = components.fingerprint
        if self.control:
            logger.warning("%s: an ablation: %s", path, self.control)
        for tag in [*train_langs, *(tag for tag in components.languages if tag in self.tags)]:
            entry = components.select(tag)
            self.encoder.set_components(tag, entry.used(removal), entry.mean_removed[removal])
            self.components_given.add(tag)


architectures.register()


def laft_model_in(model: Any) -> LAFTMBart | None:
    """Return the LAFTMBart that fairseq's trainer wraps; None for another model."""
    return next((module for module in model.modules() if isinstance(module, LAFTMBart)), None)
