"""The plan: a pure function from a budget to the ordered steps behind every cell of the tables."""

from __future__ import annotations

from typing import Any

from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.controls import CONTROLS, JUDGED
from examples.ddtp.tables.steps import (
    FEW_SHOT_ROWS,
    NEAREST,
    QUESTION_ROWS,
    Planner,
    Resources,
    Step,
    System,
    systems,
)

LAFT = System("laft")


def _chosen(planner: Planner, system: System) -> tuple[str, tuple[str, ...]]:
    """The choice of a system's rate, zero-shot, and the trainings that it is made among."""
    updates = planner.budget.stage2_updates
    return planner.selection(system, "zero-shot", "zero-shot", ("en_XX",), updates)


def _zero_shot(planner: Planner, system: System, seed: int, after: tuple[str, ...] = ()) -> None:
    """The cells of one system and seed, at the source's and at the target's choice of the rate."""
    budget = planner.budget
    chosen, grid = _chosen(planner, system)
    near: dict[str, Any] = {"near": True} if after else {}
    for selection in ("source", "target"):
        trainings, more = grid, dict(near)
        if seed > 1 and (selection == "source" or seed <= budget.target_seeds):
            training = planner.stage2(system, seed, selection, after=(chosen, *after),
                                      setting="zero-shot", **near)  # fmt: skip
            trainings, more = (training,), {**near, "training": training}
        elif seed > 1:
            trainings = ()
        needs = (chosen, *trainings, *after)
        for lang in budget.targets:
            if selection == "target":
                source = f"cell/zero-shot/{system.name}.{lang}.s{seed}.source"
                needs = (*needs, source)
            planner.cell(
                system, "zero-shot", lang, seed, selection, needs, data="zero-shot", **more
            )


def first_seed(planner: Planner, have: Resources) -> None:
    """Zero-shot, every row, seed 1: the choice of the rate and the headline."""
    if "zero-shot" in planner.budget.settings:
        for system in systems(planner.budget):
            _zero_shot(planner, system, 1)


def gate(planner: Planner, have: Resources) -> None:
    """Gate 2, for which nothing is trained."""
    if "laft" in planner.budget.rows and have.card:
        planner.add(Step("retrieval", "retrieval", "retrieval of translations", "retrieval.json",
                         (planner.components("true"),), 30))  # fmt: skip


def figure(planner: Planner, have: Resources) -> None:
    """Figure 2: LAFT's representations after stage 2."""
    budget = planner.budget
    if "zero-shot" not in budget.settings or "laft" not in budget.rows:
        return
    chosen, grid = _chosen(planner, LAFT)
    planner.add(Step("measures/main", "measures", "figure 2",
                     "results/representations.main.json", (planner.data("parallel"), chosen, *grid),
                     40, {"method": "laft", "variant": "main"}))  # fmt: skip


def supervised(planner: Planner, have: Resources) -> None:
    """Gate 1: human pairs of one language alone, fully tuned; English from the zero-shot runs."""
    budget = planner.budget
    if "supervised" not in budget.settings or "mbart_full" not in budget.rows:
        return
    system = System("mbart_full")
    for lang in ("en_XX", *have.human_pairs):
        data = "zero-shot" if lang == "en_XX" else f"human.{lang}"
        setting = f"supervised.{lang}"
        chosen, grid = planner.selection(system, setting, data, (lang,), budget.supervised_updates)
        planner.cell(system, "supervised", lang, 1, "source",
                     (chosen, *grid), data=data, chosen_in=setting)  # fmt: skip


def _joint(planner: Planner, system: System, setting: str, data: str, lang: str,
           seed: int, **more: Any) -> None:  # fmt: skip
    """English pairs and pairs of one target together, at the zero-shot source choice."""
    chosen, _ = _chosen(planner, system)
    training = planner.stage2(system, seed, "source", data, ("en_XX", lang), (chosen,),
                              setting=f"{setting}.{lang}", **more)  # fmt: skip
    planner.cell(system, setting, lang, seed, "source",
                 (chosen, training), data=data, training=training)  # fmt: skip


def translate_train(planner: Planner, have: Resources) -> None:
    """Pairs translated by machine, and by people (the oracle), beside the English ones."""
    for setting, langs, kind in (
        ("translate-train", have.translated, "translated"),
        ("human-translation-train", have.human_pairs, "oracle"),
    ):
        if setting not in planner.budget.settings:
            continue
        for seed in range(1, planner.budget.joint_seeds + 1):
            for lang in langs:
                for row in planner.budget.rows:
                    _joint(planner, System(row), setting, f"{kind}.{lang}", lang, seed)


