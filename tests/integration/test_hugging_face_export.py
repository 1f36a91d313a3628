"""`laft export --hugging-face`: the same outputs where neither this package nor fairseq is."""

import json
import lzma
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from markdown_it import MarkdownIt

from laft_fairseq import hub
from laft_fairseq.backbone.model_card import model_card
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.loading import load_backbone_model
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.tags import symbol
from tests import hf_folder, tiny, tiny_text

AutoTokenizer = pytest.importorskip("transformers").AutoTokenizer

MINI = hf_folder.REPOSITORY / "examples" / "mini" / "model"
BACKBONE = MINI / "model.pt"
ODD = ["  two  spaces ", "café \u1234 \U0001f600x", "a\tb", "", "ﬁ ² ｱ", "<0xE4>", "a ⏎ b"]
REAL = ("fr_XX", "zh_CN")
SHAPE = {"arch": "laft_mbart_tiny", "max_source_positions": 64, "max_target_positions": 64}
OTHER = {"removal": "projection", "fusion_input": "mean", "adapter_norm": "outside",
         "mask_source_tag": True, "layout": "prefix"}  # fmt: skip
M2M = {"layout": "prefix", "activation_fn": "relu", "layernorm_embedding": False,
       "encoder_learned_pos": False, "decoder_learned_pos": False}  # fmt: skip
SYSTEMS: dict[str, dict[str, Any]] = {
    "laft": {"method": "laft"},
    "laft-prefix": {"method": "laft", **OTHER},
    "laft-mean": {
        "method": "laft",
        "removal": "mean",
        "fusion_input": "none",
        "adapter_norm": "none",
    },
    "adapter": {"method": "adapter", "activation_fn": "relu"},
    "tm_adv": {"method": "tm_adv_frozen", "layout": "prefix"},
    "plain": {"method": "mbart_enc_top2"},
    "laft-m2m": {"method": "laft", **M2M},
    "plain-m2m": {"method": "mbart_full", **M2M},
    "tag-masked": {"method": "mbart_full", "mask_source_tag": True},
    "lora": {"method": "lora", "lora_rank": 4},
    "plain-prefix": {"method": "mbart_full", "layout": "prefix", "no_scale_embedding": True},
}
PLAIN = {"plain": "MBart", "plain-prefix": "MBart", "lora": "MBart", "plain-m2m": "M2M100"}
WITH_CODE = SYSTEMS.keys() - PLAIN
TEXTS = ["▁w1 c1 ▁w2 c2 </s> [en_XX]", "▁w6 c6 </s> [fr_XX]", "一 二 三 <mask> </s> [zh_CN]"]
WRITTEN = ["[en_XX] ▁w1 c1", "[fr_XX] ▁w6 c6", "[zh_CN] 一 二"]
IN_OTHERS = ["[fr_XX] ▁w1 c1", "[fr_XX] ▁w6 c6", "[en_XX] 一 二"]
SEARCHES = ({"beam": 1}, {"beam": 5, "lenpen": 0.7})
# What a user of transformers does, where neither of the two packages can be imported.
ELSEWHERE = """
import sys, torch
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("laft_fairseq", "fairseq"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, pipeline
torch.set_num_threads(1)
jobs, results = torch.load(sys.argv[1]), []
for job in jobs:
    code = {"trust_remote_code": True} if job["code"] else {}
    model = AutoModelForSeq2SeqLM.from_pretrained(job["folder"], **code).eval()
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    tokens, written = job["tokens"], job["written"]
    with torch.no_grad():
        logits = [model(input_ids=tokens, attention_mask=tokens.ne(1), decoder_input_ids=ids).logits
                  for ids in written] if written else []
    texts = []
    for (lang, output, lines), search in job["searches"]:
        tokenizer.src_lang = lang
        start = {job["start"]: tokenizer.convert_tokens_to_ids(output)}
        inputs = tokenizer(lines, return_tensors="pt", padding=True)
        ids = model.generate(**inputs, **start, **search)
        texts.append(ids.tolist() if job["written"] else
                     tokenizer.batch_decode(ids, skip_special_tokens=True))
    results.append({"logits": logits, "texts": texts, "class": type(model).__name__})
pipe = pipeline("text2text-generation", model=model, tokenizer=tokenizer)
results.append(pipe(lines[:2], **start, **search))
torch.save(results, sys.argv[2])
"""


