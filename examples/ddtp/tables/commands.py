"""The command lines, each by the public names; nothing here runs or reads anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.controls import CONTROLS
from examples.ddtp.tables.steps import System
from laft_fairseq.method.systems import METHODS

SHIPPED = Path("examples/ddtp/data")
LABEL_SMOOTHING = "0.1"
ADVERSARIAL = tuple(name for name, row in METHODS.items() if "gate" in row.modules)
LENPEN = {"headlines": "1.5", "questions": "3"}
MAX_OUTPUT = "64"


@dataclass(frozen=True)
class Place:
    """Where everything lies."""

    out: Path
    backbone: Path
    arch: str
    cpu: bool
    save_updates: int = 250  # updates after which a training is saved, and validated, on its way

    def data(self, name: str) -> Path:
        """The binarised data of a data set."""
        return self.out / "data-bin" / name

    def components(self, kind: str) -> Path:
        """A components file."""
        return self.out / "components" / f"{kind}.safetensors"

    @property
    def device(self) -> list[str]:
        """No GPU: say so."""
        return ["--cpu"] if self.cpu else []


def components(place: Place, budget: Budget, kind: str) -> list[str]:
    """`laft components`, of the true ones or of a control."""
    out = place.components(kind)
    made = next((control for control in CONTROLS.values() if control.components == kind), None)
    derived = made is not None and made.make and not made.anew
    command = ["laft", "components", "--out", str(out)]
    if derived and made is not None:
        return [*command, "--from", str(place.components("true")), *made.make]
    command += ["--backbone", str(place.backbone / "model.pt"), *place.device,
                "--data", str(place.data("zero-shot")), "--langs", ",".join(budget.langs),
                "--num-components", "6"]  # fmt: skip
    if budget.max_sentences:
        command += ["--max-sentences", str(budget.max_sentences)]
    return [*command, *(made.make if made is not None and kind != "true" else ())]


def _system_options(place: Place, system: System) -> list[str]:
    options = ["--method", system.method]
    if system.components:
        options += ["--language-components", str(place.components(system.components))]
    return options + list(system.control.options if system.control else ())


def _common(place: Place, budget: Budget, folder: Path, data: str, rate: str, updates: int,
            seed: int) -> list[str]:  # fmt: skip
    """What every training shares: optimiser, schedule, saving, logging."""
    log = max(1, updates // 20)
    warmup = max(1, round(float(budget.warmup) * updates))
    return [
        "fairseq-train", str(place.data(data)), "--user-dir", "laft_fairseq",
        "--arch", place.arch, "--backbone", str(place.backbone / "model.pt"),
        "--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--clip-norm", "1.0",
        "--lr-scheduler", "polynomial_decay", "--lr", rate, "--warmup-updates", str(warmup),
        "--total-num-update", str(updates), "--max-update", str(updates),
        "--max-tokens", str(budget.max_tokens), "--seed", str(seed),
        "--save-dir", str(folder), "--save-interval", "1000000",
        "--save-interval-updates", str(place.save_updates), "--keep-interval-updates", "1",
        "--no-epoch-checkpoints", "--validate-interval", "1000000",
        "--num-workers", "0",
        "--log-format", "json", "--log-interval", str(log), *place.device,
    ]  # fmt: skip


def stage1(
    place: Place, budget: Budget, system: System, folder: Path, rate: str, seed: int
) -> list[str]:
    """Unsupervised generation pretraining on text of all languages, for any row."""
    return [
        *_common(place, budget, folder, "zero-shot", rate, budget.stage1_updates, seed),
        "--task", "laft_denoising", "--criterion", "cross_entropy",
        "--train-langs", ",".join(budget.langs), *_system_options(place, system),
    ]  # fmt: skip


def stage2(
    place: Place,
    budget: Budget,
    system: System,
    folder: Path,
    *,
    rate: str,
    seed: int,
    updates: int,
    data: str,
    train: Sequence[str],
    valid: Sequence[str],
    rouge: bool,
    start: Path | None,
) -> list[str]:
    """Task finetuning on pairs; `start` is stage 1's checkpoint."""
    command = [
        *_common(place, budget, folder, data, rate, updates, seed),
        "--task", "laft_generation", *_system_options(place, system),
        "--valid-langs", ",".join(valid),
    ]  # fmt: skip
    if system.method in ADVERSARIAL:
        joint = len(train) > 1
        if not joint:  # a batch holds as many unlabelled rows again; as many annotated ones as ever
            command[command.index("--max-tokens") + 1] = str(2 * budget.max_tokens)
        targets = train[1:] if joint else [lang for lang in budget.targets if lang not in train]
        command += ["--train-langs", train[0], "--criterion", "laft_adversarial",
                    "--label-smoothing", LABEL_SMOOTHING, "--target-langs", ",".join(targets),
                    "--target-rows", "pairs" if joint else "monolingual"]  # fmt: skip
    else:
        command += ["--train-langs", ",".join(train), "--criterion", "cross_entropy"]
    if rouge:
        command += ["--eval-rouge", "--eval-rouge-beam", str(budget.valid_beam),
                    "--eval-rouge-max-len", MAX_OUTPUT]  # fmt: skip
    return command + (["--finetune-from-model", str(start)] if start else [])