def translate_test(planner: Planner, have: Resources) -> None:
    """Translate, summarise in English, translate back: what users have without any of this."""
    budget = planner.budget
    if "translate-test" in budget.settings and "mbart_full" in budget.rows:
        chosen, grid = _chosen(planner, System("mbart_full"))
        for lang in have.translated:
            planner.cell(System("mbart_full"), "translate-test", lang, 1, "source",
                         (chosen, *grid), data="zero-shot")  # fmt: skip


def _controls(budget: Budget) -> list[str]:
    """The controls that are asked for."""
    if "controls" not in budget.settings or "laft" not in budget.rows:
        return []
    return [name for name in CONTROLS if {"all", name} & set(budget.controls)]


def _control(planner: Planner, name: str, seed: int) -> None:
    """LAFT with one part changed, at LAFT's rate."""
    chosen, _ = _chosen(planner, LAFT)
    system = System("laft", name)
    training = planner.stage2(system, seed, "source", after=(chosen,), setting="zero-shot")
    for lang in planner.budget.targets:
        planner.cell(system, "zero-shot", lang, seed, "fixed",
                     (chosen, training), data="zero-shot", training=training)  # fmt: skip
    if seed == 1:
        needs = (planner.data("parallel"), training)
        planner.add(Step(f"measures/{name}", "measures", f"representations, {name}",
                         f"results/representations.{name}.json", needs, 30,
                         {"method": "laft", "variant": name}))  # fmt: skip


def controls(planner: Planner, have: Resources) -> None:
    """Every control; the two that the verdict asks get further seeds with the rows."""
    for seed in range(1, planner.budget.control_seeds + 1):
        for name in _controls(planner.budget):
            _control(planner, name, seed)


def questions(planner: Planner, have: Resources) -> None:
    """The second task by the same code: English pairs, Chinese test."""
    budget = planner.budget
    if "questions" not in budget.settings or not have.questions or "zh_CN" not in budget.targets:
        return
    for seed in range(1, budget.question_seeds + 1):
        for system in systems(budget):
            if system.method not in QUESTION_ROWS:
                continue
            chosen, _ = _chosen(planner, system)
            training = planner.stage2(system, seed, "source", "questions", after=(chosen,))
            planner.cell(system, "zero-shot", "zh_CN", seed, "source", (chosen, training),
                         data="questions", task="questions", training=training)  # fmt: skip


def further_seeds(planner: Planner, have: Resources) -> None:
    """Every row and judged control on every seed, then laft and its nearest rivals on more."""
    budget = planner.budget
    everyone = systems(budget) if "zero-shot" in budget.settings else []
    for seed in range(2, budget.seeds + 1):
        for system in everyone:
            _zero_shot(planner, system, seed)
        for name in _controls(budget):
            if name in JUDGED:
                _control(planner, name, seed)
    if budget.seeds_near == budget.seeds or LAFT not in everyone:
        return
    cells = tuple(
        f"cell/zero-shot/{system.name}.{lang}.s{seed}.source"
        for system in everyone
        for lang in budget.targets
        for seed in range(1, budget.seeds + 1)
    )
    nearest = planner.add(Step("nearest", "nearest", f"laft's {NEAREST} nearest rivals",
                               "nearest.json", cells, 0.1, {"cells": cells}))  # fmt: skip
    for seed in range(budget.seeds + 1, budget.seeds_near + 1):
        for system in everyone:
            _zero_shot(planner, system, seed, () if system == LAFT else (nearest,))


def few_shot(planner: Planner, have: Resources) -> None:
    """A few human pairs of the target beside the English ones."""
    if "few-shot" not in planner.budget.settings:
        return
    for count in planner.budget.few_shot:
        for lang in have.human_pairs:
            for row in FEW_SHOT_ROWS:
                if row in planner.budget.rows:
                    name = f"few-shot-{count}"
                    _joint(planner, System(row), name, f"{name}.{lang}", lang, 1)


PARTS = (gate, first_seed, figure, translate_train, supervised, controls, questions, further_seeds,
         translate_test, few_shot)  # fmt: skip


def plan(budget: Budget, have: Resources | None = None) -> list[Step]:
    """All steps, the most valuable first; what a step needs comes before it."""
    have = have or Resources()
    planner = Planner(budget)
    planner.experiment()
    if "laft" in budget.rows:
        planner.components("true")
    for part in PARTS:
        part(planner, have)
    return list(planner.steps.values())
