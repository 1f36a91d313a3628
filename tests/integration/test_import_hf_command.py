"""`laft import-hf`, from a directory to logits; what stands in the folder; what is refused."""

import math
from argparse import Namespace
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from laft_fairseq import progress
from laft_fairseq.backbone import hugging_face, hugging_face_vocabulary
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.files import locked
from laft_fairseq.hub.loading import load_backbone_model, load_model
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.languages.tags import CC25, MBART50
from tests import hf_folder, tiny
from tests.full_disk import full_disk
from tests.integration.test_hugging_face_vocabulary import real_text

pytest.importorskip("transformers")
pytestmark = pytest.mark.integration
FIRST_TAG = hf_folder.PIECES + 1
LIMIT = 12  # tokens
FILES = {"model.pt", "dict.txt", "sentence.bpe.model", "langs.txt", "tag-layout.txt"}


def import_hf(*arguments: Any) -> int:
    return main.main(["import-hf", *map(str, arguments)])


def batch(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, 9) sources and (3, 6) decoder inputs as transformers lays them out, right-padded."""
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(4, FIRST_TAG - 2, (3, 9), generator=generator)
    previous = torch.randint(4, FIRST_TAG - 2, (3, 6), generator=generator)
    first_tag = FIRST_TAG - len(hf_folder.MISSING) * (kind == "m2m")
    tags = first_tag + torch.tensor([3, 7, 24])
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


def rows_of(folder: Path) -> torch.Tensor:
    """The row of the embedding that each entry of the imported dictionary has."""
    config = hugging_face.read_config(folder)
    rows = hugging_face_vocabulary.read(folder, config).rows
    return torch.arange(config.vocab_size) if rows is None else rows


@pytest.mark.parametrize(
    ("kind", "config"),
    [("cc25", {}), ("mbart50", {"activation_function": "relu"}), ("m2m", {}),
     ("nllb", {"activation_function": "gelu", "scale_embedding": False})],
)  # fmt: skip
@torch.no_grad()
def test_logits_are_those_of_transformers(
    kind: str, config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = hf_folder.model(kind, **config)
    activation = theirs.config.activation_function
    if kind in ("m2m", "nllb"):
        hf_folder.write_tokenizer(tmp_path / "hf", kind)
    hf_folder.write(tmp_path / "hf", theirs)
    assert import_hf(tmp_path / "hf", tmp_path / "out") == 0
    assert ("train with --arch laft_m2m" in capsys.readouterr().out) == (kind in ("m2m", "nllb"))
    backbone = str(tmp_path / "out" / "model.pt")
    ours, tags = load_backbone_model(backbone, str(tmp_path / "out"))
    if kind in ("cc25", "mbart50"):
        assert tags == (CC25 if kind == "cc25" else MBART50)
    rows, (source, previous) = rows_of(tmp_path / "hf"), batch(kind)
    expected = theirs(
        input_ids=rows[source], attention_mask=source.ne(1).long(),
        decoder_input_ids=rows[previous],
    ).logits[..., rows]  # fmt: skip
    real = previous.ne(1)
    assert expected[real].abs().mean() > 0.3
    left = torch.stack([row.roll(int(row.eq(1).sum())) for row in source])
    for padded in (source, left):
        logits, _ = ours(padded, None, previous)
        torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)
    ours.args.activation_fn = "tanh"  # nothing else would tell: its tensors fit such a model
    with pytest.raises(LaftError, match=rf"was made with --activation-fn {activation}"):
        ours.load_backbone(backbones.read(backbone))


class Ends:
    """Forbids </s> first and all else at the limit, as fairseq does, where it keeps its score."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return (R, V) log-probabilities for (R, t) tokens, ``start`` of them given."""
        only = torch.full_like(scores, -math.inf)
        only[:, 2] = scores[:, 2]
        if tokens.size(1) == self.start:
            return scores.masked_fill(only.isfinite(), -math.inf)
        return only if tokens.size(1) == self.start + LIMIT else scores


