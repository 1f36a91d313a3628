"""Outputs, their scores, and the result file of each cell."""

CELL = "{system}.{variant}.{lang}.s{seed}.{selection}"
CELL_TITLE = ("{wildcards.setting}, {wildcards.system}.{wildcards.variant}, {wildcards.lang}, "
              "seed {wildcards.seed}, {wildcards.selection}")  # fmt: skip
LENPEN = {"questions": 3}  # of a setting that has another than the configuration's


def training(wc):
    """The folder of the training that a cell's outputs come from."""
    selection = "source" if wc.selection == "fixed" else wc.selection
    folder = pool(wc.setting, wc.lang)
    return f"runs/stage2/{folder}/{wc.system}.{wc.variant}/s{wc.seed}.{selection}"


def test_of(setting):
    """The data set that holds a setting's test."""
    return "questions" if setting == "questions" else "zero-shot"


def generate_command(wc):
    """`fairseq-generate` on a test set."""
    return [
        "fairseq-generate", f"data-bin/{data_of(pool(wc.setting, wc.lang))}",
        "--user-dir", PLUGIN,
        "--task", "laft_generation", "--gen-lang", wc.lang, "--path", f"{training(wc)}/model.pt",
        "--beam", str(config["beam"]), "--lenpen", str(LENPEN.get(wc.setting, config["lenpen"])),
        "--no-repeat-ngram-size", str(config["no_repeat_ngram_size"]),
        "--max-len-b", str(config["max_len"]), "--batch-size", "32", "--num-workers", "0",
        "--bpe", "sentencepiece", "--sentencepiece-model", f"{BACKBONE}/sentence.bpe.model",
    ]  # fmt: skip


def score_options(setting, lang):
    """Options of `laft score` but for what it reads."""
    raw = f"raw/{test_of(setting)}/{lang}.test"
    return ["--lang", lang, "--langs", ",".join(LANGS), "--ref", f"{raw}.tgt",
            "--src", f"{raw}.src", "--trivial-baselines", "--items"]  # fmt: skip


# References in English, where every test item has one.
ENGLISH = (
    "english=$PWD/raw/{params.test}/{wildcards.lang}.test.english; set --;"
    " [ ! -e \"$english\" ] || set -- --english-ref \"$english\"; "
)


def of_source_choice(wc):
    """What the source's choice of a rate made, which a target's choice may share."""
    if wc.selection != "target" or "source" not in config["selections"]:
        return []
    seed = f"{wc.system}.{wc.variant}/s{wc.seed}.source"
    outputs = f"outputs/{wc.setting}/{wc.system}.{wc.variant}.{wc.lang}.s{wc.seed}.source"
    return [f"runs/stage2/{pool(wc.setting, wc.lang)}/{seed}/done.json",
            f"{outputs}/generate.log", f"{outputs}/usage.json"]  # fmt: skip


rule generate:
    """Outputs of a system in a language."""
    input:
        model=lambda wc: f"{training(wc)}/model.pt",
        done=lambda wc: f"{training(wc)}/done.json",
        twin=of_source_choice,
    output:
        log=f"outputs/{{setting}}/{CELL}/generate.log",
        usage=f"outputs/{{setting}}/{CELL}/usage.json",
    wildcard_constraints:
        setting=r"(?!translate-test)[a-z0-9-]+",
    params:
        command=lambda wc: shlex.join(generate_command(wc)),
    benchmark:
        f"benchmarks/generate/{{setting}}/{CELL}.tsv"
    resources:
        gpu=int(bool(GPU)),
    message:
        "generate, " + CELL_TITLE
    shell:
        """
        twin=({input.twin})
        if [ ${{#twin[@]}} = 3 ] && cmp -s "${{twin[0]}}" {input.done}; then
          cp "${{twin[1]}}" {output.log} && cp "${{twin[2]}}" {output.usage}
        else
          python {HERE:q}/command.py --device {config[device]} --output {output.log} \
            --usage {output.usage} -- {params.command}
        fi
        """


rule score:
    """`laft score` of outputs against the raw references, by each protocol."""
    input:
        f"outputs/{{setting}}/{CELL}/generate.log",
    output:
        json=[f"outputs/{{setting}}/{CELL}/{name}.json" for name in config["protocols"]],
        hypotheses=f"outputs/{{setting}}/{CELL}/hypotheses.txt",
    wildcard_constraints:
        setting=r"(?!translate-test)[a-z0-9-]+",
    params:
        options=lambda wc: shlex.join(score_options(wc.setting, wc.lang)),
        test=lambda wc: test_of(wc.setting),
    message:
        "score, " + CELL_TITLE
    shell:
        ENGLISH + "for json in {output.json}; do laft score --generate-log {input} {params.options}"
        " \"$@\" --protocol $(basename $json .json) --write-hypotheses {output.hypotheses}"
        " --json $json > /dev/null; done"


