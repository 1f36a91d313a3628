"""Outputs, scores, representations, and the tables made of them."""

CELL = "{system}.{variant}.{lang}.s{seed}.{selection}"
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
        "--user-dir", f"{ROOT}/laft_fairseq",
        "--task", "laft_generation", "--gen-lang", wc.lang, "--path", f"{training(wc)}/model.pt",
        "--beam", str(config["beam"]), "--lenpen", str(LENPEN.get(wc.setting, config["lenpen"])),
        "--max-len-b", str(config["max_len"]), "--batch-size", "32", "--num-workers", "0",
        "--bpe", "sentencepiece", "--sentencepiece-model", f"{BACKBONE}/sentence.bpe.model",
    ]  # fmt: skip


def score_options(setting, lang):
    """Options of `laft score` but for what it reads."""
    raw = f"raw/{test_of(setting)}/{lang}.test"
    return ["--lang", lang, "--langs", ",".join(LANGS), "--ref", f"{raw}.tgt", "--src", f"{raw}.src",
            "--floors", "--items"]  # fmt: skip


# References in English, where every test item has one.
ENGLISH = (
    "english=raw/{params.test}/{wildcards.lang}.test.english;"
    " [ -e $english ] && english=\"--english-ref $PWD/$english\" || english=; "
)


def twin(wc):
    """The outputs and the choice that a target's choice may share."""
    if wc.selection != "target" or "source" not in config["selections"]:
        return []
    name = f"outputs/{wc.setting}/{wc.system}.{wc.variant}.{wc.lang}.s{wc.seed}.source"
    return [f"select/{chosen_in(pool(wc.setting, wc.lang))}/{wc.system}.{row(wc.variant)}.json",
            f"{name}/generate.log", f"{name}/usage.json"]  # fmt: skip


rule generate:
    """Outputs of a system in a language."""
    input:
        model=lambda wc: f"{training(wc)}/model.pt",
        twin=twin,
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
        "generate, {wildcards.setting}, {wildcards.system}.{wildcards.variant}, {wildcards.lang}, "
        "seed {wildcards.seed}, {wildcards.selection}"
    shell:
        """
        twin=({input.twin})
        if [ ${{#twin[@]}} = 3 ] && python {HERE}/report.py same "${{twin[0]}}"; then
          cp "${{twin[1]}}" {output.log} && cp "${{twin[2]}}" {output.usage}
        else
          python {HERE}/command.py --device {config[device]} --output {output.log} \
            --usage {output.usage} -- {params.command}
        fi
        """


rule score:
    """`laft score` of outputs against the raw references, by each protocol."""
    input:
        f"outputs/{{setting}}/{CELL}/generate.log",
    output:
        json=f"outputs/{{setting}}/{CELL}/score.json",
        hypotheses=f"outputs/{{setting}}/{CELL}/hypotheses.txt",
        other=[f"outputs/{{setting}}/{CELL}/{name}.json" for name in config["protocols"][1:]],
    wildcard_constraints:
        setting=r"(?!translate-test)[a-z0-9-]+",
    params:
        options=lambda wc: shlex.join(score_options(wc.setting, wc.lang)),
        test=lambda wc: test_of(wc.setting),
        first=config["protocols"][0],
    message:
        "score, {wildcards.setting}, {wildcards.system}.{wildcards.variant}, {wildcards.lang}, "
        "seed {wildcards.seed}, {wildcards.selection}"
    shell:
        ENGLISH + "laft score --generate-log {input} {params.options} $english"
        " --protocol {params.first} --write-hypotheses {output.hypotheses} --json {output.json}"
        " > /dev/null && for other in {output.other}; do laft score --generate-log {input}"
        " {params.options} $english --protocol $(basename $other .json) --json $other"
        " > /dev/null; done"


def translate_test_command(wc):
    """`preprocess/translate_test.sh` on a target's test."""
    engine, raw = config["engines"][wc.lang], f"{OUT}/raw/zero-shot/{wc.lang}.test"
    given = {
        "src": f"{raw}.src", "ref": f"{raw}.tgt", "lang": wc.lang, "backbone": BACKBONE,
        "checkpoint": f"{OUT}/{training(wc)}/model.pt", "to-english": engine["from"],
        "from-english": engine["to"], "version-command": engine["version"], "beam": config["beam"],
        "lenpen": config["lenpen"], "max-len": config["max_len"],
        "score": f"--floors --items --langs {','.join(LANGS)}",
    }  # fmt: skip
    return ["preprocess/translate_test.sh",
            *(str(word) for name, value in given.items() for word in (f"--{name}", value))]


