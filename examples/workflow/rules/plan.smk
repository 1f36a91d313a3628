"""What is run: which systems in which settings, on which data, by which commands."""

ABLATIONS = {name: given or {} for name, given in config["ablations"].items()}
# Systems that are another one with an option: its --method, options of both stages and of stage 2.
NAMED = {
    "adapter_r16": ("adapter", "--task-adapter-reduction 16", ""),
    "lora_r8": ("lora", "--lora-rank 8", ""),
    "mbart_full_mix": ("mbart_full", "", "--mix-denoising 0.1"),
    "tm_adv_reconstruct": ("tm_adv", "", "--reconstruct-target"),
}
PAIRS = {
    "human-translation-train": "oracle", "translate-train": "translated", "supervised": "human",
}  # fmt: skip


def translates(lang):
    """Whether the engine of a target is installed, both ways."""
    engine = config["engines"].get(lang, {"to": "", "from": ""})
    for way in ("to", "from"):
        program, *modes = engine[way].split() or [""]
        if not (shutil.which(program) or (ROOT / program).is_file()):
            return False
        if program.endswith("apertium_lines.sh"):
            listed = subprocess.run("apertium -l", shell=True, capture_output=True, text=True)
            if not set(modes) <= set(listed.stdout.split()):
                return False
    return True


def missing_for(setting, lang):
    """Why a setting cannot be run in a language, or nothing."""
    if config["data"] in ("xgiga", "xqg"):
        known = setting == "zero-shot" or (setting == "translate-train" and config["translated"])
        return "" if known else f"{config['data']} has no data for it"
    if setting in ("translate-train", "translate-test"):
        return "" if translates(lang) else "no translation engine on this machine"
    if setting in ("human-translation-train", "supervised") or setting.startswith("few-shot"):
        known = lang == SOURCE or file_of(place("ddtp"), lang, "train.tsv")
        return "" if known else "no human training pairs"
    if setting == "questions" and (lang != "zh_CN" or not config["qg"]):
        return "qg names no folder of pairs"
    return ""


def pool(setting, lang):
    """The trainings that a setting's outputs in a language come from."""
    if setting in ("zero-shot", "translate-test"):
        return "zero-shot"
    jointly = setting == "translate-train" and config["translate_train"] == "jointly"
    return setting if setting == "questions" or jointly else f"{setting}.{lang}"


def data_of(name):
    """The data set of a pool."""
    setting, _, lang = name.partition(".")
    if not lang or (setting, lang) == ("supervised", SOURCE):
        return {"questions": "questions", "translate-train": "translated"}.get(setting, "zero-shot")
    return f"{PAIRS.get(setting, setting)}.{lang}"


def trained_on(name):
    """The languages of a pool's pairs."""
    setting, _, lang = name.partition(".")
    if setting == "supervised":
        return [lang]
    if setting == "translate-train" and not lang:
        return LANGS
    return [SOURCE, lang] if lang else [SOURCE]


def chosen_in(name):
    """The pool whose choice of a learning rate a pool takes: its own, or zero-shot's."""
    return name if name.partition(".")[0] in config["own_grid"] else "zero-shot"


def of_grid(wc):
    """Whether a training at the choice is one of the grid's."""
    own = chosen_in(wc.pool) == wc.pool and wc.variant not in ABLATIONS
    return own and int(wc.seed) == 1


def rates_from(variant):
    """The variant whose learning rates a variant takes: ablations those of LAFT."""
    return "main" if variant in ABLATIONS else variant


def has_stage1(system, variant):
    """Whether a system has stage 1."""
    if variant in ABLATIONS:
        return ABLATIONS[variant].get("stage1", True)
    return system == "laft" or variant == "stage1"


# Whether LAFT starts from the stage 1 beside the backbone. Ablations, and other systems with a
# stage 1, are compared with a LAFT whose stage 1 is as long as theirs and on the same text.
STAGE1_IS_GIVEN = (
    set(LANGS) <= set(STAGE1_LANGS) and "ablations" not in config["settings"]
    and "stage1" not in config["variants"] and not config["options"].get("laft")
)  # fmt: skip


def starts_from_given(wc):
    """Whether a system starts from the stage 1 beside the backbone."""
    return STAGE1_IS_GIVEN and (wc.system, wc.variant) == ("laft", "main")


def components(wc):
    """The components file that a system reads, if it does."""
    if wc.system != "laft" or starts_from_given(wc):
        return []
    own = "components" in ABLATIONS.get(wc.variant, {})
    return [f"components/{wc.variant if own else 'true'}.safetensors"]


def results():
    """The result files, the most valuable first."""
    files = []
    for setting in (name for name in config["settings"] if name != "ablations"):
        systems = config["systems_of"].get(setting, SYSTEMS)
        if setting not in ("zero-shot", "questions"):  # with pairs of the targets there is nothing
            systems = [each for each in systems if each != "tm_adv_reconstruct"]  # to reconstruct
        variants = config["variants"] if setting in ("zero-shot", "questions") else ["main"]
        langs = [SOURCE, *TARGETS] if setting == "supervised" else TESTS
        for lang in langs:
            reason = missing_for(setting, lang)
            if reason:
                MISSING.append({"setting": setting, "lang": lang, "reason": reason})
                continue
            for system in (each for each in systems if each in SYSTEMS):
                for variant in variants:
                    if system != "laft" or variant == "main":
                        files += result_files(setting, system, variant, lang)
    if "laft" in SYSTEMS and "ablations" in config["settings"]:
        for name, given in ABLATIONS.items():
            files += [f"results/zero-shot/laft.{name}.{lang}.s{seed}.fixed.json"
                      for seed in range(1, given.get("seeds", 1) + 1) for lang in TESTS]
    return files


