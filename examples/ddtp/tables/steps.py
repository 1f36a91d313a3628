"""The steps that a plan is made of, and the planner that collects them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.controls import CONTROLS, Control

# Seconds an update of 4,096 source tokens takes on one CPU core, before anything was measured.
STAGE1_SECONDS = 2.6
STAGE2_SECONDS = {
    "laft": 1.0,
    "mbart_full": 1.5,
    "mbart_enc": 1.3,
    "mbart_enc_top2": 1.0,
    "adapter": 1.4,
    "tm_adv": 3.2,
    "tm_adv_frozen": 1.6,
    "mbart_attn_qk": 1.4,
}
ITEM_SECONDS = 0.1  # to generate one output with beam 5
START_SECONDS = 9.0  # of a fairseq command
NOMINAL_ITEMS = {"en_XX": 2060, "fr_XX": 1160, "zh_CN": 583}
NEAREST = 3
CHOSEN = "chosen"  # in place of a rate: the one that the choice on seed 1 gave
QUESTION_ROWS = ("laft", "mbart_full", "mbart_enc", "tm_adv")
FEW_SHOT_ROWS = ("laft", "mbart_full", "adapter")


@dataclass(frozen=True)
class Step:
    """One thing to do: skipped where its result is there, run once what it needs is done.

    Attributes:
        id: its name; unique.
        kind: which action does it.
        title: what the progress line says.
        result: file below OUT that says that it is done.
        needs: ids of the steps it waits for.
        estimate: seconds, before anything was measured.
        args: what the action has to know.
    """

    id: str
    kind: str
    title: str
    result: str
    needs: tuple[str, ...] = ()
    estimate: float = 10.0
    args: dict[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> tuple[str, str]:
        """Steps of one group take about equally long for what they do."""
        return self.kind, str(self.args.get("method", ""))


@dataclass(frozen=True)
class Resources:
    """What is at hand beside the budget."""

    human_pairs: tuple[str, ...] = ()  # targets with enough human training pairs
    translated: tuple[str, ...] = ()  # targets that an engine can translate into
    questions: bool = False
    card: bool = False  # the backbone's card.json, which the gates read


@dataclass(frozen=True)
class System:
    """A row of the tables in one variant."""

    method: str
    variant: str = "main"

    @property
    def name(self) -> str:
        """As files have it."""
        return f"{self.method}.{self.variant}"

    @property
    def control(self) -> Control | None:
        """The control that this is, if any."""
        return CONTROLS.get(self.variant) if self.method == "laft" else None

    @property
    def staged(self) -> bool:
        """Whether it has had stage 1."""
        if self.control is not None:
            return self.control.staged
        return self.method == "laft" or self.variant == "stage1"

    @property
    def components(self) -> str | None:
        """Which components file it reads."""
        if self.method != "laft":
            return None
        return self.control.components if self.control else "true"


def systems(budget: Budget) -> list[System]:
    """Every row as the paper has it, then every other row with stage 1 as well."""
    return [
        System(row, variant)
        for variant in budget.variants
        for row in budget.rows
        if row != "laft" or variant == "main"
    ]


class Planner:
    """Collects steps; the same step may be asked for again, another one of its name may not."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps: dict[str, Step] = {}

    def add(self, step: Step) -> str:
        """Add a step unless it is there, and return its id."""
        missing = [need for need in step.needs if need not in self.steps]
        if missing:
            raise ValueError(f"{step.id} comes before {missing[0]}")
        if self.steps.setdefault(step.id, step) != step:
            raise ValueError(f"{step.id} is planned twice, and not alike")
        return step.id

    def data(self, name: str) -> str:
        """Text and binarised data of a data set."""
        needs = () if name == "zero-shot" else (self.data("zero-shot"),)
        step = Step(f"data/{name}", "data", f"data, {name}", f"data/{name}.json", needs, 30,
                    {"name": name})  # fmt: skip
        return self.add(step)

    def experiment(self) -> str:
        """What is compared with what, written down before anything trains."""
        return self.add(Step("experiment", "experiment", "the experiment, written down",
                             "results/experiment.json", (self.data("zero-shot"),), 5))  # fmt: skip

    def components(self, kind: str) -> str:
        """Language components, true ones or a control's."""
        needs = (self.data("zero-shot"), *(() if kind == "true" else (self.components("true"),)))
        return self.add(
            Step(f"components/{kind}", "components", f"language components, {kind}",
                 f"components/{kind}.safetensors", needs, 60, {"components": kind})
        )  # fmt: skip

    def stage1(self, system: System, seed: int, after: tuple[str, ...] = (),
               **more: Any) -> tuple[str, ...]:  # fmt: skip
        """What has to be done for stage 1 of a system; one serves all tasks and settings.

        On seed 1 the whole grid is trained and one is chosen; further seeds take that rate, and
        LAFT's controls take LAFT's. `after` and `more` are for seeds that only rivals have.
        """
        budget = self.budget
        seed = min(seed, budget.stage1_seeds)
        if seed <= max(budget.seeds, budget.question_seeds, budget.joint_seeds):
            after, more = (), {}  # others may ask for it too
        if system.control is not None:
            chosen, *_ = self.stage1(System("laft"), 1)
            return chosen, self._stage1(system, seed, CHOSEN, (chosen,))
        grid = tuple(self._stage1(system, 1, rate) for rate in budget.stage1_grid)
        name = f"select/stage1/{system.name}"
        step = Step(name, "select1", f"learning rate, stage 1, {system.name}", f"{name}.json",
                    grid, 0.1, {"trainings": grid})  # fmt: skip
        chosen = self.add(step)
        if seed == 1:
            return chosen, *grid
        return chosen, self._stage1(system, seed, CHOSEN, (chosen, *after), **more)

    def _stage1(self, system: System, seed: int, rate: str, after: tuple[str, ...] = (),
                **more: Any) -> str:  # fmt: skip
        """Stage 1 at a rate of the grid, or at the chosen one."""
        needs = [self.experiment(), self.data("zero-shot"), *after]
        if system.components:
            needs.append(self.components(system.components))
        seconds = self.budget.stage1_updates * STAGE1_SECONDS * self.budget.max_tokens / 4096
        name = f"stage1/{system.name}/s{seed}.{rate}"
        title = f"stage 1, {system.name}, seed {seed}, rate {rate}"
        return self.add(
            Step(name, "stage1", title, f"runs/{name}/done.json",
                 tuple(needs), seconds + START_SECONDS,
                 {"method": system.method, "variant": system.variant, "seed": seed, "rate": rate,
                  **more})
        )  # fmt: skip

    def stage2(self, system: System, seed: int, rate: str, data: str = "zero-shot",
               train: tuple[str, ...] = ("en_XX",), after: tuple[str, ...] = (), **more: Any,
               ) -> str:  # fmt: skip
        """Stage 2 at a rate of the grid, or at the `source` or `target` choice of seed 1."""
        budget = self.budget
        needs = [self.experiment(), self.data(data), *after]
        if system.components:
            needs.append(self.components(system.components))
        if system.staged:
            near = {"near": True} if more.get("near") else {}
            needs += self.stage1(system, seed, after, **near)
            more["stage1"] = f"stage1/{system.name}/s{min(seed, budget.stage1_seeds)}"
        updates = more.setdefault("updates", budget.stage2_updates)
        seconds = updates * STAGE2_SECONDS[system.method] * budget.max_tokens / 4096
        if more.get("choose"):
            seconds += budget.valid_items * len(budget.langs) * ITEM_SECONDS / 2
        folder = f"stage2/{more.get('setting', data)}/{system.name}/s{seed}.{rate}"
        title = f"stage 2, {more.get('setting', data)}, {system.name}, seed {seed}, rate {rate}"
        args = {"method": system.method, "variant": system.variant, "seed": seed, "rate": rate,
                "data": data, "train": train, **more}  # fmt: skip
        return self.add(
            Step(folder, "stage2", title, f"runs/{folder}/done.json", tuple(needs),
                 seconds + START_SECONDS, args)
        )  # fmt: skip

    def selection(self, system: System, setting: str, data: str, train: tuple[str, ...],
                  updates: int) -> tuple[str, tuple[str, ...]]:  # fmt: skip
        """Trainings of the whole grid on seed 1, and the choice among them."""
        trainings = tuple(
            self.stage2(system, 1, rate, data, train, setting=setting, choose=True, updates=updates)
            for rate in self.budget.grid
        )
        name = f"select/{setting}/{system.name}"
        step = Step(name, "select", f"learning rate, {setting}, {system.name}", f"{name}.json",
                    trainings, 0.1, {"method": system.method, "variant": system.variant,
                                     "setting": setting, "source": train,
                                     "trainings": trainings})  # fmt: skip
        return self.add(step), trainings

    def cell(self, system: System, setting: str, lang: str, seed: int, selection: str,
             needs: tuple[str, ...], **more: Any) -> str:  # fmt: skip
        """One result file: outputs of one system, one seed, one language, scored."""
        task = more.get("task", "headlines")
        items = self.budget.test_items or NOMINAL_ITEMS.get(lang, 1000)
        folder = setting if task == "headlines" else f"{task}/{setting}"
        name = f"{folder}/{system.name}.{lang}.s{seed}.{selection}"
        args = {"method": system.method, "variant": system.variant, "setting": setting,
                "lang": lang, "seed": seed, "selection": selection, "task": task}  # fmt: skip
        seconds = 2 * START_SECONDS + items * ITEM_SECONDS * self.budget.beam / 5
        if selection == "target":  # most choices agree with the source's: one file serves both
            seconds = seconds / 3 if seed == 1 or "training" in more else 0.1
        return self.add(
            Step(f"cell/{name}", "cell", f"outputs, {setting}, {system.name}, {lang}, seed {seed}, "
                 f"{selection}", f"results/{name}.json", needs, seconds, args | more)
        )  # fmt: skip
