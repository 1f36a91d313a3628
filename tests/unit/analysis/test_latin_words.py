"""Shared Latin words are found across pieces and left out of both texts."""

import pytest
import torch
from fairseq.data import Dictionary, ListDataset

from laft_fairseq.analysis.latin_words import kept, without_shared
from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.languages.layout import TagLayout


@pytest.mark.parametrize(
    ("a", "b", "rest_a", "rest_b"),
    [
        ("▁the ▁lib gtk 2 ▁files", "▁les ▁fichiers ▁lib gt k2", "▁the ▁files", "▁les ▁fichiers"),
        ("▁Python ▁module", "▁ python 的 模 块", "▁module", "▁ 的 模 块"),
        ("▁lib ▁x", "▁libs ▁x y", "▁lib ▁x", "▁libs ▁x y"),  # whole words alone count
        ("▁GTK , ▁a", "▁gtk- ▁b", ", ▁a", "▁b"),  # a piece with a letter of it goes whole
        ("<0xE4> <0xB8> ▁a", "<0xE4> <unk> ▁b", "<0xE4> <0xB8> ▁a", "<0xE4> <unk> ▁b"),
        ("中 文 ▁é té", "中 文 ▁été", "中 文", "中 文"),  # Han stays
        ("", "▁a", "", "▁a"),
        ("[eng_Latn] ▁a", "[fra_Latn] ▁b", "[eng_Latn] ▁a", "[fra_Latn] ▁b"),  # tags stay
    ],
)  # fmt: skip
def test_what_stays(a: str, b: str, rest_a: str, rest_b: str) -> None:
    sides = a.split(), b.split()
    left = [
        [piece for piece, keep in zip(pieces, mask, strict=True) if keep]
        for pieces, mask in zip(sides, kept(*sides), strict=True)
    ]
    assert left == [rest_a.split(), rest_b.split()]


def test_texts_of_a_data_set() -> None:
    dictionary = Dictionary()
    texts = ("▁a ▁gtk ▁b", "▁c ▁d"), ("▁gtk ▁e", "▁d ▁c ▁a ▁b")
    ids = {p: dictionary.add_symbol(p) for side in texts for text in side for p in text.split()}
    sides = []
    for tag_id, side in enumerate(texts, start=50):
        rows = [torch.tensor([*(ids[p] for p in text.split()), 2]) for text in side]
        raw = ListDataset(rows, [len(r) for r in rows])
        sides.append(TaggedTexts(raw, tag_id, 20, "texts", TagLayout.SUFFIX))
    (a, b), lost = without_shared(dictionary, *sides, indices=[1, 0])
    expected = [[], ["▁a", "▁b"]], [["▁a", "▁b"], ["▁e"]]
    for side, tag_id, wanted in ((a, 50, expected[0]), (b, 51, expected[1])):
        assert [side[n].tolist() for n in range(2)] == [
            [*(ids[p] for p in pieces), 2, tag_id] for pieces in wanted
        ]
    assert lost == [3 / 5, 3 / 6]
