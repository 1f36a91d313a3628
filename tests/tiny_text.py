"""Raw text for the tiny model: a sentencepiece model of its pieces, and its random texts."""

from pathlib import Path

from tests import tiny


def write_sentencepiece(path: Path) -> Path:
    """A unigram model whose pieces are `dict.txt`'s, in order, and which leaves text as it is."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto = ModelProto()
    for number, name in enumerate(("<unk>", "<s>", "</s>", *tiny.PIECES)):
        kind = 2 if number == 0 else 3 if number < 3 else 1  # unknown, control, normal
        proto.pieces.add(piece=name, score=-1.0, type=kind)
    proto.normalizer_spec.name = "identity"
    path.write_bytes(proto.SerializeToString())
    return path


def raw(tag: str, count: int, seed: int = 0) -> list[str]:
    """`tiny.random_texts` as a user would write them."""
    words = tiny.dictionary()
    texts = tiny.random_texts(tag, count, seed)
    return ["".join(words[t] for t in text[:-1]).replace("\u2581", " ").strip() for text in texts]
