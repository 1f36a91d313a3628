"""Random small mBARTs as Hugging Face directories, with the shipped sentencepiece model."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from tests import tiny

REPOSITORY = tiny.PACKAGE.parent
SENTENCEPIECE = REPOSITORY / "examples" / "mini" / "model" / "sentence.bpe.model"
PIECES = 12_000
ROWS = {"cc25": PIECES + 1 + 25 + 1, "mbart50": PIECES + 1 + 52 + 1}
D, POSITIONS = 32, 64


def model(kind: str, std: float = 0.3, **config: Any) -> Any:
    """A transformers MBartForConditionalGeneration of 2 + 1 layers, in eval, all noise."""
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": ROWS[kind], "d_model": D, "encoder_layers": 2, "decoder_layers": 1,
        "encoder_attention_heads": 4, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 48, "max_position_embeddings": POSITIONS, "scale_embedding": True,
        "activation_function": "gelu",
    }  # fmt: skip
    built = transformers.MBartForConditionalGeneration(
        transformers.MBartConfig(**{**sizes, **config})
    ).eval()
    tiny.scramble(built, std=std)
    return built


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
