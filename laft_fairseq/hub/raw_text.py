"""Raw text to token ids and back, and where the files for it lie.

The ids are those of preprocess/binarize.sh, the text that of fairseq's ``--bpe sentencepiece``.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from fairseq.data import Dictionary
from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE, SentencepieceConfig
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.record import Checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.vocabulary_files import DICTIONARY, SENTENCEPIECE

# A line end would make two lines of one text; byte fallback can write one, and a tab.
WHITE = str.maketrans("\r\n\t", "   ")
WORD_START = "\u2581"  # sentencepiece's mark
REMEDIES = {
    DICTIONARY: "--data names the folder that has it (a data-bin, or the backbone's)",
    SENTENCEPIECE: "give the backbone's by --sentencepiece-model",
}


def folders(checkpoint: Checkpoint, data: str | None, backbone: str | None) -> list[Path]:
    """The folders in which dictionary and sentencepiece model are looked for, in order.

    ``data``, the checkpoint's folder, those where its backbone is looked for
    (checkpoints/backbone.py), and the data directory that it was trained on.
    """
    recorded = checkpoint.header.backbone if checkpoint.header is not None else ""
    files = [checkpoint.path, *backbones.places(backbone, checkpoint.path, recorded)]
    names = [data, *(str(Path(path).parent) for path in files), checkpoint.data]
    return [Path(name) for name in dict.fromkeys(names) if name and Path(name).is_dir()]


def find_file(name: str, places: list[Path], checkpoint: str) -> Path:
    """The first ``name``, DICTIONARY or SENTENCEPIECE, in the folders ``places``.

    Raises:
        LaftError: there is none; names the checkpoint, the folders and the remedy.
    """
    for folder in places:
        if (folder / name).is_file():
            return folder / name
    looked_in = ", ".join(map(str, dict.fromkeys(places))) or "any folder"
    raise LaftError(f"{checkpoint}: no {name} in {looked_in}; {REMEDIES[name]}")


@dataclass(frozen=True)
class Vocabulary:
    """The two files that a checkpoint's text is read with; the first lies beside its tags."""

    dictionary: Path
    sentencepiece: Path


def vocabulary_of(
    checkpoint: Checkpoint,
    data: str | os.PathLike[str] | None,
    sentencepiece_model: str | os.PathLike[str] | None,
    backbone: str | None,
) -> Vocabulary:
    """Find a checkpoint's dictionary and sentencepiece model, where they are not given."""
    given = None if data is None else Path(data)
    places = folders(checkpoint, None if given is None else str(given), backbone)
    dictionary = find_file(DICTIONARY, [given] if given else places, checkpoint.path)
    if sentencepiece_model is None:
        places = [dictionary.parent, *places]
        return Vocabulary(dictionary, find_file(SENTENCEPIECE, places, checkpoint.path))
    return Vocabulary(dictionary, Path(sentencepiece_model))


class SubwordTokenizer:
    """Text as ids of sentencepiece's subwords, and back.

    Raises:
        LaftError: not a sentencepiece model, or not the dictionary's: the dictionary holds the
            subwords in order (sentencepiece_dictionary.py).
    """

    def __init__(self, path: Path, dictionary: Dictionary) -> None:
        _check(path, sentencepiece_dictionary.read_subwords(path), dictionary)
        self.bpe = SentencepieceBPE(SentencepieceConfig(sentencepiece_model=str(path)))
        self.dictionary = dictionary

    def encode(self, text: str, inside: bool = False) -> Tensor:
        """The ids of a text, line ends in it read as spaces: (n,) int64 ``X </s>``.

        ``inside`` a text without spaces it has no word start before it.
        """
        subwords = self.bpe.encode(text.replace("\r", " ").replace("\n", " "))
        subwords = subwords.removeprefix(f"{WORD_START} ") if inside else subwords
        ids = self.dictionary.encode_line(subwords, add_if_not_exist=False, append_eos=True)
        return torch.as_tensor(ids).long()

    def decode(self, tokens: Tensor, ignored: set[int]) -> str:
        """The text, in one line, of (n,) ids of an output, without ``</s>`` and ``ignored`` ids."""
        subwords = self.dictionary.string(tokens, extra_symbols_to_ignore=ignored)
        return self.bpe.decode(subwords).translate(WHITE).strip()


def _check(path: Path, subwords: list[str], dictionary: Dictionary) -> None:
    """Refuse a sentencepiece model of which the ids would not be the dictionary's."""
    remedy = REMEDIES[SENTENCEPIECE]
    for number in range(len(sentencepiece_dictionary.FIRST), len(subwords)):
        entry = dictionary[number + sentencepiece_dictionary.OFFSET]
        if subwords[number] != entry:
            raise LaftError(
                f"{path}: its subword {number} is {subwords[number]!r}, but the dictionary has "
                f"{entry!r} there; {remedy}"
            )
    after = dictionary[len(subwords) + sentencepiece_dictionary.OFFSET]
    if not after.startswith(("[", "<")):  # neither a tag nor <mask>
        raise LaftError(
            f"{path}: ends with subword {len(subwords) - 1}, but the dictionary goes on with "
            f"{after!r}; {remedy}"
        )