rule translate_test:
    """Translate into English, generate there, translate back."""
    input:
        lambda wc: f"{training(wc)}/model.pt",
    output:
        json=f"outputs/{{setting}}/{CELL}/score.json",
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
        folder={OUT:q}/$(dirname {output.json})/work start=$SECONDS && rm -rf "$folder"
        (cd {ROOT:q} && {params.command} $english --out "$folder") > "$folder.log" 2>&1 ||
          {{ tail -n 3 "$folder.log" >&2; exit 1; }}
        mv "$folder/hypotheses.{wildcards.lang}.txt" {output.hypotheses}
        echo "{{\\"seconds\\": $((SECONDS - start))}}" > {output.usage}
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
    found = [translate_test_command(wc)] if wc.setting == "translate-test" else [
        generate_command(wc), ["laft", "score", *score_options(wc.setting, wc.lang)]]  # fmt: skip
    return [shlex.join(each).replace(str(OUT), "$OUT").replace(f"{ROOT}/", "") for each in found]


def cell_data(wc):
    """The counts of a data set that has only some of a target's pairs."""
    name = data_of(pool(wc.setting, wc.lang))
    return [f"raw/{name}.json"] if name.startswith(("oracle.", "few-shot-")) else []


rule cell:
    """A result file, `laft-result/1`: one system, one seed, one language."""
    localrule: True
    input:
        done=lambda wc: f"{training(wc)}/done.json",
        score=f"outputs/{{setting}}/{CELL}/score.json",
        hypotheses=f"outputs/{{setting}}/{CELL}/hypotheses.txt",
        usage=f"outputs/{{setting}}/{CELL}/usage.json",
        other=lambda wc: [f"outputs/{wc.setting}/{CELL.format(**wc)}/{config['protocols'][1]}.json"]
        if len(config["protocols"]) > 1 and wc.setting != "translate-test" else [],
        data=cell_data,
    output:
        f"results/{{setting}}/{CELL}.json",
    params:
        facts=lambda wc: json.dumps(facts(wc)),
        rates=lambda wc: [] if wc.selection == "fixed" else grid(wc, 2),
        commands=lambda wc: shlex.join(cell_commands(wc)),
        more=lambda wc, input: " ".join([*(f"--other {path}" for path in input.other),
                                         *(f"--data {path}" for path in input.data)]),
    message:
        "result, {wildcards.setting}, {wildcards.system}.{wildcards.variant}, {wildcards.lang}, "
        "seed {wildcards.seed}, {wildcards.selection}"
    shell:
        "python {HERE}/report.py cell {output} --facts {params.facts:q} --rates {params.rates}"
        " --done {input.done} --score {input.score} --hypotheses {input.hypotheses}"
        " --usage {input.usage} {params.more} --commands {params.commands}"


PARALLEL = "data-bin/parallel.done" if config["data"] == "ddtp" else "data-bin/zero-shot.done"


def removal(variant):
    """What a variant of LAFT removes."""
    words = shlex.split(" ".join([config["options"].get("laft", ""),
                                  ABLATIONS.get(variant, {}).get("options", "")]))
    return words[len(words) - words[::-1].index("--removal")] if "--removal" in words else "scaled"


def tsne_command(variant, draw):
    """`laft tsne` on the test items that exist in all languages, with or without the figure."""
    data = Path(PARALLEL).stem
    return ["laft", "tsne", "--checkpoint",
            f"runs/stage2/zero-shot/laft.{variant}/s1.source/model.pt",
            "--data", f"data-bin/{data}", "--langs", ",".join(LANGS), "--split", "test",
            *(["--parallel"] if data == "parallel" else []), *shlex.split(config["figure_options"]),
            *(["--out", f"outputs/representations/{variant}.png"] if draw else ["--measures-only"]),
            "--json", f"outputs/representations/{variant}.json"]  # fmt: skip


TSNE = """
    mkdir -p outputs/representations
    python {HERE}/command.py --device {config[device]} --output {output.json}.log -- \
      {params.command} --caption-command {params.command:q} && rm {output.json}.log
    python {HERE}/report.py representations {output.json} --facts {params.facts:q} \
      --data outputs/representations/{params.variant}.json --commands {params.command:q}
    """


