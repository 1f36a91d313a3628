"""One cell of the tables: outputs of one system, one seed, one language, scored."""

from __future__ import annotations

import shutil
from pathlib import Path

from examples.ddtp.tables import commands, results, state, translation
from examples.ddtp.tables.files import read_json, read_lines, write_json, write_text
from examples.ddtp.tables.steps import Step
from examples.ddtp.tables.work import Work, checkpoint, system_of


def _training(work: Work, step: Step) -> str:
    """The training that a cell's outputs come from."""
    given = step.args.get("training")
    if given is not None:
        return str(given)
    where = step.args.get("chosen_in", "zero-shot")
    rate = work.chosen(step, step.args["selection"])
    return f"stage2/{where}/{system_of(step).name}/s1.{rate}"


def perform(work: Work, step: Step) -> None:
    """Generate and score; where the target chose the source's rate its cell serves both."""
    args = step.args
    if args["selection"] == "target" and work.chosen(step, "target") == work.chosen(step, "source"):
        twin = work.out / step.result.replace(".target.json", ".source.json")
        write_json(work.out / step.result, {**read_json(twin), "selection": "target"})
        return
    training = _training(work, step)
    folder, raw = work.out / "runs" / step.id, work.out / "raw" / args["data"]
    own = args["task"] == "questions"
    if not own and not (raw / f"{args['lang']}.test.tgt").exists():
        raw = work.out / "raw" / "zero-shot"
    _begin(folder, work.out / "runs" / training)
    if args["setting"] == "translate-test":
        hypotheses, written = _translated(work, step, training, raw)
    else:
        hypotheses, written = _generated(work, step, training, raw)
    found = results.cell(work.out, work.budget, step, training, raw, hypotheses)
    write_json(work.out / step.result, found | {"commands": [*found["commands"], *written]})


def _begin(folder: Path, training: Path) -> None:
    """Keep what was made of this training; of another one, or of none that is known, nothing."""
    mark, known = state.mark(training), folder / "training"
    if folder.exists() and not (known.exists() and known.read_text() == mark):
        shutil.rmtree(folder)
    write_text(known, mark)


def _generated(work: Work, step: Step, training: str, raw: Path) -> tuple[list[str], list[str]]:
    """Outputs, and the commands that made and scored them."""
    from laft_fairseq.scoring.fairseq_log import read_generate_log

    args, folder = step.args, work.out / "runs" / step.id
    log, took = folder / "generate.log", folder / "generate.json"
    path = work.out / "runs" / training / "checkpoint_last.pt"
    generate = commands.generate(work.place, work.budget, path, args["data"], args["lang"],
                                 args["task"])  # fmt: skip
    if not (took.exists() and log.exists()):
        checkpoint(work, training)
        partial = folder / "generate.partial"
        usage = work.call(generate, partial, stderr=folder / "generate.err")
        partial.replace(log)
        write_json(took, {"seconds": round(usage.seconds, 1), "peak_mib": round(usage.peak_mib)})
    score = commands.score(work.budget, log, raw, args["lang"], folder / "score.json")
    work.call(score, folder / "score.txt", stderr=folder / "score.err")
    return read_generate_log(log).hypotheses, [work.words(generate), work.words(score)]


def _translated(work: Work, step: Step, training: str, raw: Path) -> tuple[list[str], list[str]]:
    """The same with the text translated into English, and the outputs back."""
    folder, lang = work.out / "runs" / step.id, step.args["lang"]
    command = translation.test(work.place, work.budget, checkpoint(work, training), raw, lang,
                               folder)  # fmt: skip
    usage = work.call(command, folder / "translate_test.log")
    (folder / f"score.{lang}.json").replace(folder / "score.json")
    write_json(folder / "generate.json", {"seconds": round(usage.seconds, 1)})
    return read_lines(folder / f"hypotheses.{lang}.txt"), [work.words(command)]
