"""Text, binarised text, language components."""

BINARIZE = f"{ROOT}/preprocess/binarize.sh"
if OWN and not config["new_langs"] and (OUT / "raw/zero-shot/new-langs.txt").exists():
    config["new_langs"] = (OUT / "raw/zero-shot/new-langs.txt").read_text().split()
NEW_LANGS = ["--new-langs", ",".join(config["new_langs"])] if config["new_langs"] else []
TEXT = {key: config[key] for key in (
    "data", "source", "targets", "pairs", "test_items", "valid_items")}  # fmt: skip
TEXT |= {key: str(place(key)) for key in ("ddtp", "mono")} | {"langs": LANGS}
QG_MADE = config["qg"] and (place("qg") / "en_XX.train.tsv").exists()
QG_FILES = {}
if config["qg"] and not QG_MADE:
    QG_FILES = {option: place("qg") / f"{name}.jsonl.xz" for option, name in (
        ("nqg", "nqg.test"), ("xquad-en", "xquad.en"), ("xquad-zh", "xquad.zh"),
        ("cmrc", "cmrc2018.trial"))}  # fmt: skip
    QG_FILES["nqg"] = place("nqg") or QG_FILES["nqg"]
    for path in QG_FILES.values():
        if not path.exists():
            refuse(f"{path}: missing; qg names the folder of the four files")
if config["data"] == "qg":
    made = {path.name.split(".")[0] for path in place("qg").glob("*.test.tsv")} if QG_MADE else {
        "en_XX", "zh_CN"}  # fmt: skip
    for lang in (lang for lang in TESTS if config["qg"] and lang not in made):
        refuse(f"tests: {lang} has no questions, only {', '.join(sorted(made))}; make them by "
               "preprocess/qg.sh --test TAG=FILE, and let qg name its folder")  # fmt: skip
if config["data"] == "qg" and not config["qg"]:
    refuse("qg: name the folder of the four files (--config qg=FOLDER)")
TEXT["questions"] = str(place("qg")) if QG_MADE else "raw/qg"


def named(setting, lang, ending, prefix=""):
    """A language's file in a folder of the configuration."""
    path = file_of(place(setting), lang, ending, prefix)
    if path is None:
        refuse(f"{place(setting)}: no {prefix}{lang}.{ending}.xz; {setting} names the folder, "
               "targets the languages")  # fmt: skip
    return path


def text_inputs(data):
    """The files that a data set is made of."""
    mono = [named("mono", lang, "txt", "mono.") for lang in LANGS] if data == "zero-shot" else []
    if data == "questions" or config["data"] == "qg":
        return [place("qg") / "en_XX.train.tsv" if QG_MADE else "raw/qg/en_XX.train.tsv", *mono]
    pairs = [named("ddtp", lang, f"{split}.tsv") for lang in LANGS for split in ("valid", "test")]
    train = [named("ddtp", SOURCE, "train.tsv")]
    train += [path for lang in TARGETS if (path := file_of(place("ddtp"), lang, "train.tsv"))]
    return [*train, *pairs, *mono, *(["raw/zero-shot.json"] if "." in data else [])]