def translate_test_command(wc):
    """`preprocess/translate_test.sh` on a target's test."""
    engine, raw = config["engines"][wc.lang], f"{OUT}/raw/zero-shot/{wc.lang}.test"
    given = {
        "src": f"{raw}.src", "ref": f"{raw}.tgt", "lang": wc.lang, "backbone": BACKBONE,
        "checkpoint": f"{OUT}/{training(wc)}/model.pt", "to-english": engine["from"],
        "from-english": engine["to"], "version-command": engine["version"], "beam": config["beam"],
        "lenpen": config["lenpen"], "max-len": config["max_len"],
        "score": f"--trivial-baselines --items --langs {','.join(LANGS)}",
    }  # fmt: skip
    return ["preprocess/translate_test.sh",
            *(str(word) for name, value in given.items() for word in (f"--{name}", value))]


rule translate_test:
    """Translate into English, generate there, translate back."""
    input:
        lambda wc: f"{training(wc)}/model.pt",
    output:
        json=f"outputs/{{setting}}/{CELL}/{config['protocols'][0]}.json",
        hypotheses=f"outputs/{{setting}}/{CELL}/hypotheses.txt",
        usage=f"outputs/{{setting}}/{CELL}/usage.json",
    wildcard_constraints:
        setting="translate-test",
    params:
        command=lambda wc: shlex.join(translate_test_command(wc)),
        test="zero-shot",
    resources:
        gpu=int(bool(GPU)),
    message:
        "translate-test, {wildcards.system}, {wildcards.lang}"
    shell:
        ENGLISH + """
        folder={OUT:q}/$(dirname {output.json})/work && rm -rf "$folder"
        (cd {ROOT:q} && {params.command} "$@" --out "$folder") > "$folder.log" 2>&1 ||
          {{ tail -n 3 "$folder.log" >&2; exit 1; }}
        mv "$folder/hypotheses.{wildcards.lang}.txt" {output.hypotheses}
        echo "{{\\"seconds\\": $SECONDS}}" > {output.usage}
        mv "$folder/score.{wildcards.lang}.json" {output.json} && rm -rf "$folder"
        """


def facts(wc):
    """What a result says of its cell."""
    questions = wc.setting == "questions"
    return {
        "task": "questions" if questions else config["task"],
        "setting": "zero-shot" if questions else wc.setting, "method": wc.system,
        "variant": wc.variant, "lang": wc.lang, "seed": int(wc.seed), "selection": wc.selection,
    }  # fmt: skip


def cell_commands(wc):
    """The commands behind a result after its trainings, without this machine's folders."""
    commands = [translate_test_command(wc)] if wc.setting == "translate-test" else [
        generate_command(wc),
        ["laft", "score", "--generate-log", f"outputs/{wc.setting}/{CELL.format(**wc)}/generate.log",
         *score_options(wc.setting, wc.lang)]]  # fmt: skip
    return [portable(command, OUT, ROOT) for command in commands]


def score_files(wc):
    """The scores of a cell, by each protocol; of translate-test by the first alone."""
    names = config["protocols"][:1] if wc.setting == "translate-test" else config["protocols"]
    return [f"outputs/{wc.setting}/{CELL.format(**wc)}/{name}.json" for name in names]


def cell_data(wc):
    """What the data set that was trained on says of its pairs."""
    name = data_of(pool(wc.setting, wc.lang))
    return f"raw/{name if '.' in name else 'zero-shot'}.json"


rule cell:
    """A result file, `laft-result/1`: one system, one seed, one language."""
    localrule: True
    input:
        done=lambda wc: f"{training(wc)}/done.json",
        score=score_files,
        hypotheses=f"outputs/{{setting}}/{CELL}/hypotheses.txt",
        usage=f"outputs/{{setting}}/{CELL}/usage.json",
        data=cell_data,
    output:
        f"results/{{setting}}/{CELL}.json",
    params:
        facts=lambda wc: json.dumps(facts(wc)),
        rates=lambda wc: [] if wc.selection == "fixed" else grid(wc),
        commands=lambda wc: shlex.join(cell_commands(wc)),
    message:
        "result, " + CELL_TITLE
    shell:
        "python {HERE:q}/report.py cell {output} --facts {params.facts:q} --rates {params.rates}"
        " --done {input.done} --score {input.score} --hypotheses {input.hypotheses}"
        " --usage {input.usage} --data {input.data} --commands {params.commands}"
