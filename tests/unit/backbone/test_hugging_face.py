"""Hugging Face's files of weights and config.json; the whole way is in cli/test_import_hf.py."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from laft_fairseq.backbone import hugging_face
from laft_fairseq.errors import LaftError
from tests import hf_folder

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def built() -> Any:
    return hf_folder.model("cc25", vocab_size=40)


@pytest.fixture
def folder(built: Any, tmp_path: Path) -> Path:
    return hf_folder.write(tmp_path, built, sentencepiece=None)


def read(folder: Path) -> dict[str, torch.Tensor]:
    return hugging_face.read_state(folder, hugging_face.read_config(folder))


def test_names_and_marks(folder: Path, built: Any) -> None:
    state = read(folder)
    theirs = built.state_dict()
    assert torch.equal(
        state["encoder.layers.1.fc1.bias"], theirs["model.encoder.layers.1.fc1.bias"]
    )
    assert torch.equal(
        state["decoder.layers.0.encoder_attn.v_proj.weight"],
        theirs["model.decoder.layers.0.encoder_attn.v_proj.weight"],
    )
    embedding = theirs["model.shared.weight"]
    for name in ("encoder.embed_tokens", "decoder.embed_tokens", "decoder.output_projection"):
        assert torch.equal(state[f"{name}.weight"], embedding)
    assert state["encoder.version"].tolist() == state["decoder.version"].tolist() == [3.0]
    # 2 encoder layers of 16 tensors, 1 decoder layer of 26, 2 x 5 beside them, 3 + 2 added
    assert len(state) == 2 * 16 + 26 + 2 * 5 + 3 + 2
    assert not any("final_logits_bias" in name or "shared" in name for name in state)


def test_tensors_are_mapped_not_copied(folder: Path) -> None:
    """Twice read, the same memory: safetensors gives views of the mapped file."""
    state = read(folder)
    one = state["encoder.layers.0.fc1.weight"]
    assert one.untyped_storage().nbytes() == one.nbytes
    assert state["decoder.embed_tokens.weight"].data_ptr() == (
        state["encoder.embed_tokens.weight"].data_ptr()
    )


@pytest.mark.parametrize("names", ["model.", ""])
def test_all_ways_to_store_the_same(folder: Path, built: Any, tmp_path: Path, names: str) -> None:
    """Shards of either format, pytorch_model.bin of both generations, a bare MBartModel's names."""
    expected = read(folder)
    state = {f"{names}{n.removeprefix('model.')}": t for n, t in built.state_dict().items()}
    del state[f"{names}lm_head.weight"]
    state = {name: tensor.clone() for name, tensor in state.items()}  # each copy written out
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=bool(names))
    assert same(read(folder), expected)
    (folder / "pytorch_model.bin").unlink()
    parts = [dict(list(state.items())[:30]), dict(list(state.items())[30:])]
    for name, save in (("pytorch_model.bin", torch.save), ("model.safetensors", save_file)):
        stem, end = name.split(".")
        files = [f"{stem}-0000{n}-of-00002.{end}" for n in (1, 2)]
        for part, file in zip(parts, files, strict=True):
            save(part, folder / file)
        table = {n: file for part, file in zip(parts, files, strict=True) for n in part}
        (folder / f"{name}.index.json").write_text(json.dumps({"weight_map": table}))
        assert same(read(folder), expected)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(LaftError, match=r"model-00002-of-00002\.safetensors: no such file, but "):
        read(folder)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bart"}, 'model_type is "bart", not "mbart"'),
        ({"model_type": None}, 'model_type is null, not "mbart"'),
        ({"normalize_before": False}, "normalize_before is false, not true"),
        ({"add_final_layer_norm": False}, "add_final_layer_norm is false, not true"),
        ({"normalize_embedding": False}, "normalize_embedding is false"),
        ({"scale_embedding": False}, "scale_embedding is false, not true"),
        ({"scale_embedding": None}, "scale_embedding is false, not true"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is false, not true"),
        ({"static_position_embeddings": True}, "static_position_embeddings is true"),
        ({"pad_token_id": 0}, "pad_token_id is 0, not 1"),
        ({"activation_function": "gelu_new"}, "activation_function is 'gelu_new'"),
        ({"d_model": None}, "d_model is None"),
        ({"encoder_attention_heads": 5}, "d_model 32 cannot be parted among 5 heads"),
    ],
)
def test_another_architecture(folder: Path, values: dict[str, Any], message: str) -> None:
    hf_folder.change(folder / "config.json", **values)
    with pytest.raises(LaftError, match=r"config\.json: " + message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_activations_that_can_be_imported(folder: Path) -> None:
    for activation in ("gelu", "relu"):
        hf_folder.change(folder / "config.json", activation_function=activation)
        config = hugging_face.read_config(folder)
        assert hugging_face.arguments(config, ["en_XX"], "suffix").activation_fn == activation


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"final_logits_bias": torch.full((1, 40), 0.1)}, "final_logits_bias is not zero"),
        ({"lm_head.weight": torch.ones(40, 32)}, r"lm_head\.weight differs from the other copies"),
        ({"classification_head.dense.weight": torch.ones(2)}, "holds classification_head.*no part"),
        ({"model.encoder.layer_norm.bias": None}, r"has no encoder\.layer_norm\.bias, which conf"),
        (
            {"model.encoder.layers.0.fc1.bias": torch.ones(3)},
            r"encoder\.layers\.0\.fc1\.bias is \(3,\), but config\.json makes it \(64,\)",
        ),
        (
            {"model.encoder.layers.0.fc1.bias": torch.ones(64, dtype=torch.int8)},
            r"fc1\.bias is torch\.int8, not a tensor of floating-point numbers",
        ),
        ({"encoder.layer_norm.bias": torch.ones(32)}, r"both with and without `model\.`"),
    ],
)
def test_weights_that_are_not_mbarts(folder: Path, weights: dict[str, Any], message: str) -> None:
    hf_folder.as_torch_file(folder, **weights)
    with pytest.raises(LaftError, match=r"pytorch_model\.bin: .*" + message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_no_embedding(folder: Path) -> None:
    hf_folder.as_torch_file(folder, **{"model.shared.weight": None})
    with pytest.raises(LaftError, match=r"no embedding \(model\.shared\.weight\)"):
        read(folder)


class Harmful:
    """What a pickle may do when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def test_files_that_are_missing_damaged_or_unsafe(folder: Path, tmp_path: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LaftError, match=r"model\.safetensors: corrupt or truncated"):
        read(folder)
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(LaftError, match=r"model\.safetensors: a Git LFS pointer.*git lfs pull"):
        read(folder)
    weights.unlink()
    with pytest.raises(LaftError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        read(folder)
    harm = tmp_path / "harm"
    with (folder / "pytorch_model.bin").open("wb") as handle:
        pickle.dump({"model.shared.weight": Harmful(harm)}, handle, protocol=2)
    with pytest.raises(LaftError, match=r"pytorch_model\.bin: refused, nothing of it was run"):
        read(folder)
    assert not harm.exists()
    (folder / "config.json").write_text("{")
    with pytest.raises(LaftError, match=r"config\.json: cannot be read as JSON"):
        read(folder)
    (folder / "config.json").unlink()
    with pytest.raises(LaftError, match=r"config\.json: no such file"):
        read(folder)


def test_a_tensor_in_two_shards(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    save_file({"model.shared.weight": state["model.shared.weight"]}, folder / "b.safetensors")
    table = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    with pytest.raises(LaftError, match=r"b\.safetensors: holds model\.shared\.weight, which anot"):
        read(folder)
