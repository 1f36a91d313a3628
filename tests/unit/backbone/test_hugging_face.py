"""Hugging Face's config.json and weights; the whole way is in test_import_hf_command.py."""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from laft_fairseq.backbone import hugging_face
from laft_fairseq.errors import LaftError
from tests import hf_folder, tiny

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def built() -> Any:
    return hf_folder.model("cc25", vocab_size=40)


@pytest.fixture
def folder(built: Any, tmp_path: Path) -> Path:
    return hf_folder.write(tmp_path, built, sentencepiece=None)


def read(folder: Path) -> dict[str, torch.Tensor]:
    model = hugging_face.read_model(folder, hugging_face.read_config(folder))
    return hugging_face.converted(model, folder)


def test_names_and_marks(folder: Path, built: Any) -> None:
    state = read(folder)
    theirs = built.state_dict()
    for name in ("encoder.layers.1.fc1.bias", "decoder.layers.0.encoder_attn.v_proj.weight"):
        assert torch.equal(state[name], theirs[f"model.{name}"])
    embedding = theirs["model.shared.weight"]
    copies = ("encoder.embed_tokens", "decoder.embed_tokens", "decoder.output_projection")
    for name in copies:
        assert torch.equal(state[f"{name}.weight"], embedding)
    assert len({state[f"{name}.weight"].data_ptr() for name in copies}) == 1
    assert state["encoder.version"].tolist() == state["decoder.version"].tolist() == [3.0]
    # 2 encoder layers of 16 tensors, 1 decoder layer of 26, 2 x 5 beside them, 3 + 2 added
    assert len(state) == 2 * 16 + 26 + 2 * 5 + 3 + 2


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is mapped")
def test_tensors_are_mapped_not_copied(folder: Path) -> None:
    state = read(folder)
    address = state["encoder.layers.0.fc1.weight"].data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            assert line.endswith("model.safetensors")
            return
    raise AssertionError("the tensor lies nowhere")


@pytest.mark.parametrize("prefix", ["model.", ""])
def test_all_ways_to_store_the_same(folder: Path, built: Any, prefix: str) -> None:
    """Shards of either format, pytorch_model.bin of both generations, a bare MBartModel's names."""
    expected = read(folder)
    state = {f"{prefix}{n.removeprefix('model.')}": t for n, t in built.state_dict().items()}
    lm_head, bias = state.pop(f"{prefix}lm_head.weight"), state.pop(f"{prefix}final_logits_bias")
    if prefix:
        state |= {"lm_head.weight": lm_head, "final_logits_bias": bias}
    state = {name: tensor.clone() for name, tensor in state.items()}  # each copy written out
    (folder / "model.safetensors").unlink()
    whole = folder / "pytorch_model.bin"
    torch.save(state, whole, _use_new_zipfile_serialization=bool(prefix))
    assert same(read(folder), expected)
    whole.unlink()
    parts = [dict(list(state.items())[:30]), dict(list(state.items())[30:])]
    for name, save in (("pytorch_model.bin", torch.save), ("model.safetensors", save_safetensors)):
        stem, end = name.split(".")
        files = [f"{stem}-0000{n}-of-00002.{end}" for n in (1, 2)]
        for part, file in zip(parts, files, strict=True):
            save(part, folder / file)
        table = {n: file for part, file in zip(parts, files, strict=True) for n in part}
        index = {"metadata": {}, "weight_map": table}
        (folder / f"{name}.index.json").write_text(json.dumps(index))
        assert same(read(folder), expected)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(LaftError, match=r"model-00002-of-00002\.safetensors"):
        read(folder)


def save_safetensors(state: dict[str, torch.Tensor], path: Path) -> None:
    save_file(state, path, metadata={"format": "pt"})


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[n], other[n]) for n in one)


def test_the_stored_precision_is_kept(built: Any, folder: Path) -> None:
    """Whatever config.json says."""
    half = {name: tensor.half() for name, tensor in built.state_dict().items()}
    hf_folder.as_torch_file(folder, **half)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"
    state = read(folder)
    assert {t.dtype for n, t in state.items() if ".version" not in n} == {torch.float16}


