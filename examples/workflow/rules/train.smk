"""Both stages, each at every rate of its grid, and the choice of a rate."""

TRAIN = (
    "python {HERE:q}/training.py --folder $(dirname {output.done}) --root {ROOT:q}"
    " --device {config[device]} --devices {config[devices]} --keep {config[checkpoint]}"
    " --inputs {input}"
)


def kept(path):
    """A model that goes when nothing planned reads it any more, or that the configuration keeps."""
    return path if config["keep_models"] or OWN else temp(path)


def stage2_inputs(wc):
    """What stage 2 reads."""
    return [f"data-bin/{data_of(wc.pool)}.done", *components(wc),
            *(str(path) for pair in first_stage(wc) for path in pair)]  # fmt: skip


def grid(wc, stage=2):
    """The rates of a system's grid."""
    return [str(rate) for rate in by_system("stage1_grid" if stage == 1 else "grid", wc.system)]


def trainings_of_grid(wc, folder, names=("model.pt", "done.json")):
    """The files of the trainings at each rate of the grid."""
    return [f"runs/{folder}/{wc.system}.{wc.variant}/s1.{rate}/{name}"
            for rate in grid(wc, 1 if folder == "stage1" else 2) for name in names]  # fmt: skip


rule stage1:
    """Stage 1 at a rate of the grid."""
    input:
        "data-bin/zero-shot.done",
        components,
    output:
        model=temp("runs/stage1/{system}.{variant}/s{seed}.{rate}/model.pt"),
        done="runs/stage1/{system}.{variant}/s{seed}.{rate}/done.json",
    params:
        command=lambda wc, output: shlex.join(
            stage1_command(wc, wc.rate, os.path.dirname(output.done))),
    benchmark:
        "benchmarks/stage1/{system}.{variant}/s{seed}.{rate}.tsv"
    resources:
        gpu=GPU,
    message:
        "stage 1, {wildcards.system}.{wildcards.variant}, seed {wildcards.seed}, "
        "rate {wildcards.rate}"
    shell:
        TRAIN + " -- {params.command}"


rule stage1_at_choice:
    """Stage 1 at the chosen rate: that of the grid, or another seed's or an ablation's."""
    input:
        lambda wc: trainings_of_grid(wc, "stage1") if first_seed(wc) else
        ["data-bin/zero-shot.done", *components(wc)],
        choice=lambda wc: f"select/stage1/{wc.system}.{rates_from(wc.variant)}.json",
    output:
        model="runs/stage1/{system}.{variant}/s{seed}.chosen/model.pt",
        done="runs/stage1/{system}.{variant}/s{seed}.chosen/done.json",
    params:
        how=lambda wc, output: (
            f"--grid runs/stage1/{wc.system}.{wc.variant}/s1.RATE" if first_seed(wc) else
            "-- " + shlex.join(stage1_command(wc, "RATE", os.path.dirname(output.done)))),
    benchmark:
        "benchmarks/stage1/{system}.{variant}/s{seed}.chosen.tsv"
    resources:
        gpu=GPU,
    message:
        "stage 1, {wildcards.system}.{wildcards.variant}, seed {wildcards.seed}, chosen rate"
    shell:
        TRAIN + " --rate {input.choice}:chosen {params.how}"


def first_seed(wc):
    """Whether stage 1 at the choice is one of the grid's."""
    return int(wc.seed) == 1 and wc.variant not in ABLATIONS


rule stage2:
    """Stage 2 at a rate of the grid."""
    input:
        stage2_inputs,
    output:
        model=temp("runs/stage2/{pool}/{system}.{variant}/s{seed}.{rate}/model.pt"),
        done="runs/stage2/{pool}/{system}.{variant}/s{seed}.{rate}/done.json",
    params:
        command=lambda wc, output: shlex.join(
            stage2_command(wc, wc.rate, os.path.dirname(output.done))),
    benchmark:
        "benchmarks/stage2/{pool}/{system}.{variant}/s{seed}.{rate}.tsv"
    resources:
        gpu=GPU,
    message:
        "stage 2, {wildcards.pool}, {wildcards.system}.{wildcards.variant}, seed {wildcards.seed}, "
        "rate {wildcards.rate}"
    shell:
        TRAIN + " -- {params.command}"


def languages_that_choose(wc):
    """The languages whose validation pairs choose the rate of each selection, or the loss."""
    if wc.pool == "stage1":
        return {"chosen": ["minus_loss"]}
    own = trained_on(wc.pool) if wc.pool.startswith("supervised") else [SOURCE]
    return {name: TARGETS if name == "target" else own for name in config["selections"]}


rule choose_rate:
    """The rate of stage 1 by the loss on held-out text, of stage 2 by validation ROUGE-L."""
    localrule: True
    input:
        lambda wc: trainings_of_grid(
            wc, "stage1" if wc.pool == "stage1" else f"stage2/{wc.pool}", ["done.json"]),
    output:
        "select/{pool}/{system}.{variant}.json",
    params:
        rates=lambda wc: grid(wc, 1 if wc.pool == "stage1" else 2),
        selection=lambda wc: json.dumps(languages_that_choose(wc)),
    message:
        "choose the rate, {wildcards.pool}, {wildcards.system}.{wildcards.variant}"
    shell:
        "python {HERE:q}/report.py choose {output} --rates {params.rates} --done {input}"
        " --selection {params.selection:q}"


def at_choice(wc):
    """What stage 2 at a choice reads: the grid's trainings, or what a training of its own needs."""
    return trainings_of_grid(wc, f"stage2/{wc.pool}") if of_grid(wc) else stage2_inputs(wc)


def how(wc, output):
    """The options of a training at a choice."""
    if of_grid(wc):
        return f"--grid runs/stage2/{wc.pool}/{wc.system}.{wc.variant}/s1.RATE"
    return "-- " + shlex.join(stage2_command(wc, "RATE", os.path.dirname(output.done)))


rule stage2_at_choice:
    """Stage 2 at the chosen rate: that of the grid, or another seed's, setting's or ablation's."""
    input:
        at_choice,
        choice=lambda wc: f"select/{chosen_in(wc.pool)}/{wc.system}.{rates_from(wc.variant)}.json",
    output:
        model=kept("runs/stage2/{pool}/{system}.{variant}/s{seed}.{selection}/model.pt"),
        done="runs/stage2/{pool}/{system}.{variant}/s{seed}.{selection}/done.json",
    params:
        how=how,
    benchmark:
        "benchmarks/stage2/{pool}/{system}.{variant}/s{seed}.{selection}.tsv"
    resources:
        gpu=GPU,
    message:
        "stage 2, {wildcards.pool}, {wildcards.system}.{wildcards.variant}, seed {wildcards.seed}, "
        "chosen rate ({wildcards.selection})"
    shell:
        TRAIN + " --rate {input.choice}:{wildcards.selection} {params.how}"
