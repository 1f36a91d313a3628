"""A trimmed backbone's logits and texts are the whole one's; transformers agrees."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.backbone.trimming import read_folder, rows
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli import main
from laft_fairseq.hub.loading import load_model
from tests import tiny
from tests.unit.backbone.test_subword_selection import model as pieces_model

KEPT = (*(f"\u2581w{n}" for n in range(6)), *(f"c{n}" for n in range(6)), *"一二三", *tiny.BYTES)
TAGS = ("en_XX", "zh_CN")
HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
TEXT = "".join(f"\u2581w{n}c{n}" for n in range(6)) + "一二三中"
SOURCES = ("\u2581w1 c1 \u2581w2 c2 <mask> </s> [en_XX]", "一 二 三 </s> [zh_CN]")
TARGETS = ("[en_XX] \u2581w4 c4 \u2581w5", "[zh_CN] 一")


def write_vocabulary(folder: Path) -> None:
    """The tiny vocabulary, 中 being no piece of it but three bytes."""
    tiny.write_dictionary(folder)
    names = [name for name in tiny.PIECES if name not in tiny.BYTES]
    scores = {name: -2.0 - 0.01 * number for number, name in enumerate(names)}
    proto = pieces_model(scores | dict.fromkeys(tiny.BYTES, 0.0)).proto
    for piece in proto.pieces:
        if piece.piece in tiny.BYTES:
            piece.type = 3  # stays as bytes do; real ones come 256 at a time
    (folder / "sentence.bpe.model").write_bytes(proto.SerializeToString())


def write_folder(folder: Path, state: dict[str, Tensor]) -> Path:
    """A backbone of that vocabulary."""
    write_vocabulary(folder)
    torch.save({"args": Namespace(data="/elsewhere", **HEADS), "model": state}, folder / "model.pt")
    return folder / "model.pt"


@pytest.fixture(scope="module")
def whole() -> Any:
    built = tiny.model(method="mbart_full", dropout=0.0)
    tiny.scramble(built, std=0.3)
    return built


def trim(model: Path, out: Path, *flags: str) -> int:
    (out.parent / "text").write_text(f"{TEXT}\n", encoding="utf-8")
    langs = ("--keep-langs", ",".join(TAGS))
    text = ("--text", str(out.parent / "text"))
    return main.main(["trim", "--backbone", str(model), *text, *langs, *flags])


def trimmed(built: Any, home: Path) -> Path:
    model = write_folder(home / "whole", torch.nn.Module.state_dict(built))
    assert trim(model, home / "small", "--out", str(home / "small")) == 0
    return home / "small"


def ids(texts: tuple[str, ...], dictionary: Any, left: bool) -> Tensor:
    """(B, T) of entries of any dictionary."""
    found = [[dictionary.index(entry) for entry in text.split()] for text in texts]
    width = max(map(len, found))
    pads = [[1] * (width - len(row)) for row in found]
    return torch.tensor([p + r if left else r + p for p, r in zip(pads, found, strict=True)])


@torch.no_grad()
def test_logits_over_kept_entries_are_the_same(whole: Any, tmp_path: Path) -> None:
    folder = trimmed(whole, tmp_path)
    small, task = load_model(str(folder / "model.pt"), str(folder))
    held, full = task.dictionary.symbols[4:], tiny.dictionary()
    assert held == [*KEPT[:15], "八", *tiny.BYTES, "[en_XX]", "[zh_CN]", "<mask>"]  # 八: the lowest
    source, target = (ids(t, full, left) for t, left in ((SOURCES, True), (TARGETS, False)))
    logits, _ = whole(source, None, target)
    own = [ids(t, task.dictionary, left) for t, left in ((SOURCES, True), (TARGETS, False))]
    assert not torch.equal(own[0], source)
    found, _ = small(own[0], None, own[1])
    selected = [full.index(entry) for entry in task.dictionary.symbols]
    assert logits.abs().mean() > 0.3
    torch.testing.assert_close(found, logits[..., selected], rtol=0, atol=1e-6)


def test_what_no_tensor_shows_is_kept(whole: Any, tmp_path: Path) -> None:
    told = {"activation_fn": "relu", "no_scale_embedding": True}
    write_folder(tmp_path / "whole", torch.nn.Module.state_dict(whole))
    content = {"args": Namespace(**HEADS, **told), "model": torch.nn.Module.state_dict(whole)}
    torch.save(content, tmp_path / "whole" / "model.pt")
    assert trim(tmp_path / "whole" / "model.pt", tmp_path, "--out", str(tmp_path / "small")) == 0
    assert backbones.read(str(tmp_path / "small" / "model.pt")).options == HEADS | told


@torch.no_grad()
def test_transformers_agrees(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from laft_fairseq.backbone.hugging_face import converted

    config = transformers.MBartConfig(
        vocab_size=len(tiny.dictionary()), d_model=tiny.D, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, max_position_embeddings=64, scale_embedding=True,
    )  # fmt: skip
    theirs = transformers.MBartForConditionalGeneration(config).eval()
    tiny.scramble(theirs, std=0.3)
    model = write_folder(tmp_path / "whole", converted(theirs))
    assert trim(model, tmp_path / "small", "--out", str(tmp_path / "small")) == 0
    small, task = load_model(str(tmp_path / "small/model.pt"), str(tmp_path / "small"))
    full = tiny.dictionary()
    source, target = ids(SOURCES, full, left=False), ids(TARGETS, full, left=False)
    expected = theirs(
        input_ids=source, attention_mask=source.ne(1).long(), decoder_input_ids=target
    ).logits
    own = [ids(t, task.dictionary, left) for t, left in ((SOURCES, True), (TARGETS, False))]
    found, _ = small(own[0], None, own[1])
    selected = [full.index(entry) for entry in task.dictionary.symbols]
    real = target.ne(1)
    torch.testing.assert_close(found[real], expected[..., selected][real], rtol=0, atol=1e-5)


def search(model: Any, task: Any, source: Tensor, beam: int) -> list[list[dict[str, Any]]]:
    options = Namespace(beam=beam, nbest=beam, lenpen=1.0, max_len_a=0, max_len_b=9)
    sample = {"net_input": {"src_tokens": source, "src_lengths": source.ne(1).sum(1)}}
    found: list[list[dict[str, Any]]] = task.inference_step(
        task.build_generator([model], options), [model], sample
    )
    return found


@pytest.mark.parametrize(("beam", "less"), [(1, 5.0), (4, 100.0)])
def test_the_same_text_is_written(whole: Any, tmp_path: Path, beam: int, less: float) -> None:
    """Dropped pieces' logits made less, by one column of d: they win nowhere, or have no mass."""
    built = tiny.model(method="mbart_full", dropout=0.0)
    built.load_state_dict(whole.state_dict())
    folder = trimmed(whole, tmp_path / "draft")
    small_entries = set(read_entries(folder))
    full = tiny.dictionary()
    with torch.no_grad():
        built.decoder.layer_norm.weight[0], built.decoder.layer_norm.bias[0] = 0.0, 10.0
        column = [0.0 if entry in small_entries else -less / 10 for entry in full.symbols]
        built.encoder.embed_tokens.weight[:, 0] = torch.tensor(column)
    folder = trimmed(built, tmp_path)
    small, task = load_model(str(folder / "model.pt"), str(folder))
    expected = search(built, tiny.task(), ids(SOURCES, full, left=True), beam)
    found = search(small, task, ids(SOURCES, task.dictionary, left=True), beam)
    lengths = set()
    for theirs, ours in zip(expected, found, strict=True):
        for one, other in zip(theirs, ours, strict=True):
            assert full.string(one["tokens"]) == task.dictionary.string(other["tokens"])
            rise = float(other["score"]) - float(one["score"])
            assert abs(rise) < 1e-5 if less == 100 else 1e-4 < rise < 1
            lengths.add(len(other["tokens"]))
    assert max(lengths) > 3


