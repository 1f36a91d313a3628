"""What the page calls things: systems in the paper's order, settings, languages, numbers."""

TASKS = {"headlines": "Headlines", "questions": "Question generation"}
SETTINGS = {
    "zero-shot": "Zero-shot: English pairs only",
    "translate-train": "Translate-train: English pairs and their machine translation",
    "human-translation-train": (
        "Oracle: English pairs and as many human pairs of the target language"
    ),
    "translate-test": "Translate-test: translate, generate in English, translate back",
    "supervised": "Supervised: pairs of the target language",
    "few-shot-10": "Few-shot: 10 pairs of the target language on top",
    "few-shot-100": "Few-shot: 100 pairs of the target language on top",
    "few-shot-1000": "Few-shot: 1,000 pairs of the target language on top",
}
METHODS = {
    "mbart_full": "mBART (full)",
    "mbart_enc": "mBART (enc)",
    "mbart_enc_top2": "mBART (enc top-2)",
    "adapter": "Adapter",
    "adapter_r16": "Adapter, reduction 16",
    "lora": "LoRA",
    "lora_r8": "LoRA, rank 8",
    "mbart_full_mix": "mBART (full), 10 % denoising",
    "tm_adv": "TM + adv",
    "tm_adv_reconstruct": "TM + adv, reconstructing",
    "tm_adv_frozen": "TM + adv, frozen backbone",
    "mbart_attn_qk": "mBART (query and key)",
    "laft": "LAFT",
}
NOTES = {  # of the rows of a table
    "adapter_r16": "an eighth of the paper's size",
    "lora": "not in the paper; as many trained parameters as LAFT",
    "lora_r8": "not in the paper; the usual rank",
    "mbart_full_mix": "not in the paper; target-language text in every batch of stage 2",
    "tm_adv_reconstruct": "target text is its own target: another reading of the paper",
    "tm_adv_frozen": "not in the paper",
    "mbart_attn_qk": "not in the paper",
}
SIZE_VARIANTS = ("adapter_r16", "lora_r8")
SELECTIONS = ("source", "fixed", "target")  # whose validation pairs chose the learning rate
BY_TARGET = "learning rate chosen on target-language validation pairs"
ABLATIONS = {
    "no-removal": "without removal",
    "no-fusion": "without fusion",
    "no-adapter": "without language adapters",
    "no-stage1": "without stage 1",
    "task-module-alone": "task module alone",
    "projection": "projection (not divided by ‖e‖)",
    "random-subspace": "random subspace of the same norm",
    "other-language": "another language's components",
    "mean-vector": "mean vector instead",
    "tag-masked": "source tag masked",
    "k-1": "k = 1",
    "k-2": "k = 2",
    "k-12": "k = 12",
}
TRIVIAL_BASELINES = {
    "lead1": "LEAD-1 (first sentence)",
    "source_copy": "source copy",
    "english_reference": "English reference",
    "oracle": "best source sentence (oracle)",
}
LANGUAGES = {"en_XX": "English", "fr_XX": "French", "zh_CN": "Chinese", "de_DE": "German"}
NOT_RUN = "not run"
NOT_TESTABLE = "not testable here"
NOT_MEASURED = "not measured"
NONE = "–"
MINUS = "−"


def system(method: str, variant: str) -> str:
    """Return a system's name; for LAFT's ablations what was changed."""
    name = METHODS.get(method, method)
    suffix = {"main": "", "stage1": " + stage 1"}.get(variant)
    return name + (f", {ABLATIONS.get(variant, variant)}" if suffix is None else suffix)


def language(tag: str) -> str:
    """Return the language's English name: `fr_XX` -> `French`."""
    return LANGUAGES.get(tag, tag)


def number(value: float | None, digits: int = 1, sign: str = "") -> str:
    """Return a number for reading, with the sign "+" a difference; None is a dash."""
    return NONE if value is None else f"{value:{sign}.{digits}f}".replace("-", MINUS)


def interval(ends: tuple[float, float], digits: int = 1, sign: str = "") -> str:
    """Return an interval as `[1.2, 3.4]`."""
    return f"[{number(ends[0], digits, sign)}, {number(ends[1], digits, sign)}]"


def percent(value: float | None) -> str:
    """Return a percentage, given as 0 to 100."""
    return NONE if value is None else f"{value:.1f} %"


def p_value(p: float) -> str:
    """Return a p-value as `0.031`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def millions(count: int) -> str:
    """25192448 -> `25.19M`; none is a dash, and small numbers keep three digits."""
    if count == 0:
        return NONE
    return f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e6:.3g}M"
