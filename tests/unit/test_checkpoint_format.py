import pytest
import torch

from laft_fairseq.checkpoint_format import HEADER_KEY, Header, pop_header
from laft_fairseq.compat import ORIGIN_KEY, text_tensor
from laft_fairseq.errors import LaftError


def test_a_header_comes_out_as_it_went_in() -> None:
    header = Header("slim", "laft", ["en_XX"], "scaled", ["encoder.x"], "f" * 32, "café/model.pt")
    state = {"w": torch.ones(1), HEADER_KEY: header.to_tensor(), ORIGIN_KEY: text_tensor("c.pt")}
    assert pop_header(state) == (header, "c.pt")
    assert set(state) == {"w"}
    assert header.to_tensor().dtype == torch.uint8


def test_a_stock_checkpoint_has_none() -> None:
    assert pop_header({"w": torch.ones(1)}) == (None, "")


def test_header_of_another_version_is_refused() -> None:
    header = Header("whole", "laft", ["en_XX"], "scaled", version=99)
    with pytest.raises(LaftError, match=r"c\.pt: format .* version 99, but this is .* version 1"):
        pop_header({HEADER_KEY: header.to_tensor(), ORIGIN_KEY: text_tensor("c.pt")})
    with pytest.raises(LaftError, match="its header cannot be read"):
        pop_header({HEADER_KEY: text_tensor("{")})