def read_entries(folder: Path) -> list[str]:
    """The whole dictionary of a folder."""
    read = read_folder(folder / "model.pt")
    return ["<s>", "<pad>", "</s>", "<unk>", *read.subwords.names[3:], *(f"[{t}]" for t in read.tags),
            "<mask>"]  # fmt: skip


def test_the_folder_is_a_backbones(whole: Any, tmp_path: Path, capsys: Any) -> None:
    folder = trimmed(whole, tmp_path)
    said = capsys.readouterr().out
    before = backbones.read(str(tmp_path / "whole" / "model.pt"))
    content = torch.load(folder / "model.pt", weights_only=True)
    assert content["args"].trimmed_from == before.fingerprint
    assert content["args"].trimmed_from_pieces == 3 + len(tiny.PIECES)
    assert not hasattr(content["args"], "data")
    after = backbones.read(str(folder / "model.pt"))
    assert after.fingerprint != before.fingerprint
    assert after.fingerprint in said and before.fingerprint in said
    assert after.langs == list(TAGS)
    entries = len(read_entries(folder))
    assert after.state[backbones.EMBEDDING].shape == (entries, tiny.D)
    state = content["model"]
    assert state[backbones.TIED[1]].data_ptr() == state[backbones.EMBEDDING].data_ptr()
    spared = (len(tiny.dictionary()) - entries) * tiny.D
    total = sum(t.numel() for n, t in before.state.items() if n not in backbones.TIED)
    assert f"{total:,} -> {total - spared:,}" in said
    assert "1 of 1 texts are of kept subwords alone" in said
    assert trim(tmp_path / "whole" / "model.pt", folder, "--out", str(folder)) == 0
    assert "up to date" in capsys.readouterr().out


