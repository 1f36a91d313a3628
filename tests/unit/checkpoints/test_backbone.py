from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def plain() -> LAFTMBart:
    return tiny.model("denoising", method="mbart_full")


@pytest.fixture
def state(plain: LAFTMBart) -> State:
    """A stock checkpoint's: without our header."""
    return {n: t.clone() for n, t in torch.nn.Module.state_dict(plain).items()}


def written(path: Path, state: State, **content: Any) -> str:
    torch.save({"model": state, **content}, path)
    return str(path)


def read(tmp_path: Path, state: State, **content: Any) -> backbones.Backbone:
    return backbones.read(written(tmp_path / "model.pt", state, **content))


def test_reads_what_fairseq_wrote(tmp_path: Path, state: State) -> None:
    backbone = read(tmp_path, state)
    expected = {name for name in state if not name.endswith(".version")}
    assert set(backbone.state) == expected
    assert all(torch.equal(backbone.state[name], state[name]) for name in expected)
    assert backbone.langs is None


@pytest.mark.parametrize("form", [dict, Namespace])
def test_languages_and_layout_are_read_where_they_are_recorded(
    tmp_path: Path, state: State, plain: LAFTMBart, form: Any
) -> None:
    """In ``args``, in newer fairseq's ``cfg``, in our header."""
    old = read(tmp_path, state, args=Namespace(langs="en_XX,zh_CN"))
    assert old.langs == ["en_XX", "zh_CN"]
    task = form(langs="en_XX,zh_CN", tag_layout="prefix")
    new = read(tmp_path, state, args=None, cfg={"task": task, "model": Namespace()})
    assert (new.langs, new.layout) == (["en_XX", "zh_CN"], "prefix")
    assert read(tmp_path, plain.state_dict()).langs == list(tiny.TAGS)


def test_a_slim_checkpoint_of_the_backbones_name_is_passed_over(
    tmp_path: Path, state: State
) -> None:
    """`pretrained/checkpoint_best.pt` beside a training's own `checkpoint_best.pt`."""
    away, home = tmp_path / "pretrained", tmp_path / "stage2"
    away.mkdir()
    home.mkdir()
    path = written(away / "checkpoint_best.pt", state)
    trained = tiny.model("generation", method="laft")
    trained.load_backbone(backbones.read(path))
    torch.save({"model": trained.state_dict()}, home / "checkpoint_best.pt")
    mark = backbones.read(path).fingerprint
    origin = str(home / "checkpoint_best.pt")
    assert backbones.find(None, origin, path, mark).path == path
    with pytest.raises(LaftError, match="a slim checkpoint is no backbone"):
        backbones.find(origin, origin, path, mark)  # who names it is told


def test_copies_of_the_same_weights_have_one_fingerprint(tmp_path: Path, state: State) -> None:
    """fp32 and fp16, with and without the tied copies, fairseq's marks and our header."""
    fingerprints = {read(tmp_path, state).fingerprint}
    halved = {name: tensor.half() for name, tensor in state.items()}
    fingerprints.add(read(tmp_path, halved).fingerprint)
    fingerprints.add(backbones.fingerprint({name: t.float() for name, t in halved.items()}))
    untied = {n: t for n, t in state.items() if n not in backbones.TIED}
    fingerprints.add(read(tmp_path, untied).fingerprint)
    bare = {n: t for n, t in state.items() if not n.endswith(".version")}
    fingerprints.add(read(tmp_path, dict(reversed(bare.items()))).fingerprint)
    fingerprints.add(
        read(tmp_path, tiny.model("denoising", method="mbart_full").state_dict()).fingerprint
    )
    assert len(fingerprints) == 1
    assert len(fingerprints.pop()) == 32


def test_copies_of_the_embedding_are_read_once(tmp_path: Path, state: State) -> None:
    """However the file holds them."""
    assert state[backbones.TIED[1]].data_ptr() != state[backbones.EMBEDDING].data_ptr()
    tensors = read(tmp_path, state).state
    assert len({tensors[name].data_ptr() for name in (backbones.EMBEDDING, *backbones.TIED)}) == 1


