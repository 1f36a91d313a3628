"""Where a language's tag stands: in a text, in a search, by which option or file."""

from pathlib import Path

import pytest
import torch

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout, tag_layout


@pytest.mark.parametrize(
    ("layout", "tagged", "target", "searched"),
    [
        ("suffix", [7, 8, 2, 40], [7, 8, 2], [7, 8, 2]),
        ("prefix", [40, 7, 8, 2], [40, 7, 8], [7, 8]),
    ],
)
def test_a_tagged_text_and_what_a_search_writes(
    layout: str, tagged: list[int], target: list[int], searched: list[int]
) -> None:
    assert TagLayout(layout).tagged(torch.tensor([7, 8, 2]), 40).tolist() == tagged
    assert TagLayout(layout).text_start(torch.tensor([target])).tolist() == [searched]


def test_which_layout(tmp_path: Path) -> None:
    """--tag-layout, else tag-layout.txt, else cc25's."""
    assert tag_layout(tmp_path) is TagLayout.SUFFIX
    assert tag_layout(tmp_path, "prefix") is TagLayout.PREFIX
    (tmp_path / "tag-layout.txt").write_text("prefix\n")
    assert tag_layout(tmp_path) is TagLayout.PREFIX
    assert tag_layout(tmp_path, "suffix") is TagLayout.SUFFIX


@pytest.mark.parametrize(
    ("content", "option", "named"),
    [
        (b"front\n", None, r"tag-layout\.txt: 'front'"),
        (b"\xff\xfe\x00", None, r"tag-layout\.txt: cannot be read as UTF-8"),
        (b"prefix\n", "back", "--tag-layout: 'back'"),
    ],
)
def test_what_names_no_layout(
    tmp_path: Path, content: bytes, option: str | None, named: str
) -> None:
    (tmp_path / "tag-layout.txt").write_bytes(content)
    with pytest.raises(LaftError, match=named):
        tag_layout(tmp_path, option)
