"""`laft import-hf`, from a directory to the logits of the model that comes out."""

from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.loading import load_backbone_model
from laft_fairseq.languages.tags import CC25, MBART50
from tests import hf_folder

pytest.importorskip("transformers")
pytestmark = pytest.mark.integration
FIRST_TAG = hf_folder.PIECES + 1
FILES = {"model.pt", "dict.txt", "sentence.bpe.model", "langs.txt", "tag-layout.txt"}


def import_hf(*arguments: Any) -> int:
    return main.main(["import-hf", *map(str, arguments)])


def batch(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, 9) sources and (3, 6) decoder inputs as transformers lays them out, right-padded."""
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(4, FIRST_TAG, (3, 9), generator=generator)
    previous = torch.randint(4, FIRST_TAG, (3, 6), generator=generator)
    tags = FIRST_TAG + torch.tensor([3, 7, 24])
    lengths = (9, 5, 7)
    for row, (tag, n) in enumerate(zip(tags, lengths, strict=True)):
        source[row, n:] = 1
        if kind == "cc25":
            source[row, n - 2], source[row, n - 1] = 2, tag
            previous[row, 0] = tag
        else:
            source[row, 0], source[row, n - 1] = tag, 2
            previous[row, 0], previous[row, 1] = 2, tag
    previous[1, 4:] = 1
    return source, previous


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("kind", ["cc25", "mbart50"])
@torch.no_grad()
def test_logits_are_those_of_transformers(kind: str, activation: str, tmp_path: Path) -> None:
    theirs = hf_folder.model(kind, activation_function=activation)
    hf_folder.write(tmp_path / "hf", theirs)
    assert import_hf(tmp_path / "hf", tmp_path / "out") == 0
    ours, tags = load_backbone_model(str(tmp_path / "out" / "model.pt"), str(tmp_path / "out"))
    assert tags == (CC25 if kind == "cc25" else MBART50)
    source, previous = batch(kind)
    expected = theirs(
        input_ids=source, attention_mask=source.ne(1).long(), decoder_input_ids=previous
    ).logits
    real = previous.ne(1)
    assert expected[real].abs().mean() > 0.3
    logits, _ = ours(source, None, previous)
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)
    left = torch.stack([row.roll(int(row.eq(1).sum())) for row in source])
    logits, _ = ours(left, None, previous)
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hf_folder.write(tmp_path_factory.mktemp("hf"), hf_folder.model("mbart50"))


def test_the_folder(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    assert import_hf(source, out) == 0
    printed = capsys.readouterr()
    found = backbones.read(str(out / "model.pt"))
    assert printed.out.splitlines() == [
        f"wrote {out}: 0.4 M parameters, float32, 12054 entries, 52 languages, tag layout prefix",
        f"fingerprint {found.fingerprint}",
    ]
    assert {path.name for path in out.iterdir()} == FILES
    assert [path.name for path in out.parent.iterdir()] == ["out"]  # nothing is left beside it
    shipped = hf_folder.SENTENCEPIECE.parent
    assert (out / "dict.txt").read_bytes() == (shipped / "dict.txt").read_bytes()
    assert (out / "sentence.bpe.model").read_bytes() == hf_folder.SENTENCEPIECE.read_bytes()
    assert (out / "langs.txt").read_text().split() == MBART50
    assert (out / "tag-layout.txt").read_text() == "prefix\n"
    assert found.langs == MBART50
    assert found.layout == "prefix"
    assert import_hf(source, out) == 0
    assert capsys.readouterr().out.startswith(f"already there: {out}: ")


def test_fp16(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half the bytes, the same fingerprint; not taken for the same folder."""
    assert (
        import_hf(source, tmp_path / "fp32") == import_hf(source, tmp_path / "fp16", "--half") == 0
    )
    fp32, fp16 = (backbones.read(str(tmp_path / n / "model.pt")) for n in ("fp32", "fp16"))
    assert fp32.fingerprint == fp16.fingerprint
    assert {tensor.dtype for tensor in fp16.state.values()} == {torch.float16}
    sizes = [(tmp_path / name / "model.pt").stat().st_size for name in ("fp32", "fp16")]
    assert sizes[1] < 0.6 * sizes[0]
    assert import_hf(source, tmp_path / "fp32", "--half") == 2
    assert "exists and holds something else" in capsys.readouterr().err


def test_numbers_too_large_for_fp16(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = hf_folder.model("cc25")
    theirs.model.encoder.layer_norm.bias.data[3] = 1e5
    hf_folder.write(tmp_path / "hf", theirs)
    assert import_hf(tmp_path / "hf", tmp_path / "out", "--half") == 2
    assert "encoder.layer_norm.bias does not fit into fp16" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_of_what_fails(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    assert import_hf(source, full) == 2
    assert import_hf(tmp_path / "absent", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert f"{full}: exists and holds something else" in printed
    assert f"{tmp_path / 'absent'}: no such directory" in printed
    assert [path.name for path in full.iterdir()] == ["notes.txt"]

    def fails(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file\nmore")

    monkeypatch.setattr(torch, "save", fails)
    assert import_hf(source, tmp_path / "out") == 2
    assert "out: cannot be written (PytorchStreamWriter failed" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_training_with_another_activation_is_refused(tmp_path: Path) -> None:
    """Nothing else would tell: the tensors of a relu model fit a gelu one."""
    relu = hf_folder.model("cc25", activation_function="relu")
    hf_folder.write(tmp_path / "hf", relu)
    import_hf(tmp_path / "hf", tmp_path / "out")
    ours, _ = load_backbone_model(str(tmp_path / "out" / "model.pt"), str(tmp_path / "out"))
    ours.args.activation_fn = "gelu"
    with pytest.raises(LaftError, match=r"made with --activation-fn relu, but this model has gelu"):
        ours.load_backbone(backbones.read(str(tmp_path / "out" / "model.pt")))
