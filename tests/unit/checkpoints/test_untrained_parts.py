"""Which parts a parameter's name belongs to, by literal lists, and how they are put in words."""

import pytest

from laft_fairseq.checkpoints.untrained_parts import (
    describe_parts,
    language_of,
    parts_of,
    parts_trained_by,
)
from laft_fairseq.method.systems import METHODS, is_trained
from tests import tiny

OF_METHOD = {
    "laft": {"task_module", "fusion", "language_adapter.en_XX", "language_adapter.eo-XX",
             "new_tag_rows.eo-XX"},
    "adapter": {"task_adapter", "new_tag_rows.eo-XX"},
    "tm_adv": {"task_module", "gate", "new_tag_rows.eo-XX"},
    "mbart_enc": {"new_tag_rows.eo-XX"},
}  # fmt: skip


@pytest.mark.parametrize("method", OF_METHOD)
def test_the_parts_of_a_model(method: str) -> None:
    built = tiny.model(method=method, new=["eo-XX"], adapters=["en_XX", "eo-XX"])
    parts = parts_of(name for name, _ in built.named_parameters())
    assert parts == OF_METHOD[method]
    assert built.untrained == parts
    assert {part for part in parts if language_of(part)} == {p for p in parts if "." in p}


def test_what_a_stage_touches() -> None:
    """Of languages those among its texts: the others' parts get no gradient."""
    built = tiny.model(new=["eo-XX"], adapters=["en_XX", "eo-XX"])
    names = [name for name, _ in built.named_parameters()]
    by_stage = {
        stage: parts_trained_by([n for n in names if is_trained(n, "laft", stage, 2)], ["en_XX"])
        for stage in ("denoising", "generation")
    }
    assert by_stage == {
        "denoising": {"task_module", "fusion", "language_adapter.en_XX"},
        "generation": {"task_module"},
    }


def test_words() -> None:
    assert describe_parts([]) == ""
    assert describe_parts(["fusion"]) == "the fusion"
    parts = ["language_adapter.fr_XX", "fusion", "language_adapter.en_XX", "new_tag_rows.eo_XX"]
    assert describe_parts(parts) == (
        "the fusion, the language adapters of en_XX, fr_XX and the new tags of eo_XX"
    )
    modules = {module for method in METHODS.values() for module in method.modules}
    assert all(describe_parts([module]) for module in modules)
