"""What a checkpoint of the model holds, and what is asked of one that goes into it."""

from typing import Any

from fairseq.models.bart import BARTModel
from torch import nn

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints import checks, completion
from laft_fairseq.checkpoints.header import (
    ARCHITECTURE_OPTIONS,
    HEADER_KEY,
    Header,
    architecture_options,
    pop_header,
)
from laft_fairseq.checkpoints.positions import fit_positions
from laft_fairseq.checkpoints.record import NOT_OURS
from laft_fairseq.checkpoints.untrained_parts import parts_of, parts_trained_by
from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS, trains_encoder
from laft_fairseq.training import frozen_weights


class CheckpointedMBart(BARTModel):
    """mBART whose checkpoints say what they are, and are slim where a backbone was given."""

    encoder: Any
    decoder: Any
    options: Any

    def reset_provenance(self) -> None:
        """Let the model remember no backbone, components or training yet."""
        self.backbone_path, self.fingerprint = "", ""
        self.is_loaded = False  # from a checkpoint
        self.mapped: frozen_weights.FileState | None = None  # the file whose weights are in use
        self.from_backbone: set[str] = set()  # names whose contents are the backbone's
        self.control: str | None = None  # which ablation the components are, or ""; None: none yet
        self.components_of = ""  # fingerprint of the backbone that the file's components are of
        self.components_given: set[str] = set()  # languages whose components are the file's
        self.train_langs: tuple[str, ...] = ()  # where training begins here
        self.untrained = parts_of(name for name, _ in self.named_parameters())  # when it began

    @property
    def backbone_tags(self) -> list[str]:
        """The dictionary's languages that the backbone has a row for."""
        tags = self.encoder.language_tags.tags
        return [tag for tag in tags if tag not in self.encoder.new_tag_rows]

    @property
    def backbone_tag_ids(self) -> list[int]:
        """The tokens of :attr:`backbone_tags`."""
        return self.encoder.language_tags.token_ids[: len(self.backbone_tags)]

    @property
    def architecture_options(self) -> dict[str, Any]:
        """Those of the model's options that no tensor shows (header.py)."""
        return architecture_options(
            {name: getattr(self.args, name, None) for name in ARCHITECTURE_OPTIONS}
        )

    def never_trained(self) -> set[str]:
        """The added parts that no training has touched, this one included (untrained_parts.py)."""
        trained = (name for name, p in self.named_parameters() if p.requires_grad)
        return self.untrained - parts_trained_by(trained, self.train_langs)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's state; slim, without what is still the backbone's, where one was given."""
        if self.mapped is not None and any(map(frozen_weights.is_shared, self.parameters())):
            self.mapped.check()
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        trained = {n for n, p in self.named_parameters(remove_duplicate=False) if p.requires_grad}
        frozen = sorted(self.from_backbone - trained)
        for name in frozen:
            del state[name]
        state[HEADER_KEY] = self.header("slim" if frozen else "whole", frozen).to_tensor()
        return state

    def header(self, kind: str, frozen: list[str]) -> Header:
        """What a checkpoint of this model says of itself."""
        return Header(
            kind=kind,
            method=str(self.options.method),
            langs=self.backbone_tags,
            new_langs=list(self.encoder.new_tag_rows),
            tag_layout=self.encoder.language_tags.layout.value,
            removal=str(self.encoder.removal),
            frozen=frozen,
            fingerprint=self.fingerprint,
            backbone=self.backbone_path,
            mask_source_tag=self.encoder.mask_source_tag,
            control=self.control or "",
            fusion_input=str(self.encoder.fusion_input),
            adapter_norm=str(self.options.adapter_norm) if self.decoder.has_adapters else "",
            options=self.architecture_options,
            untrained=sorted(self.never_trained()),
        )

    def upgrade_state_dict_named(self, state_dict: dict[str, Any], name: str) -> None:
        """Make a checkpoint's model state complete for a strict load, or refuse it.

        Fills the recorded frozen names from the backbone, makes room for the languages that it
        holds, and leaves fresh only parts that the method adds.
        """
        header, origin = pop_header(state_dict)
        path = origin or "checkpoint"
        if header is None:
            raise LaftError(f"{path}: {NOT_OURS}")
        self.is_loaded, same_method = True, header.method == self.options.method
        checks.check_finite(state_dict, path)
        checks.check_header(header, self, path)
        checks.check_backbone(header, self, path)
        if same_method:
            checks.check_adapters(state_dict, self.decoder.has_adapters, path)
            self.control = header.control
        checks.check_widths(state_dict, self, path)
        if header.kind == "slim":
            completion.fill_from_backbone(self, state_dict, header, path)
        else:
            self._remember_backbone(header)
            fit_positions(self, state_dict, path)
        completion.add_missing_languages(self, state_dict, path)
        untrained = (self.untrained - parts_of(state_dict)) | set(header.untrained)
        self.untrained = untrained & parts_of(name for name, _ in self.named_parameters())
        completion.fill_new_tags(self, state_dict, path)
        built = nn.Module.state_dict(self)
        for key, tensor in built.items():
            of_language = ".language_" in key  # a language added since then starts afresh
            added = backbones.is_added(key) and (of_language or not same_method)
            if key not in state_dict and (added or key.endswith(".version")):
                state_dict[key] = tensor
        checks.check_shapes(state_dict, built, path)
        super().upgrade_state_dict_named(state_dict, name)
        checks.check_parts(state_dict, built, header, self, path)

    def _remember_backbone(self, header: Header) -> None:
        """Of a whole checkpoint: whose encoder the model has, if its system trains none."""
        self.from_backbone = set()
        trained = header.method not in METHODS or trains_encoder(header.method)
        if not self.fingerprint and not trained:
            self.fingerprint, self.backbone_path = header.fingerprint, header.backbone