def test_the_tag_layout_goes_along(whole: Any, tmp_path: Path, capsys: Any) -> None:
    model = write_folder(tmp_path / "whole", torch.nn.Module.state_dict(whole))
    (tmp_path / "whole" / "tag-layout.txt").write_text("prefix\n")
    assert trim(model, tmp_path / "small", "--out", str(tmp_path / "small")) == 0
    assert (tmp_path / "small" / "tag-layout.txt").read_text() == "prefix\n"
    assert backbones.read(str(tmp_path / "small" / "model.pt")).layout == "prefix"
    (tmp_path / "small" / "tag-layout.txt").write_text("suffix\n")
    assert trim(tmp_path / "small" / "model.pt", tmp_path / "x", "--dry-run") == 2
    assert "its tag layout is prefix, but" in capsys.readouterr().err


def test_files_that_do_not_fit_each_other(whole: Any, tmp_path: Path, capsys: Any) -> None:
    model = write_folder(tmp_path / "whole", torch.nn.Module.state_dict(whole))
    names, langs = tmp_path / "whole" / "dict.txt", tmp_path / "whole" / "langs.txt"
    kept = names.read_text("utf-8")
    langs.write_text("en_XX\nzh_CN\n")
    assert trim(model, tmp_path / "x", "--dry-run") == 2
    assert "has 43 embedding rows, but" in capsys.readouterr().err
    names.write_text(kept.replace("c1 ", "c99 ", 1), encoding="utf-8")
    assert trim(model, tmp_path / "x", "--dry-run") == 2
    assert "dict.txt: does not hold the subwords of" in capsys.readouterr().err


def test_rows() -> None:
    """Specials; pieces 3 and 5 of 6; the second of three tags; <mask>."""
    import numpy as np

    from laft_fairseq.backbone.subword_selection import Selection

    keep = np.array([1, 1, 1, 1, 0, 1], dtype=bool)
    found = rows(Selection(keep, keep), ["a", "b", "c"], ["b"])
    assert found.tolist() == [0, 1, 2, 3, 4, 6, 8, 10]
