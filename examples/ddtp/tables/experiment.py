"""What is compared with what, and by which rule: written before the first training."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from examples.ddtp.tables import carry, data, human_pairs, sources
from examples.ddtp.tables.budget import ROWS, Budget, recorded
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.files import read_json, write_json
from examples.ddtp.tables.sources import HUMAN_PAIRS, Sources
from examples.ddtp.tables.steps import Resources

SMALLEST_GAIN = 1.0  # ROUGE-L
STATEMENTS = (
    "The text claims a gain of +0.71 where its table gives +0.52 and +4.07.",
    "The text names 3.8 % and 19.2 % of trained parameters, which do not share a denominator.",
)


def contrasts(budget: Budget) -> list[dict[str, str]]:
    """Each against LAFT: every equally trained row, and full fine-tuning as the paper has it."""
    rivals = [(row, "stage1") for row in ROWS if row not in {"laft", "tm_adv_frozen"}]
    rivals.append(("mbart_full", "main"))
    return [
        {"setting": "zero-shot", "lang": lang, "method": method, "variant": variant}
        for method, variant in rivals
        for lang in budget.targets
    ]


def not_testable(budget: Budget, have: Resources) -> list[dict[str, str]]:
    """Settings that a target has no data or engine for."""
    missing = []
    for lang in budget.targets:
        if lang not in have.translated:
            reason = "no translation engine on this machine" + (
                "" if lang in have.human_pairs else ", too few human pairs"
            )
            missing += [
                (setting, lang, reason) for setting in ("translate-train", "translate-test")
            ]
        if lang not in have.human_pairs:
            reason = f"fewer than {HUMAN_PAIRS} human training pairs"
            settings = ["human-translation-train", "supervised"]
            settings += [f"few-shot-{count}" for count in budget.few_shot]
            missing += [(setting, lang, reason) for setting in settings]
    if not have.questions:
        missing += [("questions", lang, "QG names no folder of pairs") for lang in budget.targets]
    return [dict(zip(("setting", "lang", "reason"), each, strict=True)) for each in missing]


def fingerprint(folder: Path) -> tuple[str, int]:
    """The backbone's fingerprint and number of parameters, from its tensors."""
    import logging

    logging.getLogger("fairseq").setLevel(logging.WARNING)  # it tells what it did not find
    from laft_fairseq.checkpoints import backbone

    read = backbone.read(str(folder / "model.pt"))
    seen = {tensor.data_ptr(): tensor.numel() for tensor in read.state.values()}
    return read.fingerprint, sum(seen.values())


def _backbone(place: Place) -> dict[str, Any]:
    mark, parameters = fingerprint(place.backbone)
    card_file = place.backbone / "card.json"
    card = read_json(card_file) if card_file.exists() else {}
    if card.get("fingerprint", mark) != mark:
        raise ValueError(f"{card_file} describes another model than {place.backbone}/model.pt")
    return {
        "name": card.get("name", f"{place.backbone.parent.name}/{place.backbone.name}"),
        "parameters": card.get("parameters", parameters),
        "tokens": card.get("tokens"),
        "fingerprint": mark,
    }


def _seeds(budget: Budget) -> dict[str, int]:
    return {row: budget.seeds_near if row == "laft" else budget.seeds for row in budget.rows}


def machine(place: Place) -> str:
    """What this machine is, in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, {'CPU' if place.cpu else 'GPU'}"


def _made_of(
    place: Place, budget: Budget, have: Resources, read: Sources, verified: bool
) -> dict[str, Any]:
    """Files that the data are made of, and the target's pairs of the data sets that take some."""
    found = {"sources": sources.digests(read, budget)} if verified else {}
    english = place.out / "raw" / "zero-shot" / "en_XX.train.tsv"
    if not english.exists():
        return found
    pairs = human_pairs.recorded(read, budget, have.human_pairs, data.run_pairs(place))
    return found | {"training_pairs": pairs}


def describe(place: Place, budget: Budget, have: Resources, read: Sources) -> dict[str, Any]:
    """One `laft-experiment/1`."""
    counts = read_json(place.out / "data" / "zero-shot.json")
    budget_words = recorded(budget) | {
        "seeds": _seeds(budget) | {"nearest rivals": budget.seeds_near},
        "test_items": {lang: counts[f"{lang}.test"] for lang in budget.targets},
        "pairs": counts["en_XX.train"],
    }
    return {
        "format": "laft-experiment/1",
        "title": "Headlines from package descriptions, and questions, zero-resource",
        "backbone": _backbone(place),
        "machine": machine(place),
        "text": carry.text_digest(place.out / "raw" / "zero-shot"),
        "budget": budget_words,
        "asked": recorded(budget),
        "arch": place.arch,
        "source": "en_XX",
        "targets": list(budget.targets),
        "contrasts": contrasts(budget),
        "verdict": {"smallest_gain": SMALLEST_GAIN},
        "not_testable": not_testable(budget, have),
        **_made_of(place, budget, have, read, verified=True),
        "samples": {"headlines": data.samples(place, budget.langs),
                    "questions": {lang: {"inputs": [], "references": []}
                                  for lang in budget.targets if lang == "zh_CN"}},
        "paper": {"source": "Wu et al., INLG 2022", "cells": [], "statements": list(STATEMENTS)},
    }  # fmt: skip


def name_nearest(out: Path) -> None:
    """Record which rivals get as many seeds as LAFT, once they are found; the verdict reads it."""
    path, nearest = out / carry.EXPERIMENT, out / "nearest.json"
    if not (path.exists() and nearest.exists()):
        return
    found = read_json(nearest)
    rivals = found["rivals"] if isinstance(found, dict) else found
    write_json(path, read_json(path) | {"nearest": rivals})


def renew(place: Place, budget: Budget, have: Resources, read: Sources,
          verified: bool = False) -> None:  # fmt: skip
    """Bring an experiment that is there up to what is at hand now; nothing that it says changes.

    What has become testable is no longer called not testable, and what was not recorded is added.

    Args:
        place, budget, have: the run.
        read: the folders of raw text.
        verified: the zero-shot text is the recorded one. A record without digests, of an earlier
            version, gets them then; otherwise they might be those of other files.
    """
    path = place.out / carry.EXPERIMENT
    if not path.exists():
        return
    before = read_json(path)
    missing = {(each["setting"], each["lang"]) for each in not_testable(budget, have)}
    still = [each for each in before["not_testable"] if (each["setting"], each["lang"]) in missing]
    written = before | {"not_testable": still}
    verified = verified or "sources" in before
    for name, found in _made_of(place, budget, have, read, verified).items():
        written[name] = found | before.get(name, {})
    if written != before:
        write_json(path, written)
    name_nearest(place.out)
