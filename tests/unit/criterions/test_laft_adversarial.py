"""L = L_cls + L_adv + L_gen against float64 numpy; who is moved by what; what is refused."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.logging import metrics

from laft_fairseq.baselines.language_classifier import adversarial_losses
from laft_fairseq.criterions import laft_adversarial
from laft_fairseq.criterions.laft_adversarial import LaftAdversarial, smoothed_cross_entropy
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

EPSILON = 0.2
OPTIONS = {"sentence_avg": False, "label_smoothing": EPSILON, "unrouted_adversary": False}


def task(data: Path | str, method: str | None = "tm_adv", **options: Any) -> Any:
    options = {"train_langs": "en_XX", "target_langs": "fr_XX,zh_CN", **options}
    made = tiny.task("generation", data=str(data), **options)
    made.method, made.width = method, tiny.D
    return made


def batch(made: Any, split: str = "train") -> Any:
    """All rows of a split: six in English, six others without a target."""
    made.load_dataset(split)
    rows = made.datasets[split]
    return rows.collater([rows[index] for index in range(len(rows))])


def criterion(made: Any, **options: Any) -> LaftAdversarial:
    built = LaftAdversarial(made, **{**OPTIONS, **options})
    tiny.scramble(built, std=0.5)
    return built


def expected(model: LAFTMBart, made: Any, built: LaftAdversarial, sample: Any) -> dict[str, float]:
    """The three losses in float64, a row and a token at a time, before rescaling."""
    logits, extra = model(**sample["net_input"])
    states, weight = (
        tiny.numpy(extra["encoder"]["h"][0]),
        tiny.numpy(built.classifier.linear.weight),
    )
    english, cls, adv = made.tag_ids["en_XX"], [], []
    outside = {0, 1, 2, *made.tag_ids.values()}
    for row, tokens in enumerate(sample["net_input"]["src_tokens"].tolist()):
        text = [states[t, row] for t, token in enumerate(tokens) if token not in outside]
        probability = 1 / (1 + np.exp(-(weight[0] @ np.mean(text, axis=0))))
        y = float(english in tokens)
        cls.append(-(y * np.log(probability) + (1 - y) * np.log(1 - probability)))
        adv.append(-((1 - y) * np.log(probability) + y * np.log(1 - probability)))
    gen = [cross_entropy(tiny.numpy(logits)[row, t], token)
           for row, target in enumerate(sample["target"].tolist())
           for t, token in enumerate(target) if token != 1]  # fmt: skip
    return {"cls": np.mean(cls), "adv": np.mean(adv), "gen": np.mean(gen), "tokens": len(gen)}


def cross_entropy(logits: np.ndarray, token: int) -> float:
    """-Σ_v q_v log p_v, q being 1 - ε at the token and ε / (|V| - 1) at each of the others."""
    vocabulary = len(logits)
    q = np.full(vocabulary, EPSILON / (vocabulary - 1))
    q[token] = 1 - EPSILON
    assert math.isclose(q.sum(), 1)
    return float(-(q * (logits - np.log(np.exp(logits).sum()))).sum())


@pytest.mark.parametrize(
    ("target_rows", "layout"),
    [("monolingual", "suffix"), ("pairs", "suffix"), ("monolingual", "prefix")],
)
def test_the_three_losses_agree_with_numpy(data: Path, target_rows: str, layout: str) -> None:
    made = task(data, target_rows=target_rows, tag_layout=layout)
    model = tiny.scrambled(method="tm_adv", layout=layout)
    built, sample = criterion(made), batch(made)
    loss, size, log = built.train()(model, sample)
    actual = expected(model, made, built, sample)
    assert size == actual["tokens"] == log["ntokens"]
    for term in ("cls", "adv", "gen"):
        assert float(log[f"loss_{term}"]) / size == pytest.approx(actual[term], abs=1e-6)
    total = actual["cls"] + actual["adv"] + actual["gen"]
    assert float(loss) / size == pytest.approx(total, abs=2e-6)
    assert abs(actual["cls"] - actual["adv"]) > 1e-3


def test_smoothing_is_not_over_the_whole_dictionary() -> None:
    """ε/(|V| - 1) for the others, against the form that gives the target ε/|V| too."""
    lprobs = torch.log_softmax(torch.tensor([[2.0, 0.0, 1.0, -1.0, 0.5]], dtype=torch.float64), 1)
    loss, nll = smoothed_cross_entropy(lprobs, torch.tensor([2]), EPSILON, pad=1)
    assert float(loss) == pytest.approx(cross_entropy(lprobs[0].numpy(), 2), abs=1e-12)
    assert float(nll) == -float(lprobs[0, 2])
    uniform = (1 - EPSILON) * nll - EPSILON * lprobs.mean()
    assert abs(float(loss - uniform)) > 1e-3
    assert float(smoothed_cross_entropy(lprobs, torch.tensor([1]), EPSILON, pad=1)[0]) == 0
    plain, nll = smoothed_cross_entropy(lprobs, torch.tensor([2]), 0.0, pad=1)
    assert plain == nll


def gradients(term: Any, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    named = {n: p for n, p in module.named_parameters() if p.requires_grad}
    actual = torch.autograd.grad(term, list(named.values()), retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(named, actual, strict=True) if g is not None and g.any()}


@pytest.fixture
def terms(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function: the terms of a step, with their graphs, by the criterion's own forward."""

    def compute(**options: Any) -> tuple[dict[str, Any], LAFTMBart, LaftAdversarial]:
        made, model = task(data), tiny.scrambled(method="tm_adv_frozen")
        built, kept = criterion(made, **options).train(), {}

        def losses(*args: Any, **kwargs: Any) -> Any:
            kept["cls"], kept["adv"], z = adversarial_losses(*args, **kwargs)
            return kept["cls"], kept["adv"], z

        monkeypatch.setattr(laft_adversarial, "adversarial_losses", losses)
        kept["loss"], kept["size"], _ = built(model, batch(made))
        return kept, model, built

    return compute