def generate(place: Place, budget: Budget, checkpoint: Path, data: str, lang: str,
             task: str) -> list[str]:  # fmt: skip
    """fairseq-generate on a test set."""
    return [
        "fairseq-generate", str(place.data(data)), "--user-dir", "laft_fairseq",
        "--task", "laft_generation", "--gen-lang", lang, "--path", str(checkpoint),
        "--beam", str(budget.beam), "--lenpen", LENPEN[task], "--max-len-b", MAX_OUTPUT,
        "--batch-size", "32", "--num-workers", "0", "--bpe", "sentencepiece",
        "--sentencepiece-model", str(place.backbone / "sentence.bpe.model"), *place.device,
    ]  # fmt: skip


def score(budget: Budget, log: Path, raw: Path, lang: str, out: Path) -> list[str]:
    """`laft score` against the raw references, with floors."""
    command = ["laft", "score", "--generate-log", str(log), "--lang", lang,
               "--langs", ",".join(budget.langs), "--ref", str(raw / f"{lang}.test.tgt"),
               "--src", str(raw / f"{lang}.test.src"), "--floors", "--json", str(out)]  # fmt: skip
    english = raw / f"{lang}.test.english"
    return command + (["--english-ref", str(english)] if english.exists() else [])


def retrieval(place: Place, budget: Budget, ddtp: Path, out: Path) -> list[str]:
    """Retrieval of translations without Latin tokens, before and after removal: gate 2.

    Among the shipped descriptions where they have the targets, else among those of DDTP.
    """
    shipped = {path.name.split(".")[0] for path in SHIPPED.glob("*.test.tsv.xz")}
    folder = SHIPPED if set(budget.langs) <= shipped else ddtp
    return ["python", "examples/mini/evaluate.py", "--model", str(place.backbone),
            "--retrieval-only", "--components", str(place.components("true")),
            "--langs", ",".join(budget.langs), "--ddtp", str(folder),
            "--out", str(out)]  # fmt: skip


def measures(place: Place, budget: Budget, checkpoint: Path, out: Path, *, draw: bool) -> list[str]:
    """`laft tsne` on the test items that exist in all languages, with or without the figure."""
    command = ["laft", "tsne", "--checkpoint", str(checkpoint), "--data",
               str(place.data("parallel")), "--langs", ",".join(budget.langs), "--split", "test",
               "--parallel", "--mask-latin", "--json", str(out), *place.device]  # fmt: skip
    return [*command, *(["--out", str(out.with_suffix(".png"))] if draw else ["--measures-only"])]