def elsewhere(jobs: list[dict[str, Any]], folder: Path) -> list[Any]:
    """The results of jobs in a process that has transformers alone."""
    torch.save(jobs, folder / "jobs.pt")
    command = [sys.executable, "-I", "-c", ELSEWHERE, folder / "jobs.pt", folder / "results.pt"]
    env = {**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return torch.load(folder / "results.pt")  # type: ignore[no-any-return]


def export(checkpoint: Path, out: Path, *flags: Any) -> Path:
    words = ["export", "--checkpoint", checkpoint, "--hugging-face", out, *flags]
    assert main.main([str(word) for word in words]) == 0
    return out


def search_of_transformers(beam: int = 1, lenpen: float = 1.5, tag_first: int = 0) -> Any:
    """Our options under their names; where the tag is written, it counts as a token."""
    return {"num_beams": beam, "length_penalty": lenpen, "max_new_tokens": 9 + tag_first}


def prepare(name: str, options: dict[str, Any], home: Path) -> tuple[dict[str, Any], Any, Any]:
    """A random system of every kind: what to do with it elsewhere, and what we make of it."""
    layout = options.get("layout", "suffix")
    built = tiny.scrambled(std=0.15, **options)
    home.mkdir()
    tiny.write_dictionary(home, layout=layout)
    tiny_text.write_sentencepiece(home / "sentence.bpe.model")
    args = Namespace(**SHAPE, **{key: options[key] for key in options if key != "layout"})
    torch.save({"args": args, "model": tiny.whole_state_dict(built)}, home / "whole.pt")
    left = tiny.rows(tiny.laid_out(TEXTS, layout))
    right = tiny.rows(tiny.laid_out(TEXTS, layout), left=False)
    written = [tiny.rows(tiny.decoder_inputs(texts, layout)) for texts in (WRITTEN, IN_OTHERS)]
    languages = [torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0])]  # of these
    with torch.no_grad():
        logits = [
            built(left, None, ids, output_language=language)[0]
            for ids, language in zip(written, languages, strict=True)
        ]
    loaded = hub.load(str(home / "whole.pt"), device="cpu")
    loaded.tokenizer.decode = lambda tokens, ignored: tokens.tolist()  # type: ignore[method-assign]
    both = [("fr_XX", "fr_XX", tiny_text.raw("fr_XX", 4)), ("zh_CN", "en_XX", ["一二三", "四五"])]
    prefix = layout == "prefix"
    job = {
        "folder": str(export(home / "whole.pt", home / "hf")), "code": name in WITH_CODE,
        "tokens": right, "written": written,
        "start": "forced_bos_token_id" if prefix else "decoder_start_token_id",
        "searches": [(each, search_of_transformers(tag_first=prefix)) for each in both],
    }  # fmt: skip
    texts = [
        loaded.generate(lines, lang, output, beam=1, max_len_b=8) for lang, output, lines in both
    ]
    return job, logits, texts


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any, Any]]:
    """Each system's job, logits and texts, ready for the one process elsewhere."""
    home = tmp_path_factory.mktemp("systems")
    return {name: prepare(name, options, home / name) for name, options in SYSTEMS.items()}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped LAFT, after stage 1, exported."""
    out = tmp_path_factory.mktemp("shipped") / "hf"
    return export(MINI / "laft-stage1.pt", out, "--backbone", BACKBONE)


@pytest.fixture(scope="module")
def results(
    prepared: dict[str, tuple[Any, Any, Any]], shipped: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Any]:  # fmt: skip
    """Of each system, then of the shipped model on real sentences, then of the pipeline."""
    real = {
        "folder": str(shipped),
        "code": True, "tokens": None, "written": [], "start": "decoder_start_token_id",
        "searches": [((tag, tag, real_sentences(tag, 50)),
                      {**search_of_transformers(**search), "max_new_tokens": 41})
                     for tag in REAL for search in SEARCHES],
    }  # fmt: skip
    jobs = [*(job for job, _, _ in prepared.values()), real]
    return elsewhere(jobs, tmp_path_factory.mktemp("elsewhere"))


def test_every_system_computes_the_same_elsewhere(
    prepared: dict[str, tuple[Any, Any, Any]], results: list[Any]
) -> None:
    """Logits, with the text's own language and another one, and greedy outputs."""
    for (name, (job, logits, texts)), result in zip(prepared.items(), results, strict=False):
        for ours, theirs in zip(logits, result["logits"], strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5, msg=name)
        assert not torch.allclose(*result["logits"], atol=1e-2), name
        ours = [[text_ids(ids) for ids in each] for each in texts]
        assert [[text_ids(ids) for ids in each] for each in result["texts"]] == ours, name
        assert result["class"] == PLAIN.get(name, "Laft") + "ForConditionalGeneration"
        assert (Path(job["folder"]) / "modeling_laft.py").exists() == (name in WITH_CODE)
    assert len({str(texts) for _, _, texts in prepared.values()}) > 5


