"""A trimmed backbone's logits and texts are the whole one's, and transformers'."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.backbone.hugging_face import converted
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli import main
from laft_fairseq.hub.loading import load_model
from tests import hf_folder, tiny
from tests.unit.backbone.test_subword_selection import model as subword_model

KEPT = (*(f"\u2581w{n}" for n in range(6)), *(f"c{n}" for n in range(6)), *"一二三", *tiny.BYTES)
TAGS = ("en_XX", "zh_CN")
HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
TEXT = "".join(f"\u2581w{n}c{n}" for n in range(6)) + "一二三中"
SOURCES = ("\u2581w1 c1 \u2581w2 c2 <mask> </s> [en_XX]", "一 二 三 </s> [zh_CN]")
TARGETS = ("[en_XX] \u2581w4 c4 \u2581w5", "[zh_CN] 一")


def write_vocabulary(folder: Path) -> None:
    """The tiny vocabulary, 中 being no subword of it but three bytes."""
    tiny.write_dictionary(folder)
    names = [name for name in tiny.PIECES if name not in tiny.BYTES]
    scores = {name: -2.0 - 0.01 * number for number, name in enumerate(names)}
    proto = subword_model(scores | dict.fromkeys(tiny.BYTES, 0.0)).proto
    for entry in proto.pieces:
        if entry.piece in tiny.BYTES:
            entry.type = 3  # stays as bytes do; real ones come 256 at a time
    (folder / "sentence.bpe.model").write_bytes(proto.SerializeToString())


def write_folder(folder: Path, state: dict[str, Tensor], **options: Any) -> Path:
    """A backbone of that vocabulary."""
    write_vocabulary(folder)
    args = Namespace(data="/elsewhere", **HEADS, **options)
    torch.save({"args": args, "model": state}, folder / "model.pt")
    return folder / "model.pt"


@pytest.fixture(scope="module")
def whole() -> Any:
    built = tiny.model(method="mbart_full", dropout=0.0)
    tiny.scramble(built, std=0.3)
    return built


def trim(model: Path, out: Path, *flags: str) -> int:
    (out.parent / "text").write_text(f"{TEXT}\n", encoding="utf-8")
    text = ("--text", str(out.parent / "text"), "--keep-langs", ",".join(TAGS))
    flags = flags or ("--out", str(out))
    return main.main(["trim", "--backbone", str(model), *text, *flags])


def trimmed(state: dict[str, Tensor], home: Path, **options: Any) -> Path:
    assert trim(write_folder(home / "whole", state, **options), home / "small") == 0
    return home / "small"


def ids(texts: tuple[str, ...], dictionary: Any, left: bool) -> Tensor:
    """(B, T) of entries of any dictionary."""
    known = [[dictionary.index(entry) for entry in text.split()] for text in texts]
    width = max(map(len, known))
    pads = [[1] * (width - len(row)) for row in known]
    return torch.tensor([p + r if left else r + p for p, r in zip(pads, known, strict=True)])


@torch.no_grad()
def test_logits_over_kept_entries_are_those_of_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    theirs = hf_folder.model(
        "cc25", vocab_size=len(tiny.dictionary()), decoder_layers=2, decoder_ffn_dim=64,
        encoder_attention_heads=2,
    )  # fmt: skip
    folder = trimmed(converted(theirs), tmp_path)
    small, task = load_model(str(folder / "model.pt"), str(folder))
    symbols = task.dictionary.symbols  # 八: the lowest score
    assert symbols[4:] == [*KEPT[:15], "八", *tiny.BYTES, "[en_XX]", "[zh_CN]", "<mask>"]
    full = tiny.dictionary()
    source, target = ids(SOURCES, full, left=False), ids(TARGETS, full, left=False)
    expected = theirs(
        input_ids=source, attention_mask=source.ne(1).long(), decoder_input_ids=target
    ).logits[..., [full.index(entry) for entry in symbols]]
    small_source = ids(SOURCES, task.dictionary, left=True)
    small_target = ids(TARGETS, task.dictionary, left=False)
    assert not torch.equal(small_target, target)
    logits, _ = small(small_source, None, small_target)
    real = target.ne(1)
    assert expected[real].abs().mean() > 0.3
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)


def search(model: Any, task: Any, source: Tensor, beam: int) -> list[list[dict[str, Any]]]:
    options = Namespace(beam=beam, nbest=beam, lenpen=1.0, max_len_a=0, max_len_b=9)
    sample = {"net_input": {"src_tokens": source, "src_lengths": source.ne(1).sum(1)}}
    hypotheses: list[list[dict[str, Any]]] = task.inference_step(
        task.build_generator([model], options), [model], sample
    )
    return hypotheses


@pytest.mark.parametrize(("beam", "less"), [(1, 5.0), (4, 100.0)])
def test_the_same_text_is_written(whole: Any, tmp_path: Path, beam: int, less: float) -> None:
    """Dropped subwords' logits made less by a column of d: they win nowhere, or have no mass."""
    built = tiny.model(method="mbart_full", dropout=0.0)
    built.load_state_dict(whole.state_dict())
    full, kept = tiny.dictionary(), {"<s>", "<pad>", "</s>", "<unk>", "<mask>", "八", *KEPT}
    kept |= {f"[{tag}]" for tag in TAGS}
    with torch.no_grad():
        built.decoder.layer_norm.weight[0], built.decoder.layer_norm.bias[0] = 0.0, 10.0
        column = [0.0 if entry in kept else -less / 10 for entry in full.symbols]
        built.encoder.embed_tokens.weight[:, 0] = torch.tensor(column)
    folder = trimmed(torch.nn.Module.state_dict(built), tmp_path)
    small, task = load_model(str(folder / "model.pt"), str(folder))
    assert set(task.dictionary.symbols) == kept
    expected = search(built, tiny.task(), ids(SOURCES, full, left=True), beam)
    written = search(small, task, ids(SOURCES, task.dictionary, left=True), beam)
    lengths = set()
    for theirs, ours in zip(expected, written, strict=True):
        for one, other in zip(theirs, ours, strict=True):
            assert full.string(one["tokens"]) == task.dictionary.string(other["tokens"])
            rise = float(other["score"]) - float(one["score"])
            assert abs(rise) < 1e-5 if less == 100 else 1e-4 < rise < 1
            lengths.add(len(other["tokens"]))
    assert max(lengths) > 3


