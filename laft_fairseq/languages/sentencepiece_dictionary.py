"""A sentencepiece model's subwords as fairseq's ``dict.txt``.

The ids of a sentencepiece model begin with ``<unk> <s> </s>``, fairseq's with
``<s> <pad> </s> <unk>``. ``dict.txt`` holds the subwords from sentencepiece's id 3 on, in order, so
that fairseq's id of a subword is sentencepiece's + 1; language tags and ``<mask>`` follow at run
time (dictionary.py), so a vocabulary has subwords + 1 + tags + 1 entries.
"""

from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError

FIRST = ("<unk>", "<s>", "</s>")  # sentencepiece's ids 0 to 2
OFFSET = 1  # fairseq's id of a subword - sentencepiece's
FAIRSEQ_FIRST = ("<s>", "<pad>", "</s>", "<unk>")  # fairseq's ids 0 to 3


def load(model_path: str | Path) -> Any:
    """Return the ``SentencePieceProcessor`` of a file.

    Raises:
        LaftError: no such file, or not a sentencepiece model.
    """
    import sentencepiece

    if not Path(model_path).is_file():
        raise LaftError(f"{model_path}: no such sentencepiece model")
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(model_path))
    except (OSError, RuntimeError):
        raise LaftError(f"{model_path}: not a sentencepiece model; fetch it again") from None


def read_subwords(model_path: str | Path) -> list[str]:
    """Return every subword in the order of sentencepiece's ids, from ``<unk>`` (0) on.

    Raises:
        LaftError: not a model, or one whose subwords no ``dict.txt`` can hold.
    """
    model = load(model_path)
    names = [model.id_to_piece(number) for number in range(model.get_piece_size())]
    if tuple(names[:3]) != FIRST:
        raise LaftError(
            f"{model_path}: its ids 0 to 2 are {' '.join(names[:3])}, not {' '.join(FIRST)}; "
            "mBART needs a model with these"
        )
    for number, name in enumerate(names[3:], 3):
        if not name or "\n" in name or "\r" in name or name in FAIRSEQ_FIRST:
            raise LaftError(
                f"{model_path}: subword {number} is {name!r}, which dict.txt cannot hold"
            )
    return names


def dictionary_text(names: list[str]) -> str:
    """Return ``dict.txt`` for what :func:`read_subwords` gives: a line each from the fourth on."""
    return "".join(f"{name} 1\n" for name in names[len(FIRST) :])