def test_100_real_sentences_of_the_shipped_model(results: list[Any]) -> None:
    """LAFT after stage 1, with its 12,006 entries: greedy search, beam search, the pipeline."""
    *_, result, piped = results
    loaded = hub.load(str(MINI / "laft-stage1.pt"), backbone=str(BACKBONE), device="cpu")
    searches = [(tag, search) for tag in REAL for search in SEARCHES]
    for (tag, search), theirs in zip(searches, result["texts"], strict=True):
        ours = loaded.generate(real_sentences(tag, 50), tag, max_len_b=40, **search)
        assert len(set(ours)) > 40
        assert [text.strip() for text in theirs] == ours
    assert [each["generated_text"].strip() for each in piped] == ours[:2]


def test_token_ids_are_ours(shipped: Path) -> None:
    """1,000 real sentences in three languages, and what is odd: bytes, spaces, full width."""
    dictionary = load_dictionary(MINI, dictionary_tags(MINI))
    ours = SubwordTokenizer(MINI / "sentence.bpe.model", dictionary)
    theirs = AutoTokenizer.from_pretrained(shipped)
    count = 0
    for tag in ("en_XX", "fr_XX", "zh_CN"):
        path = hf_folder.REPOSITORY / "examples" / "ddtp" / "data" / f"mono.{tag}.txt.xz"
        with lzma.open(path, "rt", encoding="utf-8") as file:
            lines = [line.strip() for line in islice(file, 334)] + ODD
        theirs.src_lang = tag
        for line, ids in zip(lines, theirs(lines)["input_ids"], strict=True):
            assert ids == [*ours.encode(line).tolist(), dictionary.index(symbol(tag))], line
            text = ours.decode(torch.tensor(ids[:-1]), {2})
            assert theirs.decode(ids, skip_special_tokens=True).strip() == text
        count += len(lines)
    assert count > 1000