@pytest.mark.parametrize(
    ("kind", "seed", "lean"), [("cc25", 2, 13), ("mbart50", 1, 9), ("m2m", 2, 11), ("nllb", 2, 11)]
)
@torch.no_grad()
def test_beam_search_writes_what_transformers_does(
    kind: str, seed: int, lean: int, tmp_path: Path
) -> None:
    """50 French sentences; at the limit only </s> is left, by its own log-probability."""
    theirs, prefix = hf_folder.model(kind), kind != "cc25"
    tiny.scramble(theirs, seed, std=0.6)
    end = theirs.get_input_embeddings().weight[2]
    theirs.get_decoder().layer_norm.bias += lean * end / end.square().sum()  # some end before
    for layer in theirs.get_decoder().layers:
        layer.encoder_attn.out_proj.weight *= 4  # or all sources would give the same output
    if kind in ("cc25", "mbart50"):
        theirs.get_encoder().layernorm_embedding.weight *= 5
    hf_folder.write_tokenizer(tmp_path / "hf", kind)
    hf_folder.write(tmp_path / "hf", theirs)
    assert import_hf(tmp_path / "hf", tmp_path / "out") == 0
    ours, task = load_model(str(tmp_path / "out" / "model.pt"), str(tmp_path / "out"))
    tag = next(tag for tag in task.tags if tag.startswith("fr"))
    subwords = SubwordTokenizer(tmp_path / "out" / "sentence.bpe.model", task.dictionary)
    texts = [task.layout.tagged(subwords.encode(" ".join(line.split()[:12])), task.tag_ids[tag])
             for line in real_text("fr_XX")[:50]]  # fmt: skip
    source = pad_sequence(texts, batch_first=True, padding_value=1)  # (B, S)
    rows, options = rows_of(tmp_path / "hf"), Namespace(beam=5, lenpen=1.5, max_len_b=LIMIT)
    sample = {"net_input": {"src_tokens": source, "src_lengths": source.ne(1).sum(1)}}
    written = task.inference_step(task.build_generator([ours], options), [ours], sample)
    allowed = {2, *rows[4 : min(task.tag_ids.values())].tolist()}
    never = {*range(theirs.config.vocab_size)} - allowed
    start = rows[[2, task.tag_ids[tag]] if prefix else [task.tag_ids[tag]]]
    theirs.generation_config.forced_eos_token_id = None
    expected = theirs.generate(
        rows[source], attention_mask=source.ne(1).long(), num_beams=5, length_penalty=1.5,
        early_stopping=True, max_new_tokens=LIMIT + 1, do_sample=False,
        decoder_start_token_id=int(start[0]),
        decoder_input_ids=start.repeat(len(source), 1), suppress_tokens=sorted(never),
        logits_processor=[Ends(len(start))],
    )  # fmt: skip
    different = set()
    for hypotheses, output in zip(written, expected, strict=True):
        tokens = rows[hypotheses[0]["tokens"]].tolist()
        assert tokens == output[len(start) : len(start) + len(tokens)].tolist()
        different.add(tuple(tokens))
    assert len(different) > 5


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    theirs = hf_folder.model(
        "mbart50", std=0.02, decoder_layers=2, decoder_ffn_dim=64, encoder_attention_heads=2
    )
    return hf_folder.write(tmp_path_factory.mktemp("hf"), theirs)


@pytest.fixture(scope="module")
def imported(source: Path) -> Path:
    assert import_hf(source, source / "new" / "out") == 0
    return source / "new" / "out"


def test_the_folder(source: Path, imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = backbones.read(str(imported / "model.pt"))
    assert {path.name for path in imported.iterdir()} == FILES
    assert [path.name for path in imported.parent.iterdir()] == ["out"]  # nothing beside it
    shipped = hf_folder.SENTENCEPIECE.parent
    for name in ("dict.txt", "sentence.bpe.model"):
        assert (imported / name).read_bytes() == (shipped / name).read_bytes()
    assert (imported / "langs.txt").read_text().split() == MBART50 == backbone.langs
    assert (imported / "tag-layout.txt").read_text() == f"{backbone.layout}\n" == "prefix\n"
    assert import_hf(source, imported) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"already there: {imported}: 0.4 M parameters, float32, 12054 entries, 52 languages, "
        "tag layout prefix",
        f"fingerprint {backbone.fingerprint}",
    ]


def test_a_name_on_the_hub_is_downloaded(
    source: Path, imported: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The commit is printed; what is imported is what was downloaded."""
    import huggingface_hub

    asked: list[tuple[str, str]] = []

    def snapshot_download(name: str, revision: str, **_: Any) -> str:
        asked.append((name, revision))
        return str(source)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert import_hf("facebook/mbart-large-50", imported, "--revision", "refs/pr/1") == 0
    printed = capsys.readouterr()
    assert asked == [("facebook/mbart-large-50", "refs/pr/1")]
    assert f"downloaded facebook/mbart-large-50, revision {source.name}" in printed.err
    assert printed.out.startswith(f"already there: {imported}")


def test_fp16(
    source: Path, imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half the bytes, the same fingerprint; another folder. Too large a number is refused."""
    assert import_hf(source, tmp_path / "half", "--half") == 0
    models = [folder / "model.pt" for folder in (imported, tmp_path / "half")]
    fp32, fp16 = (backbones.read(str(model)) for model in models)
    assert fp32.fingerprint == fp16.fingerprint
    assert {tensor.dtype for tensor in fp16.state.values()} == {torch.float16}
    assert models[1].stat().st_size < 0.6 * models[0].stat().st_size
    assert import_hf(source, imported, "--half") == 2
    assert f"{imported}: exists and holds something else" in capsys.readouterr().err
    theirs = hf_folder.model("cc25")
    theirs.model.encoder.layer_norm.bias.data[3] = 1e5
    hf_folder.write(tmp_path / "hf", theirs)
    assert import_hf(tmp_path / "hf", tmp_path / "out", "--half") == 2
    assert "encoder.layer_norm.bias does not fit into fp16" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_of_what_fails(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with locked(tmp_path / ".out.lock", "test"):
        assert import_hf(source, tmp_path / "out") == 2
    assert "out: another run is working there" in capsys.readouterr().err
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    assert import_hf(source, full) == 2
    assert import_hf(tmp_path / "absent", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert f"{full}: exists" in printed and f"{tmp_path / 'absent'}: no such" in printed
    assert [path.name for path in full.iterdir()] == ["notes.txt"]

    def fails(content: object, file: IO[bytes]) -> None:
        file.write(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file\nmore")

    monkeypatch.setattr(torch, "save", fails)
    assert import_hf(source, tmp_path / "out") == 2
    assert "out: cannot be written (PytorchStreamWriter failed" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_progress_and_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the folder and the reason, and nothing stays of it."""
    hf_folder.write(tmp_path / "hf", hf_folder.model("cc25"))
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    with full_disk(20_000):
        assert import_hf(tmp_path / "hf", tmp_path / "out") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"laft: error: {tmp_path / 'out'}: cannot be written (File too large)"
    assert any(line.startswith("laft: writing model.pt: ") for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]
