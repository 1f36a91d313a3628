"""A Hugging Face mBART directory with random weights: its shape is real, what it writes is not.

    python -m benchmarks.random_mbart OUT --layers 12 --width 1024 --ffn 4096 --heads 16 \
        --pieces 250000

mBART's own sentencepiece model is not part of this repository. Its size is what matters here, so
the shipped one of 12,000 pieces is filled up with pieces of the type UNUSED, which occur in no
text: a sentencepiece model is a protocol buffer, in which more entries of a repeated field may
simply follow at the end.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file

from laft_fairseq.backbone.hugging_face import expected_shapes
from laft_fairseq.checkpoints.backbone import EMBEDDING

SHIPPED = Path(__file__).resolve().parents[1] / "examples" / "mini" / "model" / "sentence.bpe.model"
UNUSED = 5  # SentencePiece.Type
LANGUAGES = {"cc25": 25, "mbart50": 52}
SHARD = 500e6  # bytes, at most, unless one tensor has more


def bytes_field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    size, length = len(content), bytearray()
    while True:
        length.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return bytes([number << 3 | 2]) + bytes(length) + content


def padded_sentencepiece(pieces: int) -> bytes:
    """The shipped model with unused pieces added up to ``pieces``."""
    model = SHIPPED.read_bytes()
    first = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()
    if pieces < first:
        raise SystemExit(f"--pieces {pieces}: the shipped model alone has {first}")
    score = bytes([2 << 3 | 5]) + struct.pack("<f", -100.0)
    kind = bytes([3 << 3, UNUSED])
    added = (
        bytes_field(1, bytes_field(1, f"<unused{number}>".encode()) + score + kind)
        for number in range(first, pieces)
    )
    return model + b"".join(added)


def configuration(args: argparse.Namespace) -> dict[str, object]:
    """config.json, with what facebook/mbart-large-cc25's says."""
    sides = {}
    for side in ("encoder", "decoder"):
        sides[f"{side}_layers"] = args.layers
        sides[f"{side}_ffn_dim"] = args.ffn
        sides[f"{side}_attention_heads"] = args.heads
    return {
        "model_type": "mbart", "architectures": ["MBartForConditionalGeneration"],
        "activation_function": "gelu", "scale_embedding": True, "normalize_before": True,
        "add_final_layer_norm": True, "normalize_embedding": True, "is_encoder_decoder": True,
        "static_position_embeddings": False, "bos_token_id": 0, "pad_token_id": 1,
        "eos_token_id": 2, "d_model": args.width, "max_position_embeddings": 1024,
        "vocab_size": args.pieces + 1 + LANGUAGES[args.kind] + 1, **sides,
    }  # fmt: skip


def random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Normal with 0.02; ones and zeros where mBART starts from them."""
    if len(shape) > 1:
        return torch.empty(shape).normal_(0, 0.02, generator=generator)
    gain = "norm" in name and name.endswith("weight")
    return torch.ones(shape) if gain else torch.zeros(shape)


def write(args: argparse.Namespace) -> None:
    """The directory, its weights in shards, one of them in memory at a time."""
    args.out.mkdir(parents=True, exist_ok=True)
    config = configuration(args)
    generator = torch.Generator().manual_seed(1)
    names: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {"final_logits_bias": torch.zeros(1, config["vocab_size"])}  # type: ignore[call-overload]

    def close() -> None:
        file = f"model-{len(set(names.values())) + 1:05d}.safetensors"
        save_file(shard, args.out / file, metadata={"format": "pt"})
        names.update(dict.fromkeys(shard, file))
        shard.clear()

    for name, shape in expected_shapes(config).items():
        tensor = random_tensor(name, shape, generator)
        if shard and sum(t.nbytes for t in shard.values()) + tensor.nbytes > SHARD:
            close()
        shard["model.shared.weight" if name == EMBEDDING else f"model.{name}"] = tensor
    close()
    index = {"metadata": {}, "weight_map": names}
    (args.out / "model.safetensors.index.json").write_text(json.dumps(index))
    (args.out / "sentencepiece.bpe.model").write_bytes(padded_sentencepiece(args.pieces))
    (args.out / "config.json").write_text(json.dumps(config, indent=2))


def add_shape(parser: argparse.ArgumentParser) -> None:
    """mBART-large's shape unless told otherwise."""
    parser.add_argument("--layers", type=int, default=12, help="of encoder and of decoder")
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--ffn", type=int, default=4096)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--pieces", type=int, default=250_000, help="of sentencepiece")
    parser.add_argument("--kind", choices=sorted(LANGUAGES), default="cc25")


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    add_shape(parser)
    write(parser.parse_args())


if __name__ == "__main__":
    main()