def result_files(setting, system, variant, lang):
    """The result files of a system in a setting and language."""
    seeds = config["seeds_of"].get(setting, 1)
    if setting == "zero-shot":
        seeds = by_system("seeds", system)
    selections = config["selections"] if setting == "zero-shot" else ["source"]
    fewer = min(seeds, config["target_seeds"]) if "source" in selections else seeds
    return [f"results/{setting}/{system}.{variant}.{lang}.s{seed}.{selection}.json"
            for selection in selections
            for seed in range(1, (seeds if selection == "source" else fewer) + 1)]  # fmt: skip


MISSING = []
RESULTS = [] if OWN else results()
if not RESULTS and not OWN:
    refuse("; ".join(f"{each['setting']} in {each['lang']}: {each['reason']}" for each in MISSING)
           or "settings: nothing to run")  # fmt: skip
FIGURE = ["results/figure2.png"] if config["figure"] and "results/zero-shot/laft.main" in (
    " ".join(RESULTS)) else []  # fmt: skip


def common(wc, data, rate, updates, folder, tokens=1):
    """What every training shares: optimiser, schedule, saving, logging."""
    warmup = config["warmup"]
    warmup = max(1, round(warmup * updates)) if warmup < 1 else int(warmup)
    if warmup >= updates and updates > 1:
        refuse(f"warmup: {warmup} updates, with {updates} the learning rate is never reached")
    interval = "1000000" if config["checkpoint"] == "last" else "1"
    method, options, _ = NAMED.get(wc.system, (wc.system, "", ""))
    return [
        "fairseq-train", f"{OUT}/data-bin/{data}", "--user-dir", PLUGIN,
        "--arch", config["arch"], "--backbone", f"{BACKBONE}/model.pt",
        "--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--clip-norm", "1.0",
        "--lr-scheduler", "polynomial_decay", "--lr", rate, "--warmup-updates", str(warmup),
        "--total-num-update", str(updates), "--max-update", str(updates),
        "--max-tokens", str(tokens * config["max_tokens"]), "--seed", wc.seed,
        "--save-dir", folder, "--save-interval", interval,
        "--save-interval-updates", str(config["save_updates"]), "--keep-interval-updates", "1",
        "--no-epoch-checkpoints", "--validate-interval", interval, "--num-workers", "0",
        "--log-format", "json", "--log-interval", str(max(1, updates // 20)),
        "--method", method, *shlex.split(options),
        *(word for file in components(wc) for word in ("--language-components", file)),
        *shlex.split(ABLATIONS.get(wc.variant, {}).get("options", "")),
        *shlex.split(config["options"].get(wc.system, "")), *shlex.split(config["train_options"]),
    ]  # fmt: skip


def stage1_command(wc, rate, folder):
    """Unsupervised generation pretraining on text of all languages, for any system."""
    return [*common(wc, "zero-shot", rate, config["stage1_updates"], folder),
            "--task", "laft_denoising", "--criterion", "cross_entropy",
            "--train-langs", ",".join(LANGS)]  # fmt: skip


def stage2_command(wc, rate, folder):
    """Task finetuning on a pool's pairs; from stage 1 where the system has it."""
    train, setting = trained_on(wc.pool), wc.pool.partition(".")[0]
    updates = config["supervised_updates" if setting == "supervised" else "stage2_updates"]
    chooses = rate != "RATE" and (len(by_system("grid", wc.system)) > 1 or config["best_options"])
    follows = rate != "RATE" and config["follow_targets"]
    valid = train
    if (chooses or follows) and setting in ("zero-shot", "translate-train"):
        valid = [SOURCE] if "source" in config["selections"] or follows else []
        valid += TARGETS if "target" in config["selections"] or follows else []
    adversarial = wc.system.startswith("tm_adv")
    joint = len(train) > 1
    # A batch without target pairs holds as many unlabelled rows again.
    tokens = 2 if adversarial and not joint else 1
    command = [*common(wc, data_of(wc.pool), rate, updates, folder, tokens),
               "--task", "laft_generation", "--valid-langs", ",".join(valid)]  # fmt: skip
    if adversarial:
        targets = train[1:] if joint else [lang for lang in TARGETS if lang not in train]
        command += ["--train-langs", train[0], "--criterion", "laft_adversarial",
                    "--label-smoothing", "0.1", "--target-langs", ",".join(targets),
                    "--target-rows", "pairs" if joint else "monolingual"]  # fmt: skip
    else:
        command += ["--train-langs", ",".join(train), "--criterion", "cross_entropy"]
    command += shlex.split(NAMED.get(wc.system, ("", "", ""))[2])
    if config["encoder_cache_gb"] and wc.system in ("laft", "tm_adv_frozen"):
        command += ["--encoder-cache", f"{OUT}/encoder-cache",
                    "--encoder-cache-gb", str(config["encoder_cache_gb"])]  # fmt: skip
    if chooses or follows:
        command += ["--eval-rouge", *shlex.split(config["rouge_options"]),
                    *shlex.split(config["best_options"])]  # fmt: skip
    return command + [word for model, _ in first_stage(wc)
                      for word in ("--finetune-from-model", str(model))]


def first_stage(wc):
    """The model of the stage 1 that a stage 2 starts from and its record, or nothing."""
    if not has_stage1(wc.system, wc.variant):
        return []
    if starts_from_given(wc):
        return [(STAGE1, STAGE1.with_suffix(".json"))]
    seed = min(int(wc.seed), config["stage1_seeds"])
    folder = f"runs/stage1/{wc.system}.{wc.variant}/s{seed}.chosen"
    return [(f"{folder}/model.pt", f"{folder}/done.json")]
