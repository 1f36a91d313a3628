"""`laft export`: a slim checkpoint made whole, and a backbone made small."""

import os
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import pop_header
from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.loading import load_model
from tests import tiny, tiny_text
from tests.full_disk import full_disk, read_only

SHAPE = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`model.pt`, a backbone, and `slim.pt`, a stage-2 laft on it."""
    plain = tiny.model(method="mbart_full")
    tiny.scramble(plain)
    widths = (("layers", 2), ("embed_dim", 32), ("ffn_embed_dim", 64))
    layers = {f"{side}_{key}": size for side in ("encoder", "decoder") for key, size in widths}
    args = Namespace(arch="laft_mbart_tiny", data="somewhere/data-bin", **SHAPE, **layers)
    torch.save({"args": args, "model": plain.state_dict()}, tmp_path / "model.pt")
    trained = tiny.model("generation", method="laft")
    trained.load_backbone(backbones.read(str(tmp_path / "model.pt")))
    torch.save({"args": args, "model": trained.state_dict()}, tmp_path / "slim.pt")
    return tmp_path


def exported(home: Path, source: str, *flags: str) -> dict[str, Any]:
    """Run the command and read what it wrote, weights only."""
    out = home / "out.pt"
    assert main.main(["export", "--checkpoint", str(home / source), "--out", str(out), *flags]) == 0
    assert not list(home.glob("*.tmp*"))
    return torch.load(out, weights_only=True)  # type: ignore[no-any-return]


def test_a_slim_checkpoint_to_ship(home: Path) -> None:
    """Its own tensors alone, in fp16, and no place; with the backbone it computes the same."""
    expected = torch.load(home / "slim.pt", weights_only=True)["model"]
    content = exported(home, "slim.pt", "--slim", "--half")
    state = content["model"]
    assert "data-bin" not in repr(content["cfg"]) and str(home) not in repr(content["cfg"])
    (header, _), (before, _) = pop_header(state), pop_header(expected)
    assert header is not None and before is not None
    assert (header.kind, header.backbone, header.frozen) == ("slim", "", before.frozen)
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        assert torch.equal(tensor, expected[name].to(tensor.dtype)), name
    assert state["encoder.fusion.up.weight"].dtype == torch.float16
    (home / "backbone.pt").symlink_to(home / "model.pt")  # beside it
    data = tiny.write_data(home / "data-bin")
    loaded, _ = load_model(str(home / "out.pt"), str(data))
    assert torch.equal(loaded.encoder.fusion.up.weight, expected["encoder.fusion.up.weight"].half())


def test_a_slim_checkpoint_becomes_whole(home: Path) -> None:
    """The frozen tensors come from the backbone, bit for bit; the others as they were."""
    slim = torch.load(home / "slim.pt", weights_only=True)["model"]
    backbone = torch.load(home / "model.pt", weights_only=True)["model"]
    assert "encoder.layers.0.fc1.weight" not in slim
    state = exported(home, "slim.pt")["model"]
    header, _ = pop_header(state)
    assert header is not None
    assert (header.kind, header.frozen) == ("whole", [])
    for name, tensor in state.items():
        assert torch.equal(tensor, slim[name] if name in slim else backbone[name]), name
    (home / "model.pt").unlink()
    loaded = tiny.model("generation", method="laft", adapters=(), components=False)
    loaded.load_state_dict(torch.load(home / "out.pt", weights_only=True)["model"])
    assert loaded.decoder.adapter_tags() == list(tiny.TAGS)


def test_a_folder_with_a_slim_checkpoint_holds_its_backbone(home: Path) -> None:
    """It is looked for beside the checkpoint, not beside the folder."""
    folder = home / "stage2"
    folder.mkdir()
    (home / "slim.pt").rename(folder / "model.pt")
    (home / "model.pt").rename(folder / "backbone.pt")
    assert "encoder.layers.0.fc1.weight" in exported(home, "stage2")["model"]


def test_a_backbone_to_ship_holds_no_path(home: Path) -> None:
    """--as-backbone keeps weights and shape; fp16 keeps the fingerprint and the ties."""
    content = exported(home, "model.pt", "--half", "--as-backbone")
    assert set(content) == {"args", "model"}
    assert "data" not in vars(content["args"])
    assert content["args"].encoder_attention_heads == 2
    embedding = content["model"]["encoder.embed_tokens.weight"]
    assert embedding.dtype == torch.float16
    tied = content["model"]["decoder.output_projection.weight"]
    assert tied.data_ptr() == embedding.data_ptr()
    before, after = (backbones.read(str(home / name)) for name in ("model.pt", "out.pt"))
    assert before.fingerprint == after.fingerprint
    data = tiny.write_data(home / "data-bin")
    loaded, _ = load_model(str(home / "out.pt"), str(data))
    assert (loaded.options.method, loaded.fingerprint) == ("mbart_full", after.fingerprint)


def test_another_rows_model_becomes_a_backbone(home: Path) -> None:
    """What the line says that refuses it as one: "make it a backbone by laft export"."""
    trained = tiny.model("generation", method="mbart_enc")
    trained.load_backbone(backbones.read(str(home / "model.pt")))
    content = torch.load(home / "model.pt", weights_only=True)
    torch.save(content | {"model": trained.state_dict()}, home / "enc.pt")
    header, _ = pop_header(exported(home, "enc.pt", "--as-backbone")["model"])
    assert header is not None
    assert (header.method, header.fingerprint, header.backbone) == ("mbart_full", "", "")
    loaded, _ = load_model(str(home / "out.pt"), str(tiny.write_data(home / "data-bin")))
    assert loaded.options.method == "mbart_full"


def test_a_backbone_to_ship_keeps_what_no_tensor_shows(home: Path) -> None:
    """Without its activation another one would compute, and nothing would tell."""
    content = torch.load(home / "model.pt", weights_only=True)
    vars(content["args"]).update(activation_fn="relu", no_scale_embedding=True)
    plain = tiny.model(method="mbart_full", activation_fn="relu", no_scale_embedding=True)
    torch.save({**content, "model": plain.state_dict()}, home / "relu.pt")
    kept = vars(exported(home, "relu.pt", "--as-backbone")["args"])
    assert (kept["activation_fn"], kept["no_scale_embedding"]) == ("relu", True)
    backbone = backbones.read(str(home / "out.pt"))
    assert backbone.options == {**SHAPE, "activation_fn": "relu", "no_scale_embedding": True}
    loaded, _ = load_model(str(home / "out.pt"), str(tiny.write_data(home / "data-bin")))
    assert (loaded.encoder.embed_scale, loaded.encoder.cfg.activation_fn) == (1.0, "relu")
    with pytest.raises(LaftError, match=r"out\.pt: was made with --activation-fn relu"):
        tiny.model(method="mbart_enc").load_backbone(backbone)


def test_equal_content_is_equal_bytes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two equal runs, which took another time, written by another process."""
    written = []
    content = torch.load(home / "slim.pt", weights_only=True)
    course = {"train_iterator": {"epoch": 2}, "val_loss": 1.5}
    (home / "sentence.bpe.model").unlink(missing_ok=True)
    tiny.write_dictionary(home)
    tiny_text.write_sentencepiece(home / "sentence.bpe.model")
    for number in (1, 2):
        timed = {"previous_training_time": 0.7 * number, "metrics": [["wall", number]]}
        torch.save({**content, "extra_state": course | timed}, home / "slim.pt")
        monkeypatch.setattr(os, "getpid", lambda number=number: 100 + number)
        exported(home, "slim.pt")
        folder = home / f"whole{number}"
        assert (
            main.main(["export", "--checkpoint", str(home / "slim.pt"), "--out", str(folder)]) == 0
        )
        written.append([path.read_bytes() for path in (home / "out.pt", folder / "model.pt")])
    assert written[0] == written[1]
    assert torch.load(home / "out.pt", weights_only=True)["extra_state"] == course


