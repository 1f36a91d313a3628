"""A backbone folder: model.pt and the files of its vocabulary, written whole or not at all."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.backbone import TIED
from laft_fairseq.checkpoints.header import architecture_options
from laft_fairseq.checkpoints.writing import save_torch
from laft_fairseq.errors import LaftError
from laft_fairseq.files import locked, replacing_folder
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.sentencepiece_dictionary import dictionary_text
from laft_fairseq.languages.vocabulary_files import (
    DICTIONARY,
    LANGS_FILE,
    LAYOUT_FILE,
    SENTENCEPIECE,
)

MODEL = "model.pt"


def footprint(state: Mapping[str, Tensor]) -> tuple[int, int, str]:
    """Return the number of mBART's parameters in a state dict, their bytes, and their dtype.

    What is tied counts once; several dtypes are joined by `+`.
    """
    tensors = [t for name, t in state.items() if backbones.is_backbone(name) and name not in TIED]
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    return sum(t.numel() for t in tensors), sum(t.nbytes for t in tensors), "+".join(dtypes)


@dataclass(frozen=True)
class BackboneFolder:
    """A backbone that can be written."""

    state: dict[str, Tensor]  # the tensors under fairseq's names
    options: Namespace  # fairseq's options of the model (`args` of its checkpoints)
    sentencepiece: bytes  # the sentencepiece model
    subwords: list[str]  # its subwords by id, `<unk>` first
    tags: list[str]  # languages, in the order of their rows
    layout: TagLayout  # where the tag stands

    @cached_property
    def fingerprint(self) -> str:
        """The backbone's fingerprint (checkpoints/backbone.py)."""
        return backbones.fingerprint(self.state)

    def files(self) -> dict[str, bytes]:
        """Return the content of the small files by name."""
        return {
            DICTIONARY: dictionary_text(self.subwords).encode(),
            LANGS_FILE: "".join(f"{tag}\n" for tag in self.tags).encode(),
            LAYOUT_FILE: f"{self.layout}\n".encode(),
            SENTENCEPIECE: self.sentencepiece,
        }

    def write(self, out: Path) -> bool:
        """Write the folder ``out``; return False if the same is there already.

        Raises:
            LaftError: something else is there, another run is writing it, or it cannot be written.
        """
        if self._is_written(out):
            return False
        with locked(out.absolute().with_name(f".{out.absolute().name}.lock"), out):
            if self._is_written(out):  # meanwhile
                return False
            with replacing_folder(out) as partial:
                save_torch({"args": self.options, "model": self.state}, partial / MODEL)
                for name, content in self.files().items():
                    (partial / name).write_bytes(content)
        return True

    def _is_written(self, out: Path) -> bool:
        """Whether this backbone is there already; what else is there is refused."""
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return False
        if self._is_in(out):
            return True
        raise LaftError(f"{out}: exists and holds something else; choose another or remove it")

    def _is_in(self, out: Path) -> bool:
        """Whether ``out`` holds exactly this backbone."""
        try:
            if any((out / name).read_bytes() != data for name, data in self.files().items()):
                return False
            there = backbones.read(str(out / MODEL))
        except (OSError, LaftError):
            return False
        dtypes = {name: tensor.dtype for name, tensor in self.state.items()}
        return (
            there.options == architecture_options(vars(self.options))
            and all(tensor.dtype == dtypes.get(name) for name, tensor in there.state.items())
            and there.fingerprint == self.fingerprint
        )


def to_fp16(state: Mapping[str, Tensor], name: str | Path) -> dict[str, Tensor]:
    """Return the state in fp16, tied tensors kept tied.

    Language components, fairseq's version marks and a header stay as they are.

    Raises:
        LaftError: a number too large for fp16, in the model ``name``.
    """
    converted: dict[int, Tensor] = {}  # by address
    half = dict(state)
    for key, tensor in state.items():
        is_weight = backbones.is_backbone(key) or backbones.is_added(key)
        if not is_weight or ".language_components." in key:
            continue
        if tensor.data_ptr() not in converted:
            converted[tensor.data_ptr()] = tensor.half()
        half[key] = converted[tensor.data_ptr()]
        if not half[key].isfinite().all():
            raise LaftError(f"{name}: {key} does not fit into fp16; leave --half out")
    return half