if config["data"] in ("xgiga", "xqg"):
    XNLG = ["--targets", ",".join(TARGETS), "--mono",
            config["mono"] if config["mono"] == "sources" else str(place("mono"))]
    for name in ("test", "valid"):
        XNLG += [f"--{name}-items", str(config[f"{name}_items"])] if config[f"{name}_items"] else []
    if not any(system.startswith(("laft", "tm_adv")) for system in SYSTEMS):
        XNLG.append("--pairs-only")
    XNLG += shlex.split(config["xnlg_options"])
    if place("xnlg") is None or not place("xnlg").is_dir():
        refuse(f"{place('xnlg') or 'xnlg'}: no such folder; --config xnlg=FOLDER names it")
    XNLG_SHELL = (
        "{ROOT:q}/preprocess/{config[data]}.sh --data {params.folder:q} --backbone {BACKBONE:q}"
        " --out xnlg {params.options}"
    )

    rule text:
        """Text and binarised text, by preprocess/xgiga.sh or xqg.sh."""
        input:
            sorted(path for path in place("xnlg").glob("*.*.*") if path.is_file()),
        output:
            text="raw/zero-shot.json",
            done=touch("data-bin/zero-shot.done"),
        params:
            options=shlex.join(XNLG),
            folder=place("xnlg"),
        message:
            "data"
        shell:
            "rm -rf xnlg raw data-bin && mkdir raw data-bin && " + XNLG_SHELL + " &&"
            " ln -s ../xnlg/raw raw/zero-shot && ln -s ../xnlg/data-bin data-bin/zero-shot &&"
            " echo '{{}}' > {output.text}"

    if config["translated"]:

        rule translated_pairs:
            """The translated training pairs of all targets, beside the zero-shot data."""
            input:
                "data-bin/zero-shot.done",
                [place("translated") / f"{lang}.train.tsv" for lang in TARGETS],
            output:
                touch("data-bin/translated.done"),
            params:
                options=shlex.join([*XNLG, "--translated", str(place("translated"))]),
                folder=place("xnlg"),
            message:
                "translated pairs"
            shell:
                XNLG_SHELL + " && ln -sfn ../xnlg/data-bin data-bin/translated"

elif OWN:

    rule text:
        """The user's files, checked, and parted for validation."""
        input:
            sorted(path for path in FOLDER.iterdir()
                   if path.name.split(".")[0] in ("train", "valid", "mono")),
        output:
            "raw/zero-shot.json",
        params:
            new=",".join(config["new_langs"]),
            langs=[SOURCE, *sorted(TEXTS - {SOURCE})],
            columns=shlex.join(f"--{side}-column={config[f'{side}_column']}"
                               for side in ("source", "target") if config[f"{side}_column"]),
        message:
            "text of {FOLDER}"
        shell:
            "PYTHONPATH={ROOT:q} python -m preprocess.own --folder {FOLDER:q}"
            " --backbone {BACKBONE:q} --langs {params.langs} --new-langs={params.new}"
            " --raw raw/zero-shot {params.columns}"
            " && cd raw/zero-shot &&"
            " for split in train valid; do ln -f $split.tsv {SOURCE}.$split.tsv; done &&"
            " echo '{{}}' > ../zero-shot.json"

else:
    if config["data"] == "ddtp":
        text_inputs("zero-shot")  # what is missing is said at once

    rule text:
        """Pairs and monolingual text, chosen in the order of a hash."""
        input:
            lambda wc: text_inputs(wc.data),
        output:
            "raw/{data}.json",
        wildcard_constraints:
            data=r"zero-shot|parallel|questions|(oracle|human|few-shot-\d+)\.[A-Za-z_]+",
        params:
            settings=json.dumps(TEXT),
        message:
            "text, {wildcards.data}"
        shell:
            "python {HERE:q}/text.py {wildcards.data} raw/{wildcards.data}"
            " --settings {params.settings:q}"


rule question_pairs:
    """Questions from question-answering data."""
    input:
        QG_FILES.values(),
    output:
        "raw/qg/en_XX.train.tsv",
    params:
        files=shlex.join(word for option, path in QG_FILES.items()
                         for word in (f"--{option}", str(path))),
        options=config["qg_options"],
    message:
        "questions"
    shell:
        "{ROOT:q}/preprocess/qg.sh {params.files} --spm {BACKBONE:q}/sentence.bpe.model --out raw/qg"
        " {params.options} > raw/qg.log 2>&1 || {{ cat raw/qg.log >&2; exit 1; }}"


rule machine_translation:
    """The English training pairs, translated by machine."""
    input:
        "raw/zero-shot.json",
    output:
        "raw/translated.{lang}.json",
    params:
        engine=lambda wc: config["engines"][wc.lang],
    message:
        "translation of the training pairs, {wildcards.lang}"
    shell:
        "mkdir -p raw/translated.{wildcards.lang} && cd {ROOT:q} && preprocess/translate.sh"
        " --in {OUT:q}/raw/zero-shot/{SOURCE}.train.tsv --command {params.engine[to]:q}"
        " --out {OUT:q}/raw/translated.{wildcards.lang}/{wildcards.lang}.train.tsv"
        " --version-command {params.engine[version]:q} && echo '{{}}' > {OUT:q}/{output}"


