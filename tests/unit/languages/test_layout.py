"""Where a language's tag stands, and by which option or file."""

from pathlib import Path

import pytest
import torch

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout, tag_layout


def test_a_tagged_text() -> None:
    text = torch.tensor([7, 8, 2])
    assert TagLayout.SUFFIX.tagged(text, 40).tolist() == [7, 8, 2, 40]
    assert TagLayout.PREFIX.tagged(text, 40).tolist() == [40, 7, 8, 2]


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
        (b"front\n", None, r"tag-layout\.txt: "),
        (b"\xff\xfe\x00", None, r"tag-layout\.txt: "),
        (b"prefix\n", "back", "--tag-layout: "),
    ],
)
def test_what_names_no_layout(
    tmp_path: Path, content: bytes, option: str | None, named: str
) -> None:
    (tmp_path / "tag-layout.txt").write_bytes(content)
    with pytest.raises(LaftError, match=named):
        tag_layout(tmp_path, option)