def test_a_folder_is_refused_before_anything_is_written(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that holds something; a vocabulary that is nowhere, or another's."""
    (home / "held").mkdir()
    (home / "held" / "notes.txt").touch()
    tiny.write_dictionary(home / "other", tags=("en_XX", "fr_XX"))
    tiny_text.write_sentencepiece(home / "other" / "sentence.bpe.model")
    (home / "other" / "dict.txt").write_text("a 1\nb 1\n")
    before = sorted(path.name for path in home.iterdir())
    for out, flags, message in (
        ("held", [], "held: is there and not empty; name another folder"),
        ("no/whole", [], "whole: no such folder"),
        ("whole", [], r"slim.pt: no dict.txt in .*--data names"),
        ("whole", ["--data", str(home / "other")], "sentence.bpe.model: its subword 3 is"),
        ("out.pt", ["--data", str(home)], "--data: only a folder holds such files"),
    ):
        words = ["export", "--checkpoint", str(home / "slim.pt"), "--out", str(home / out)]
        assert main.main([*words, *flags]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and re.search(message, error), error
    assert sorted(path.name for path in home.iterdir()) == before


@pytest.mark.parametrize("out", ["whole", "whole.pt", "old.pt"])
def test_a_full_disk_and_a_read_only_folder(
    home: Path, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the reason; nothing half-written stays, and what is there is kept."""
    tiny.write_dictionary(home)
    tiny_text.write_sentencepiece(home / "sentence.bpe.model")
    (home / "old.pt").write_text("old")
    before = sorted(path.name for path in home.iterdir())
    words = ["export", "--checkpoint", str(home / "slim.pt"), "--out", str(home / out)]
    with full_disk():
        assert main.main(words) == 2
    error = capsys.readouterr().err
    assert error == f"laft: error: {home / out}: cannot be written (File too large)\n"
    read_only(monkeypatch)
    assert main.main(words) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"{out}: its folder cannot be written to (Read-only file system)\n")
    assert sorted(path.name for path in home.iterdir()) == before
    assert (home / "old.pt").read_text() == "old"


@pytest.mark.parametrize(
    ("source", "flags", "out", "message"),
    [
        ("slim.pt", ["--as-backbone"], "out.pt", "slim.pt: holds .*: a trained model"),
        ("model.pt", ["--slim"], "out.pt", "--slim: .*model.pt has to be slim"),
        ("slim.pt", ["--slim"], "folder", "--slim: .* --out a file"),
        ("absent.pt", [], "out.pt", "absent.pt: no such checkpoint"),
        ("large.pt", ["--half"], "out.pt", "large.pt: .*fc1.weight does not fit into fp16"),
        ("slim.pt", [], "slim.pt", "slim.pt: is read too, and would be lost"),
    ],
)
def test_wrong_input_is_one_line(
    home: Path, source: str, flags: list[str], out: str, message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Exit 2, one line that names the file, nothing written and nothing lost."""
    content = torch.load(home / "slim.pt", weights_only=True)
    content["model"]["encoder.task_module.0.fc1.weight"][0, 0] = 1e5
    torch.save(content, home / "large.pt")
    before = (home / "slim.pt").read_bytes()
    words = ["export", "--checkpoint", str(home / source), "--out", str(home / out), *flags]
    assert main.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert not (home / "out.pt").exists()
    assert (home / "slim.pt").read_bytes() == before
