"""Representations, and the tables made of all results."""

PARALLEL = "data-bin/parallel.done" if config["data"] == "ddtp" else "data-bin/zero-shot.done"


def tsne_command(variant):
    """`laft tsne` on the test items that exist in all languages."""
    data = Path(PARALLEL).stem
    return ["laft", "tsne", "--checkpoint",
            f"runs/stage2/zero-shot/laft.{variant}/s1.source/model.pt",
            "--data", f"data-bin/{data}", "--langs", ",".join(LANGS), "--split", "test",
            *(["--parallel"] if data == "parallel" else []), *shlex.split(config["figure_options"]),
            "--out", f"outputs/representations/{variant}.png",
            "--json", f"outputs/representations/{variant}.json"]  # fmt: skip


rule representations:
    """LAFT's representations after stage 2, or an ablation's: Figure 2 and its measures."""
    input:
        "runs/stage2/zero-shot/laft.{variant}/s1.source/model.pt",
        PARALLEL,
    output:
        json="results/representations.{variant}.json",
        figure="outputs/representations/{variant}.png",
        measures="outputs/representations/{variant}.json",
    params:
        command=lambda wc: shlex.join(tsne_command(wc.variant)),
    resources:
        gpu=int(bool(GPU)),
    message:
        "representations, {wildcards.variant}"
    shell:
        """
        python {HERE:q}/command.py --device {config[device]} --output {output.measures}.log -- \
          {params.command} --caption-command {params.command:q}
        python {HERE:q}/report.py representations {output.json} --data {output.measures} \
          --facts '{{"variant": "{wildcards.variant}"}}'
        """


rule figure:
    """Figure 2 where `laft table` looks for it."""
    localrule: True
    input:
        "outputs/representations/main.png",
    output:
        "results/figure2.png",
    shell:
        "cp {input} {output}"


REPRESENTATIONS = [f"results/representations.{name}.json"
                   for name in (["main", *ABLATIONS] if FIGURE else [])
                   if name == "main" or "ablations" in config["settings"]]
CONTRASTS = [
    {"setting": "zero-shot", "lang": lang, "method": system, "variant": variant}
    for system in SYSTEMS for variant in config["variants"] for lang in TESTS
    if system not in ("laft", "tm_adv_frozen")  # with stage 1 where that is run, as LAFT is
    and (system == "mbart_full" or (variant == "stage1") == ("stage1" in config["variants"]))
]  # fmt: skip
NOTE = " ".join([config["note"].strip(), (
    "Stage 1's unlabelled text was the source side of the task's own training files: in-domain "
    "text, where the paper's is Common Crawl." if config["mono"] == "sources" else "")]).strip()
EXPERIMENT = {
    "note": NOTE, "title": config["title"], "task": config["task"], "arch": config["arch"],
    "source": SOURCE,
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
        "record of the experiment"
    shell:
        "python {HERE:q}/report.py experiment {output} --facts {params.facts:q}"
        " --raw raw/zero-shot --backbone {BACKBONE:q}"


SANITY = ["results/sanity-checks.json"] if config["sanity_checks"] and "laft" in SYSTEMS and (
    BACKBONE / "card.json").exists() else []  # fmt: skip


rule sanity_checks:
    """What has to hold of the backbone before differences between systems mean anything."""
    input:
        "components/true.safetensors",
    output:
        retrieval="outputs/retrieval.json",
        checks="results/sanity-checks.json",
    params:
        langs=",".join(LANGS),
    message:
        "sanity checks of the backbone"
    shell:
        "(cd {ROOT:q} && python examples/mini/evaluate.py --model {BACKBONE:q} --retrieval-only"
        " --components {OUT:q}/{input} --langs {params.langs} --ddtp {config[ddtp]:q}"
        " --out {OUT:q}/{output.retrieval}) > outputs/retrieval.log 2>&1 &&"
        " python {HERE:q}/sanity.py {output.checks} --card {BACKBONE:q}/card.json"
        " --retrieval {output.retrieval}"


rule table:
    """`laft table` on all results, and in one Markdown table beside the trivial baselines."""
    input:
        REPRESENTATIONS,
        SANITY,
        "results/experiment.json",
        results=RESULTS,
    output:
        "tables.md",
        "tables.html",
        summary="summary.md",
    params:
        note=NOTE,
    message:
        "tables"
    shell:
        "laft table results --markdown tables.md --html tables.html &&"
        " python {HERE:q}/report.py summary --done {input.results} --note={params.note:q}"
        " > {output.summary}"


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