def test_the_folder_is_a_backbones(whole: Any, tmp_path: Path, capsys: Any) -> None:
    options = {"activation_fn": "relu", "no_scale_embedding": True}  # what no tensor shows
    folder = trimmed(torch.nn.Module.state_dict(whole), tmp_path, **options)
    printed = capsys.readouterr().out
    before = backbones.read(str(tmp_path / "whole" / "model.pt"))
    content = torch.load(folder / "model.pt", weights_only=True)
    assert content["args"].trimmed_from == before.fingerprint
    assert content["args"].trimmed_from_pieces == 3 + len(tiny.PIECES)
    assert not hasattr(content["args"], "data")
    after = backbones.read(str(folder / "model.pt"))
    assert after.options == HEADS | options
    assert after.fingerprint != before.fingerprint
    assert after.fingerprint in printed and before.fingerprint in printed
    assert after.langs == list(TAGS)
    entries = 4 + len(KEPT) + 1 + len(TAGS) + 1
    assert after.state[backbones.EMBEDDING].shape == (entries, tiny.D)
    state = content["model"]
    assert state[backbones.TIED[1]].data_ptr() == state[backbones.EMBEDDING].data_ptr()
    spared = (len(tiny.dictionary()) - entries) * tiny.D
    total = sum(t.numel() for n, t in before.state.items() if n not in backbones.TIED)
    assert f"{total:,} -> {total - spared:,}" in printed
    assert "1 of 1 texts are of kept subwords alone" in printed
    assert trim(tmp_path / "whole" / "model.pt", folder) == 0
    assert "up to date" in capsys.readouterr().out
    (tmp_path / "whole" / "tag-layout.txt").write_text("prefix\n")
    assert trim(tmp_path / "whole" / "model.pt", tmp_path / "prefix") == 0
    assert (tmp_path / "prefix" / "tag-layout.txt").read_text() == "prefix\n"
    assert backbones.read(str(tmp_path / "prefix" / "model.pt")).layout == "prefix"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("langs.txt", "en_XX\nzh_CN\n", "model.pt: has 43 embedding rows"),
        ("langs.txt", "en_XX\nzh_CN\nfr_XX\n", "model.pt: its languages are"),
        ("tag-layout.txt", "prefix\n", "model.pt: its tag layout is suffix"),
        ("dict.txt", None, "dict.txt: does not hold the subwords of"),
    ],
)
def test_files_that_do_not_fit_each_other(
    whole: Any, tmp_path: Path, capsys: Any, name: str, content: str | None, message: str
) -> None:
    recorded = {"langs": "en_XX,fr_XX,zh_CN", "tag_layout": "suffix"}
    model = write_folder(tmp_path / "whole", torch.nn.Module.state_dict(whole), **recorded)
    file = model.with_name(name)
    file.write_text(content or file.read_text("utf-8").replace("c1 ", "c99 ", 1), encoding="utf-8")
    assert trim(model, tmp_path / "x", "--dry-run") == 2
    assert message in capsys.readouterr().err