rule figure:
    """Figure 2: LAFT's representations after stage 2, and their measures."""
    input:
        "runs/stage2/zero-shot/laft.main/s1.source/model.pt",
        PARALLEL,
    output:
        json="results/representations.main.json",
        figure="results/figure2.png",
    params:
        command=shlex.join(tsne_command("main", draw=True)),
        facts=json.dumps({"variant": "main", "removal": removal("main")}),
        variant="main",
    resources:
        gpu=int(bool(GPU)),
    message:
        "figure 2"
    shell:
        TSNE + "cp outputs/representations/main.png {output.figure}"


rule representations:
    """Measures of an ablation's representations after stage 2."""
    input:
        "runs/stage2/zero-shot/laft.{variant}/s1.source/model.pt",
        PARALLEL,
    output:
        json="results/representations.{variant}.json",
    wildcard_constraints:
        variant="|".join(ABLATIONS) or "none",
    params:
        command=lambda wc: shlex.join(tsne_command(wc.variant, draw=False)),
        facts=lambda wc: json.dumps({"variant": wc.variant, "removal": removal(wc.variant)}),
        variant=lambda wc: wc.variant,
    resources:
        gpu=int(bool(GPU)),
    message:
        "representations, {wildcards.variant}"
    shell:
        TSNE


REPRESENTATIONS = [f"results/representations.{name}.json"
                   for name in (["main", *ABLATIONS] if FIGURE else [])
                   if name == "main" or "ablations" in config["settings"]]
CONTRASTS = [
    {"setting": "zero-shot", "lang": lang, "method": system, "variant": variant}
    for system in SYSTEMS for variant in config["variants"] for lang in TESTS
    if system not in ("laft", "tm_adv_frozen") and (variant == "stage1" or system == "mbart_full")
]  # fmt: skip
EXPERIMENT = {
    "title": config["title"], "task": config["task"], "arch": config["arch"], "source": SOURCE,
    "targets": TESTS, "contrasts": CONTRASTS, "not_testable": MISSING,
    "budget": {
        "seeds": {system: by_system("seeds", system) for system in SYSTEMS},
        **{key: config[key] for key in (
            "pairs", "stage1_updates", "stage2_updates", "supervised_updates", "max_tokens",
            "valid_items", "grid", "stage1_grid", "warmup", "beam", "stage1_seeds")},
    },
}  # fmt: skip


rule experiment:
    """`laft-experiment/1`: what is compared with what."""
    localrule: True
    input:
        "raw/zero-shot.json",
    output:
        "results/experiment.json",
    params:
        facts=json.dumps(EXPERIMENT),
    message:
        "the experiment, written down"
    shell:
        "python {HERE}/report.py experiment {output} --facts {params.facts:q} --data {input}"
        " --raw raw/zero-shot --backbone {BACKBONE:q}"


SANITY = ["results/gates.json"] if config["sanity_checks"] and "laft" in SYSTEMS and (
    BACKBONE / "card.json").exists() else []  # fmt: skip


rule sanity_checks:
    """What has to hold of the backbone before differences between systems mean anything."""
    input:
        "components/true.safetensors",
    output:
        retrieval="outputs/retrieval.json",
        gates="results/gates.json",
    params:
        langs=",".join(LANGS),
    message:
        "sanity checks of the backbone"
    shell:
        "(cd {ROOT:q} && python examples/mini/evaluate.py --model {BACKBONE:q} --retrieval-only"
        " --components {OUT:q}/{input} --langs {params.langs} --ddtp {config[ddtp]:q}"
        " --out {OUT:q}/{output.retrieval}) > outputs/retrieval.log 2>&1 &&"
        " python {HERE}/sanity.py {output.gates} --card {BACKBONE:q}/card.json"
        " --retrieval {output.retrieval}"


rule table:
    """`laft table` on all results."""
    input:
        RESULTS,
        REPRESENTATIONS,
        SANITY,
        "results/experiment.json",
    output:
        "tables.md",
        "tables.html",
    message:
        "tables"
    shell:
        "laft table results --markdown tables.md --html tables.html"


rule summary:
    """The results in one Markdown table, beside the trivial baselines."""
    localrule: True
    input:
        RESULTS,
    output:
        "summary.md",
    params:
        note=config["note"],
    message:
        "summary"
    shell:
        "python {HERE}/report.py summary --done {input} --note={params.note:q} > {output}"


if OWN:

    rule model:
        """The model that both stages made."""
        input:
            "runs/stage2/zero-shot/laft.main/s1.source/model.pt",
        output:
            "model.pt",
        message:
            "the model"
        shell:
            "cp {input} {output}"
