"""Raw text to token ids and back, and where the files for it lie.

The ids are those of preprocess/binarize.sh, the text that of fairseq's ``--bpe sentencepiece``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE, SentencepieceConfig
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.record import Checkpoint
from laft_fairseq.compat.startup import decode_byte_pieces
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.vocabulary_files import DICTIONARY, SENTENCEPIECE

# A line end would make two lines of one text; byte fallback can write one, and a tab.
WHITE = str.maketrans("\r\n\t", "   ")


def folders(checkpoint: Checkpoint, data: str | None, backbone: str | None) -> list[Path]:
    """The folders in which dictionary and sentencepiece model are looked for, in order.

    ``data``, the checkpoint's folder, those where its backbone is looked for
    (checkpoints/backbone.py), and the data directory that it was trained on.
    """
    recorded = checkpoint.header.backbone if checkpoint.header is not None else ""
    places = backbones.places(backbone, checkpoint.path, recorded)
    files = [checkpoint.path, *places]
    names = [data, *(str(Path(path).parent) for path in files), checkpoint.data]
    return [Path(folder) for folder in dict.fromkeys(filter(None, names)) if os.path.isdir(folder)]


def find_dictionary(checkpoint: str, data: str | None, places: list[Path]) -> Path:
    """The folder of ``dict.txt``: ``data``, else the first of ``places`` that has one.

    Raises:
        LaftError: there is none.
    """
    for folder in [Path(data)] if data else places:
        if (folder / DICTIONARY).is_file():
            return folder
    if data:
        raise LaftError(f"{data}: no {DICTIONARY} there; --data names a data-bin or the backbone's")
    raise LaftError(
        f"{checkpoint}: no {DICTIONARY} in {_listed(places)}; --data names the folder that has it "
        "(a data-bin, or the backbone's)"
    )


def find_sentencepiece(checkpoint: str, given: str | None, places: list[Path]) -> Path:
    """The sentencepiece model: ``given``, else the first ``sentence.bpe.model`` of ``places``.

    Raises:
        LaftError: there is none.
    """
    if given:
        if not os.path.isfile(given):
            raise LaftError(f"{given}: no such file (--sentencepiece-model)")
        return Path(given)
    for folder in places:
        if (folder / SENTENCEPIECE).is_file():
            return folder / SENTENCEPIECE
    raise LaftError(
        f"{checkpoint}: no {SENTENCEPIECE} in {_listed(places)}; give the backbone's by "
        "--sentencepiece-model"
    )


def _listed(places: list[Path]) -> str:
    return ", ".join(map(str, dict.fromkeys(places))) or "any folder"


class SubwordTokenizer:
    """Texts as ids of sentencepiece's pieces, and back.

    Raises:
        LaftError: not a sentencepiece model, or not the dictionary's: the dictionary holds the
            pieces in order (sentencepiece_dictionary.py).
    """

    def __init__(self, path: Path, dictionary: Dictionary) -> None:
        names = sentencepiece_dictionary.pieces(path)
        _check(path, names, dictionary)
        decode_byte_pieces()
        self.bpe = SentencepieceBPE(SentencepieceConfig(sentencepiece_model=str(path)))
        self.dictionary = dictionary

    def encode(self, text: str) -> Tensor:
        """A text, line ends in it read as spaces -> (n,) int64 ``X </s>``."""
        pieces = self.bpe.encode(text.replace("\r", " ").replace("\n", " "))
        ids = self.dictionary.encode_line(pieces, add_if_not_exist=False, append_eos=True)
        return torch.as_tensor(ids).long()

    def decode(self, tokens: Tensor, ignored: set[int]) -> str:
        """(n,) ids of an output -> one line of text, without ``</s>`` and the ``ignored`` ids."""
        pieces = self.dictionary.string(tokens, extra_symbols_to_ignore=ignored)
        text: str = self.bpe.decode(pieces)
        return text.translate(WHITE).strip()


def _check(path: Path, names: list[str], dictionary: Dictionary) -> None:
    """Refuse a sentencepiece model of which the ids would not be the dictionary's."""
    for number in range(len(sentencepiece_dictionary.FIRST), len(names)):
        entry = dictionary[number + sentencepiece_dictionary.OFFSET]
        if names[number] != entry:
            raise LaftError(
                f"{path}: its piece {number} is {names[number]!r}, but the dictionary has "
                f"{entry!r} there; give the backbone's own by --sentencepiece-model"
            )
    after = dictionary[len(names) + sentencepiece_dictionary.OFFSET]
    if not after.startswith(("[", "<")):  # neither a tag nor <mask>
        raise LaftError(
            f"{path}: ends with piece {len(names) - 1}, but the dictionary goes on with {after!r}; "
            "give the backbone's own by --sentencepiece-model"
        )


def decoded_lines(stream: Any, name: str) -> Iterator[str]:
    r"""The lines of a binary stream as UTF-8, without their ends, as they come.

    Only ``\n`` ends a line.

    Raises:
        LaftError: a line is not UTF-8.
    """
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise LaftError(
                f"{name}: line {number} is not UTF-8 (byte {error.start + 1}, "
                f"0x{line[error.start]:02x}); convert it first, for example with iconv"
            ) from None