def test_who_is_moved_by_what(terms: Any) -> None:
    actual, model, built = terms()
    assert gradients(actual["cls"], model) == {}
    assert set(gradients(actual["cls"], built)) == {"classifier.linear.weight"}
    assert gradients(actual["adv"], built) == {}
    moved = gradients(actual["adv"], model)
    assert any(name.startswith("encoder.task_module.1.") for name in moved)
    assert not any("gate" in name for name in moved)  # h comes before the gate
    whole = gradients(actual["loss"], model)
    assert {"encoder.gate.linear.weight", "encoder.gate.linear.bias"} <= set(whole)
    expected = gradients(actual["cls"], built)["classifier.linear.weight"] * actual["size"]
    torch.testing.assert_close(
        gradients(actual["loss"], built)["classifier.linear.weight"], expected
    )


def test_the_literal_sum_warns_and_forgets_the_labels(
    terms: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        actual, model, built = terms(unrouted_adversary=True)
    warnings = [r.message for r in caplog.records if "--unrouted-adversary" in r.message]
    assert len(warnings) == 1 and "cancel" in warnings[0] and "\n" not in warnings[0]
    of_cls, of_adv = (gradients(actual[term], model) for term in ("cls", "adv"))
    name = "encoder.task_module.1.fc2.weight"
    assert of_cls[name].any() and of_adv[name].any()
    built.source_langs = frozenset({"fr_XX", "zh_CN"})  # all labels flipped
    assert torch.allclose(actual["loss"], built(model, batch(built.task))[0])


def logged(outputs: list[dict[str, Any]]) -> dict[str, float]:
    with metrics.aggregate(new_root=True) as meters:
        LaftAdversarial.reduce_metrics(outputs)
    return dict(meters.get_smoothed_values())


def test_metrics(data: Path) -> None:
    made, model = task(data), tiny.scrambled(method="tm_adv")
    built, sample = criterion(made), batch(made)
    _, _, log = built.train()(model, sample)
    values, actual = logged([log, log]), expected(model, made, built, sample)
    for term in ("cls", "adv", "gen"):
        assert values[f"loss_{term}"] == pytest.approx(actual[term] / math.log(2), abs=1e-3)
    assert values["rows_source"] == values["rows_target"] == 6
    assert values["accuracy"] == pytest.approx(
        (values["accuracy_source"] + values["accuracy_target"]) / 2, abs=0.1
    )
    tokens = sample["net_input"]["src_tokens"].ne(1).t()
    alpha = model(**sample["net_input"])[1]["encoder"]["alpha"][0].squeeze(2)[tokens]
    assert values["gate"] == pytest.approx(float(alpha.mean()), abs=1e-4)
    assert values["ppl"] == pytest.approx(2 ** values["nll_loss"], rel=1e-2)


def test_accuracy_counts_both_kinds(data: Path) -> None:
    made, model = task(data), tiny.scrambled(method="tm_adv")
    built, sample = criterion(made), batch(made)
    h = model(**sample["net_input"])[1]["encoder"]["h"][0]
    mask = model.encoder.language_tags.text_mask(sample["net_input"]["src_tokens"])
    h_l = (h * mask.t().unsqueeze(2)).sum(0) / mask.sum(1, keepdim=True)  # (B, d)
    with torch.no_grad():  # says "source" of whatever resembles the first row
        built.classifier.linear.weight.copy_(h_l[:1])
    said_source = (h_l @ h_l[0] > 0).float()  # rows 0 to 5 are English
    values = logged([built(model, sample)[2]])
    right = {"source": said_source[:6].mean(), "target": 1 - said_source[6:].mean()}
    for kind, share in right.items():
        assert values[f"accuracy_{kind}"] == pytest.approx(100 * float(share), abs=0.1)


@torch.no_grad()
def test_validation_on_plain_pairs(data: Path) -> None:
    made, model = task(data, valid_langs="en_XX,fr_XX"), tiny.scrambled(method="tm_adv")
    built = criterion(made).eval()
    loss, _, log = built(model, batch(made, "valid"))
    assert torch.equal(loss, log["loss_gen"])
    assert (int(log["rows_source"]), int(log["rows_target"])) == (5, 5)


def test_sentence_average(data: Path) -> None:
    made, model = task(data), tiny.scrambled(method="tm_adv")
    sample = batch(made)
    assert criterion(made, sentence_avg=True)(model, sample)[1] == 6  # rows with a target


@pytest.mark.parametrize(
    ("options", "label_smoothing", "named"),
    [
        ({"method": "laft"}, 0.1, "--method laft .* tm_adv or tm_adv_frozen"),
        ({"method": "mbart_full"}, 0.1, "--method mbart_full"),
        ({"method": None}, 0.1, "--arch"),
        ({"target_langs": None}, 0.1, "--target-langs"),
        ({}, 1.0, "--label-smoothing 1.0"),
    ],
)
def test_refusals(options: dict[str, Any], label_smoothing: float, named: str) -> None:
    with pytest.raises(LaftError, match=named):
        criterion(task("data-bin", **options), label_smoothing=label_smoothing)


def test_stage_1_is_refused() -> None:
    with pytest.raises(LaftError, match="--task laft_generation"):
        criterion(tiny.task("denoising", train_langs="en_XX"))


def test_another_criterion_would_leave_the_target_rows_out() -> None:
    from fairseq.dataclass.configs import FairseqConfig  # noqa: F401  fills the registry
    from omegaconf import OmegaConf

    cfg = OmegaConf.create({"_name": "cross_entropy", "sentence_avg": False})
    with pytest.raises(LaftError, match="--target-langs: only --criterion laft_adversarial"):
        task("data-bin").build_criterion(cfg)
    with pytest.raises(LaftError, match="--method tm_adv: "):
        task("data-bin", target_langs=None).build_criterion(cfg)
