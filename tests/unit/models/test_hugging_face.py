"""A random small mBART of Hugging Face's, its weights converted, gives our backbone's logits."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.backbone import hugging_face
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration
from tests import hf_folder, tiny

pytest.importorskip("transformers")

TEXTS = (
    "\u2581w1 c1 \u2581w2 c2 <mask> </s> [en_XX]",
    "一 二 三 </s> [zh_CN]",
    "\u2581w7 c7 </s> [fr_XX]",
)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return hf_folder.model(
        "cc25", vocab_size=len(tiny.dictionary()), decoder_layers=2, decoder_ffn_dim=64,
        encoder_attention_heads=2, max_position_embeddings=64,
    )  # fmt: skip


def converted(theirs: Any, folder: Path, method: str, layout: str = "suffix") -> LAFTMBart:
    """Our model with their weights; without removal it is the backbone, whatever the method."""
    torch.save({"model": hugging_face.converted(theirs)}, folder / "model.pt")
    ours = tiny.model(method=method, layout=layout, removal="none", dropout=0.0)
    ours.load_backbone(backbones.read(str(folder / "model.pt")))
    return ours


@pytest.mark.parametrize("left", [True, False], ids=["left-padded", "right-padded"])
@pytest.mark.parametrize("method", ["mbart_full", "laft"])
@torch.no_grad()
def test_logits_agree(theirs: Any, left: bool, method: str, tmp_path: Path) -> None:
    ours = converted(theirs, tmp_path, method)
    right = tiny.rows(TEXTS, left=False)
    target = ["[en_XX] \u2581w1 c1", "[zh_CN] 一", "[fr_XX] \u2581w7 c7 \u2581w8"]
    previous = tiny.rows(target, left=False)
    expected = theirs(
        input_ids=right, attention_mask=right.ne(1).long(), decoder_input_ids=previous
    ).logits
    logits, _ = ours(tiny.rows(TEXTS, left), None, previous)
    real = previous.ne(1)
    assert expected[real].abs().mean() > 0.3
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)


SOURCES = {  # by falling length, as a batch orders its rows
    "en_XX": "\u2581w1 c1 \u2581w2 c2 \u2581w3 </s>",
    "fr_XX": "\u2581w7 c7 \u2581w8 </s>",
    "zh_CN": "一 二 </s>",
}


def batch_of_task(task: LaftGeneration, folder: Path) -> dict[str, Any]:
    """SOURCES as the task reads and collates them, each text's target being its first subword."""
    for tag, text in SOURCES.items():
        tokens = tiny.ids(text)
        tiny.write_texts(folder / tag / "test.src-tgt.src", [tokens])
        tiny.write_texts(folder / tag / "test.src-tgt.tgt", [[*tokens[:1], 2]])
    task.load_dataset("test")
    pairs = task.dataset("test")
    return pairs.collater([pairs[index] for index in range(len(pairs))])  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["mbart_full", "laft"])
@torch.no_grad()
def test_mbart50s_layout_agrees(theirs: Any, method: str, tmp_path: Path) -> None:
    """`[l] X </s>`, `</s> [l] Y`: the logits of our task's batch, and what greedy search writes."""
    ours = converted(theirs, tmp_path, method, layout="prefix")
    task = tiny.task(data=str(tmp_path), tag_layout="prefix")
    batch = batch_of_task(task, tmp_path)
    source = tiny.rows([f"[{tag}] {text}" for tag, text in SOURCES.items()], left=False)  # (B, S)
    firsts = [text.split()[0] for text in SOURCES.values()]
    previous = tiny.rows([f"</s> [{tag}] {y}" for tag, y in zip(SOURCES, firsts, strict=True)])
    assert torch.equal(batch["net_input"]["prev_output_tokens"], previous)
    attention = source.ne(1).long()
    expected = theirs(input_ids=source, attention_mask=attention, decoder_input_ids=previous)
    logits, _ = ours(**batch["net_input"])
    assert expected.logits.abs().mean() > 0.3
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-5)

    greedy = Namespace(beam=1, lenpen=1.0, max_len_a=0, max_len_b=8)
    written_by_ours = task.inference_step(task.build_generator([ours], greedy), [ours], batch)
    never = [0, 1, 3, *task.tag_ids.values(), *tiny.ids("<mask>")]
    for row, hypotheses in enumerate(written_by_ours):
        written = hypotheses[0]["tokens"].tolist()
        tag = int(previous[row, 1])
        generated = theirs.generate(
            source[row : row + 1], attention_mask=attention[row : row + 1], num_beams=1,
            do_sample=False, max_new_tokens=1 + len(written), min_new_tokens=3,
            decoder_start_token_id=2, forced_bos_token_id=tag, forced_eos_token_id=2,
            bad_words_ids=[[token] for token in never if token != tag],
        )  # fmt: skip
        assert generated[0].tolist() == [2, tag, *written]