def test_m2m100_may_leave_its_embedding_unscaled_and_hold_its_positions(tmp_path: Path) -> None:
    """What no tensor shows stands among the options; old files hold the sinusoids."""
    theirs = hf_folder.model("m2m", vocab_size=40, scale_embedding=False)
    folder = hf_folder.write(tmp_path, theirs, sentencepiece=None)
    positions = {f"model.{side}.embed_positions.weights": torch.zeros(66, 32)
                 for side in ("encoder", "decoder")}  # fmt: skip
    hf_folder.as_torch_file(folder, **positions)
    config = hugging_face.read_config(folder)
    state = hugging_face.converted(hugging_face.read_model(folder, config), folder)
    # 2 encoder layers of 16 tensors, 1 decoder layer of 26, 2 last norms, 3 + 2 added
    assert len(state) == 2 * 16 + 26 + 2 * 2 + 3 + 2
    options = vars(hugging_face.arguments(config, ["fr_XX"], "prefix"))
    assert options["arch"] == "laft_m2m" and options["activation_fn"] == "relu"
    assert options["no_scale_embedding"]
    rows = torch.tensor([0, 1, 2, 3, 7])
    some = hugging_face.converted(theirs, rows=rows)["decoder.output_projection.weight"]
    assert torch.equal(some, theirs.lm_head.weight[rows])


@pytest.mark.parametrize("model_type", ["t5", "mt5", "umt5"])
def test_t5_is_refused_in_one_line(folder: Path, model_type: str) -> None:
    hf_folder.change(folder / "config.json", model_type=model_type)
    refused(folder, r"a T5 model, which cannot be imported: .*docs/backbones\.md")


def refused(folder: Path, message: str) -> None:
    with pytest.raises(LaftError, match=message) as caught:
        read(folder)
    assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "bart"},
        {"model_type": "of nobody"},
        {"normalize_before": False},
        {"add_final_layer_norm": False},
        {"normalize_embedding": False},
        {"scale_embedding": False},
        {"scale_embedding": None},
        {"tie_word_embeddings": False},
        {"static_position_embeddings": True},
        {"pad_token_id": 0},
        {"activation_function": "gelu_new"},
        {"encoder_attention_heads": 5},
        {"d_model": 48},
    ],
    ids=lambda values: "{}-{}".format(*next(iter(values.items()))),
)
def test_another_architecture(folder: Path, values: dict[str, Any]) -> None:
    hf_folder.change(folder / "config.json", **values)
    at_reading = {"encoder_attention_heads": "num_heads", "d_model": "mismatched"}
    (key,) = values
    refused(folder, at_reading.get(key, key if key != "model_type" else "model.type"))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"final_logits_bias": torch.full((1, 40), 0.1)}, "final_logits_bias is not zero"),
        ({"lm_head.weight": torch.ones(40, 32)}, "several embeddings"),
        ({"model.decoder.embed_tokens.weight": torch.ones(40, 32)}, "several embeddings"),
        ({"classification_head.dense.weight": torch.ones(2)}, "unexpected tensor classification"),
        ({"model.encoder.layer_norm.bias": None}, r"missing tensor .*encoder\.layer_norm\.bias"),
        ({"model.shared.weight": None}, r"missing tensor .*\.weight"),
        ({"model.shared.weight": torch.ones(41, 32)}, r"mismatched tensor model\.shared\.weight"),
        ({"model.encoder.layers.0.fc1.bias": torch.ones(64).char()}, "cannot read its weights"),
    ],
)
def test_weights_that_are_not_mbarts(folder: Path, weights: dict[str, Any], message: str) -> None:
    refused(hf_folder.as_torch_file(folder, **weights), message)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(folder: Path, zipped: bool) -> None:
    weights, harm = {"model.shared.weight": tiny.Harmful(folder / "harm")}, folder / "harm"
    (folder / "model.safetensors").unlink()
    if zipped:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(weights, protocol=2))
    refused(folder, "ran nothing in them")
    assert not harm.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "config.json"])
@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"", None])
def test_files_that_are_missing_or_damaged(folder: Path, name: str, content: bytes | None) -> None:
    if name == "pytorch_model.bin":
        hf_folder.as_torch_file(folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    refused(folder, "config.json" if name == "config.json" else "weights")


def test_an_adapter_without_its_model(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, "merge it first")


def test_transformers_is_an_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(LaftError, match=r"pip install 'laft_fairseq\[hf\]'"):
        read(folder)
