import json
from dataclasses import asdict

import pytest
import torch

from laft_fairseq.checkpoints.header import (
    HEADER_KEY,
    Header,
    architecture_options,
    check_options,
    pop_header,
)
from laft_fairseq.checkpoints.reading import ORIGIN_KEY, text_tensor
from laft_fairseq.errors import LaftError


def test_a_header_comes_out_as_it_went_in() -> None:
    header = Header("slim", "laft", ["en_XX"], "scaled", ["encoder.x"], "f" * 32, "café/model.pt")
    state = {"w": torch.ones(1), HEADER_KEY: header.to_tensor(), ORIGIN_KEY: text_tensor("c.pt")}
    assert pop_header(state) == (header, "c.pt")
    assert set(state) == {"w"}
    older = {HEADER_KEY: header.to_tensor().to(torch.uint8)}
    assert pop_header(older) == (header, "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, r"c\.pt: format .* version 99, but this is .* version 1"),
        (
            {"surprise": 1},
            r"c\.pt: its header says surprise, which this laft_fairseq does not know",
        ),
        (None, r"c\.pt: its header cannot be read"),
    ],
)
def test_a_header_of_a_later_laft_fairseq_or_a_damaged_one(
    changes: dict[str, int] | None, message: str
) -> None:
    values = asdict(Header("whole", "laft", ["en_XX"], "scaled"))
    text = "{" if changes is None else json.dumps(values | changes)
    with pytest.raises(LaftError, match=message):
        pop_header({HEADER_KEY: text_tensor(text), ORIGIN_KEY: text_tensor("c.pt")})


def test_an_older_header_lacks_options_and_parts() -> None:
    values = asdict(Header("whole", "laft", ["en_XX"], "scaled"))
    for name in ("options", "untrained", "tag_layout", "new_langs"):
        del values[name]
    header, _ = pop_header({HEADER_KEY: text_tensor(json.dumps(values))})
    assert header == Header("whole", "laft", ["en_XX"], "scaled")


RECORDED = {"encoder_attention_heads": 4, "activation_fn": "gelu", "no_scale_embedding": False}


def test_options_that_no_tensor_shows() -> None:
    """What either side does not say is not compared."""
    assert (
        architecture_options({**RECORDED, "encoder_layers": 2, "decoder_attention_heads": None})
        == RECORDED
    )
    check_options(RECORDED, {**RECORDED, "decoder_attention_heads": 2}, "c.pt")
    check_options({}, {"encoder_attention_heads": 2}, "c.pt")
    check_options(RECORDED, {}, "c.pt")


@pytest.mark.parametrize(
    ("recorded", "given", "message"),
    [
        ({}, {"encoder_attention_heads": 2},
         "with --encoder-attention-heads 4, but this model has 2; give that option"),
        ({}, {"activation_fn": "relu"}, "with --activation-fn gelu, but this model has relu; give"),
        ({}, {"no_scale_embedding": True},
         "without --no-scale-embedding, but this model is with it; do as there"),
        ({"no_scale_embedding": True}, {"no_scale_embedding": False},
         "with --no-scale-embedding, but this model is without it; do as there"),
    ],
)  # fmt: skip
def test_other_options_are_refused(
    recorded: dict[str, bool], given: dict[str, bool], message: str
) -> None:
    with pytest.raises(LaftError, match=rf"^c\.pt: was made {message}"):
        check_options(RECORDED | recorded, given, "c.pt")
