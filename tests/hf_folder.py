"""Random small models as Hugging Face directories, with the shipped sentencepiece model."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import torch

from laft_fairseq.languages.sentencepiece_dictionary import read_subwords
from tests import tiny

REPOSITORY = tiny.PACKAGE.parent
SENTENCEPIECE = REPOSITORY / "examples" / "mini" / "model" / "sentence.bpe.model"
PIECES = 12_000
ROWS = {
    "cc25": PIECES + 1 + 25 + 1,
    "mbart50": PIECES + 1 + 52 + 1,
    "m2m": PIECES + 1 + 1 - 2 + 100 + 8,  # an entry beside the subwords; two subwords are missing
    "nllb": PIECES + 1 + 1 + 202 + 2,
}
MISSING = ("\u2581package", "ende")  # subwords that M2M-100's vocab.json lacks
D, POSITIONS = 32, 64


def model(kind: str, std: float = 0.3, **config: Any) -> Any:
    """A model of transformers' of 2 + 1 layers, in eval, all noise."""
    import transformers

    family = "MBart" if kind in ("cc25", "mbart50") else "M2M100"
    sizes: dict[str, Any] = {
        "vocab_size": ROWS[kind], "d_model": D, "encoder_layers": 2, "decoder_layers": 1,
        "encoder_attention_heads": 4, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 48, "max_position_embeddings": POSITIONS, "scale_embedding": True,
        "activation_function": "gelu" if family == "MBart" else "relu",
    }  # fmt: skip
    values = getattr(transformers, f"{family}Config")(**{**sizes, **config})
    built = getattr(transformers, f"{family}ForConditionalGeneration")(values).eval()
    tiny.scramble(built, std=std)
    return built


def write_tokenizer(folder: Path, kind: str, missing: tuple[str, ...] = MISSING) -> Any:
    """Write the files of the family's own tokenizer, and return it.

    M2M-100's has its subwords in an order of its own, one more entry, and some are missing.
    """
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    if kind != "m2m":
        name = {"cc25": "MBart", "mbart50": "MBart50", "nllb": "Nllb"}[kind]
        tokenizer = getattr(transformers, f"{name}Tokenizer")(str(SENTENCEPIECE))
    else:
        subwords = [name for name in read_subwords(SENTENCEPIECE)[3:] if name not in missing]
        random.Random(1).shuffle(subwords)
        entries = ["<s>", "<pad>", "</s>", "<unk>", *subwords, "madeup"]
        vocabulary = {name: row for row, name in enumerate(entries)}
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(SENTENCEPIECE))
    tokenizer.save_pretrained(folder)
    return tokenizer


def write(folder: Path, built: Any, sentencepiece: Path | None = SENTENCEPIECE) -> Path:
    """As facebook/mbart-large-cc25 lies: weights, config.json, sentencepiece.bpe.model alone."""
    built.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if sentencepiece is not None:
        shutil.copyfile(sentencepiece, folder / "sentencepiece.bpe.model")
    return folder


def as_torch_file(folder: Path, **weights: Any) -> Path:
    """The weights as pytorch_model.bin in place of safetensors, changed by ``weights``."""
    from safetensors.torch import load_file

    state: dict[str, Any] = {**load_file(folder / "model.safetensors"), **weights}
    torch.save({n: t for n, t in state.items() if t is not None}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def change(path: Path, **values: Any) -> None:
    """Set values of a JSON file; None takes a key out."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content.update(values)
    path.write_text(json.dumps({key: v for key, v in content.items() if v is not None}))