def test_a_plain_export_is_a_backbone_again(
    prepared: dict[str, tuple[Any, Any, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`laft import-hf` reads it; a system with parts of its own is refused."""
    folder = Path(prepared["plain-prefix"][0]["folder"]).parent
    shutil.copytree(folder, tmp_path / "plain")
    folder = tmp_path / "plain"
    capsys.readouterr()
    assert main.main(["import-hf", str(folder / "hf"), str(tmp_path / "again")]) == 2
    assert "scale_embedding is False" in capsys.readouterr().err
    hf_folder.change(folder / "hf" / "config.json", scale_embedding=True)
    assert main.main(["import-hf", str(folder / "hf"), str(tmp_path / "again")]) == 0
    files = ("dict.txt", "langs.txt", "tag-layout.txt", "sentence.bpe.model")
    assert all((tmp_path / "again" / n).read_bytes() == (folder / n).read_bytes() for n in files)
    model, _ = load_backbone_model(str(tmp_path / "again" / "model.pt"), str(tmp_path / "again"))
    content = torch.load(folder / "whole.pt", weights_only=True)["model"]
    assert model.fingerprint == backbones.fingerprint(content)
    out = str(tmp_path / "no")
    words = ["export", "--checkpoint", str(folder / "whole.pt"), "--scores", "fr.json"]
    capsys.readouterr()
    assert main.main([*words, "--out", out]) == 2
    assert main.main([*words, "--hugging-face", out]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "for the model card of --hugging-face" in errors[0] and "fr.json: no scores" in errors[1]
    assert main.main(["import-hf", prepared["laft"][0]["folder"], str(tmp_path / "no")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "a trained system with parts of its own" in error


def test_the_model_card(tmp_path: Path) -> None:
    """Its front matter is YAML with each score and its signature, the rest renders as Markdown."""
    scores = {
        "rougeL": {"f": 30.756, "low": 29.5, "high": 32.0}, "bleu": 11.25, "chrf": None,
        "signature": "rouge:F|lang:fr|n:1160", "bleu_signature": "nrefs:1|case:mixed", "n": 1160,
    }  # fmt: skip
    (tmp_path / "fr.json").write_text(json.dumps(scores))
    cell = {"task": "headlines", "setting": "zero-shot", "lang": "zh_CN", "scores": scores}
    (tmp_path / "cell.json").write_text(json.dumps(cell))
    card = model_card("summaries", "laft", ["fr_XX", "zh_CN"], "pairs in en_XX", TagLayout.SUFFIX,
                      True, [tmp_path / "fr.json", tmp_path / "cell.json"])  # fmt: skip
    _, front, body = card.split("---\n", 2)
    data = yaml.safe_load(front)
    assert (data["language"], data["library_name"]) == (["fr", "zh"], "transformers")
    results = data["model-index"][0]["results"]
    values = [[metric["value"] for metric in each["metrics"]] for each in results]
    assert values == [[30.76, 11.25]] * 2
    page = MarkdownIt().enable("table").render(body)
    assert page.count("<table>") == 2 and page.count("rouge:F, lang:fr, n:1160") == 2
    assert "<td>Headlines, Zero-shot: English pairs only, zh_CN</td>" in page
    assert '<code class="language-bibtex">@inproceedings{wu-etal-2022-laft' in page
    (tmp_path / "fr.json").write_text("{}")
    with pytest.raises(LaftError, match=r"--scores .*fr.json: no scores in it"):
        model_card("a", "laft", ["fr_XX"], "", TagLayout.SUFFIX, True, [tmp_path / "fr.json"])


def text_ids(ids: list[int]) -> list[int]:
    """Those of an output's own tokens: no tag at its beginning, </s> or padding at its end."""
    tags = tiny.ids(" ".join(f"[{tag}]" for tag in tiny.TAGS))
    return [token for token in ids if token not in (1, 2, *tags)]


def real_sentences(tag: str, count: int) -> list[str]:
    """Headlines of the test set, short ones."""
    path = hf_folder.REPOSITORY / "examples" / "ddtp" / "data" / f"{tag}.test.tsv.xz"
    with lzma.open(path, "rt", encoding="utf-8") as file:
        lines = {line.split("\t")[3].strip() for line in file}
    return sorted(lines, key=lambda line: (abs(len(line) - 25), line))[:count]