rule binarise:
    """A language's pairs or monolingual text, all splits that there are."""
    input:
        "raw/{data}.json",
    output:
        touch("data-bin/{data}/{lang}/.{kind}.done"),
    wildcard_constraints:
        kind="pairs|mono",
        data="zero-shot|parallel|questions",
    params:
        backbone=BACKBONE,
        text=lambda wc: f"{wc.lang}.$split.tsv" if wc.kind == "pairs" else f"mono.{wc.lang}.$split",
        options=lambda wc: shlex.join(
            [*NEW_LANGS, *(["--columns", "1,2"] if OWN and wc.kind == "pairs" else [])]),
    message:
        "binarise, {wildcards.data}, {wildcards.lang}, {wildcards.kind}"
    shell:
        """
        files=()
        for split in train valid test; do
          file=raw/{wildcards.data}/{params.text}
          [ ! -s "$file" ] || files+=(--$split "$file")
        done
        [ ${{#files[@]}} = 0 ] ||
          {BINARIZE:q} {wildcards.kind} --backbone {params.backbone:q} --lang {wildcards.lang} \
            --out data-bin/{wildcards.data} {params.options} "${{files[@]}}" > /dev/null
        """


if config["data"] not in ("xgiga", "xqg"):

    rule data_set:
        """All of a data set's text is binarised."""
        localrule: True
        input:
            lambda wc: [f"data-bin/{wc.data}/{lang}/.{kind}.done" for lang in LANGS
                        for kind in (["pairs"] if wc.data == "parallel" else ["pairs", "mono"])],
        output:
            touch("data-bin/{data}.done"),
        wildcard_constraints:
            data="zero-shot|parallel",


rule joint_data_set:
    """The zero-shot data with a target's training pairs, or with questions for headlines."""
    input:
        text="raw/{data}.json",
        base="data-bin/zero-shot.done",
    output:
        touch("data-bin/{data}.done"),
    wildcard_constraints:
        data=r"questions|(translated|oracle|human|few-shot-\d+)\.[A-Za-z_]+",
    params:
        backbone=BACKBONE,
    message:
        "binarise, {wildcards.data}"
    shell:
        """
        rm -rf data-bin/{wildcards.data} && cp -al data-bin/zero-shot data-bin/{wildcards.data}
        if [ {wildcards.data} = questions ]; then rm -f data-bin/questions/*/*.src-tgt.*; fi
        for file in raw/{wildcards.data}/*.tsv; do
          name=${{file##*/}} lang=${{name%%.*}} split=${{name#*.}}
          {BINARIZE:q} pairs --backbone {params.backbone:q} --lang "$lang" \
            --out data-bin/{wildcards.data} "--${{split%.tsv}}" "$file" > /dev/null
        done
        """


rule components:
    """Language components of all languages, or an ablation's in their place."""
    input:
        data="data-bin/zero-shot.done",
        true=lambda wc: [] if estimated(wc.kind) else ["components/true.safetensors"],
    output:
        "components/{kind}.safetensors",
    wildcard_constraints:
        kind=r"[a-z0-9-]+",
    params:
        command=lambda wc: shlex.join(components_command(wc.kind)),
    benchmark:
        "benchmarks/components/{kind}.tsv"
    resources:
        gpu=GPU,
    message:
        "language components, {wildcards.kind}"
    shell:
        "python {HERE:q}/command.py --device {config[device]} --output {output}.log --"
        " {params.command}"


def estimated(kind):
    """Whether components are estimated on text, and not made of the true ones."""
    return kind == "true" or ABLATIONS[kind].get("anew", False)


def components_command(kind):
    """`laft components`."""
    made = shlex.split(ABLATIONS.get(kind, {}).get("components", ""))
    command = ["laft", "components", "--out", f"components/{kind}.safetensors"]
    if not estimated(kind):
        return [*command, "--from", "components/true.safetensors", *made]
    command += ["--backbone", f"{BACKBONE}/model.pt", "--data", "data-bin/zero-shot",
                "--langs", ",".join(LANGS), "--num-components", "6"]  # fmt: skip
    if config["max_sentences"]:
        command += ["--max-sentences", str(config["max_sentences"])]
    return command + made
