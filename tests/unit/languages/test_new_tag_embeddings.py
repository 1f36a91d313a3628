"""Rows beside the embedding, against numpy on the two stacked."""

import numpy as np
import pytest
import torch
from torch import nn

from laft_fairseq.languages.new_tag_embeddings import NewTagEmbeddings, mean_of_tags
from tests import tiny

TOKENS = torch.tensor([[5, 7, 0, 6], [8, 1, 2, 7]])  # of 7 + 2 entries


@pytest.fixture
def embedding() -> nn.Embedding:
    torch.manual_seed(1)
    return nn.Embedding(7, 3, padding_idx=1)


@pytest.fixture
def rows(embedding: nn.Embedding) -> NewTagEmbeddings:
    """Of the tags zh_CN (id 7) and eo_XX (id 8), in this order."""
    made = NewTagEmbeddings(["zh_CN", "eo_XX"], embedding)
    made["zh_CN"].data = torch.tensor([1.0, 2.0, 3.0])
    made["eo_XX"].data = torch.tensor([-1.0, 0.5, 4.0])
    return made


def stacked(rows: NewTagEmbeddings, embedding: nn.Embedding) -> np.ndarray:
    return np.concatenate([tiny.numpy(embedding.weight), [[1, 2, 3], [-1, 0.5, 4]]])


def test_lookup(rows: NewTagEmbeddings, embedding: nn.Embedding) -> None:
    result = rows.embed(TOKENS, embedding)
    np.testing.assert_array_equal(tiny.numpy(result), stacked(rows, embedding)[TOKENS.numpy()])


def test_logits(rows: NewTagEmbeddings, embedding: nn.Embedding) -> None:
    features = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    logits = nn.functional.linear(features, embedding.weight)
    result = rows.extend(logits, features)  # (5, 9)
    assert torch.equal(result[:, :7], logits)
    expected = tiny.numpy(features) @ stacked(rows, embedding).T
    np.testing.assert_allclose(tiny.numpy(result), expected, atol=1e-6)


def test_gradients_reach_the_rows_that_were_looked_up(
    rows: NewTagEmbeddings, embedding: nn.Embedding
) -> None:
    """By autograd through the stacked matrix; a tag that is absent gets zeros, not None."""
    weights = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(3))
    (rows.embed(TOKENS, embedding) * weights).sum().backward()
    whole = torch.cat([embedding.weight.detach(), rows.table().detach()]).requires_grad_()
    (nn.functional.embedding(TOKENS, whole, padding_idx=1) * weights).sum().backward()
    assert whole.grad is not None
    torch.testing.assert_close(embedding.weight.grad, whole.grad[:7])
    torch.testing.assert_close(rows["zh_CN"].grad, whole.grad[7])
    torch.testing.assert_close(rows["eo_XX"].grad, whole.grad[8])
    rows.zero_grad()
    rows.embed(torch.tensor([[0, 7]]), embedding).sum().backward()
    assert rows["eo_XX"].grad is not None
    assert rows["eo_XX"].grad.tolist() == [0, 0, 0]


def test_without_new_tags_nothing_changes(embedding: nn.Embedding) -> None:
    none = NewTagEmbeddings([], embedding)
    tokens, logits = torch.tensor([[2, 6]]), torch.ones(2, 7)
    assert torch.equal(none.embed(tokens, embedding), embedding(tokens))
    assert none.extend(logits, torch.ones(2, 3)) is logits
    assert not none.state_dict()


def test_a_tag_begins_as_the_mean_of_the_tags() -> None:
    weight = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, -4.0], [5.0, 5.0]])
    assert mean_of_tags(weight, [1, 2, 3]).tolist() == [3.0, 1.0]
    assert mean_of_tags(weight.half(), [1, 2]).dtype == torch.float16