@pytest.mark.parametrize("name", backbones.TIED)
def test_an_output_projection_of_its_own_is_refused(
    tmp_path: Path, state: State, name: str
) -> None:
    state[name] = state[name] + 1e-3
    with pytest.raises(LaftError, match=rf"its {name} is another than encoder.embed_tokens"):
        read(tmp_path, state)


def test_a_changed_renamed_or_reshaped_tensor_changes_it(state: State) -> None:
    first, second = "encoder.layers.0.fc1.weight", "encoder.layers.0.fc2.weight"
    fingerprints = [backbones.fingerprint(state)]
    for name in ("encoder.embed_tokens.weight", "decoder.layers.1.fc2.bias"):
        state[name].view(-1)[3] += 0.01
        fingerprints.append(backbones.fingerprint(state))
    state[first], state[second] = state[second], state[first]
    fingerprints.append(backbones.fingerprint(state))
    state[first] = state[first].reshape(-1)
    fingerprints.append(backbones.fingerprint(state))
    assert len(set(fingerprints)) == 5


def test_the_pinned_fingerprint() -> None:
    """It is written into components files and checkpoints, so it must not drift."""
    state = {"encoder.embed_tokens.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    assert backbones.fingerprint(state) == "065f1bfd346f0ed1a11422db43546d0a"


@pytest.mark.parametrize("missing", backbones.MARKS)
def test_not_an_mbart(tmp_path: Path, state: State, missing: str) -> None:
    del state[missing]
    with pytest.raises(
        LaftError, match=r"model\.pt: not a pre-norm mBART or M2M-100 \(no "
    ) as caught:
        read(tmp_path, state)
    assert missing in str(caught.value)


def test_not_a_checkpoint(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "model.pt")
    with pytest.raises(LaftError, match=r"model\.pt: not a fairseq checkpoint of mBART"):
        backbones.read(str(tmp_path / "model.pt"))
    with pytest.raises(LaftError, match=r"absent\.pt: no such checkpoint"):
        backbones.read(str(tmp_path / "absent.pt"))


def test_a_trained_model_is_no_backbone(tmp_path: Path) -> None:
    laft = tiny.model("denoising")
    with pytest.raises(LaftError, match=r"model\.pt: holds .*: a trained model"):
        read(tmp_path, laft.state_dict())
    laft.from_backbone = {"encoder.layer_norm.weight"}
    with pytest.raises(
        LaftError, match=r"model\.pt: a slim checkpoint is no backbone.*laft export"
    ):
        read(tmp_path, laft.state_dict())


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (("en_XX", "fr_XX"), "has {} embedding rows.* 2 language tags .* make "),
        (("en_XX", "zh_CN", "fr_XX"), "en_XX,fr_XX,zh_CN, in this order; .* en_XX,zh_CN,fr_XX"),
    ],
)
def test_another_dictionary(
    tmp_path: Path, state: State, tags: tuple[str, ...], message: str
) -> None:
    backbone = read(tmp_path, state, args=Namespace(langs="en_XX,fr_XX,zh_CN"))
    other = tiny.model(method="mbart_full", tags=tags)
    with pytest.raises(LaftError, match=r"model\.pt: .*" + message.format(len(tiny.dictionary()))):
        other.load_backbone(backbone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder_layers": 3}, r"encoder\.layers\.2\.\S+ is missing, but"),
        ({"decoder_layers": 1}, r"decoder\.layers\.1\..* wants none"),
        ({"encoder_ffn_embed_dim": 48}, r"encoder\.layers\.0\.fc1\.\w+ is \(64.* wants \(48"),
    ],
)
def test_another_size(tmp_path: Path, state: State, options: dict[str, int], message: str) -> None:
    backbone = read(tmp_path, state)
    with pytest.raises(LaftError, match=rf"model\.pt: {message}"):
        tiny.model(method="mbart_full", **options).load_backbone(backbone)


def test_loading_fills_everything_and_remembers(tmp_path: Path) -> None:
    tiny.scramble(source := tiny.model("denoising", method="mbart_full"))
    built = tiny.model()
    backbone = read(tmp_path, torch.nn.Module.state_dict(source))
    built.load_backbone(backbone)
    filled = torch.nn.Module.state_dict(built)
    assert all(torch.equal(filled[name], tensor) for name, tensor in backbone.state.items())
    assert built.fingerprint == backbone.fingerprint
    assert built.from_backbone == set(backbone.state)
