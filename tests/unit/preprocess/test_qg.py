"""Question generation's data: the right sentence, nothing lost in silence, bad records refused."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from laft_fairseq.errors import LaftError
from preprocess.qg import __main__ as command
from preprocess.qg import evidence
from preprocess.qg.limits import shorten
from tests import data_tools, tables

ZH = "山上有雪。“谁在那里？”他问！河里有鱼"
EN = 'Ada wrote notes in 1843. She liked "loops." They were new!\n\nBabbage built little.'


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(r, ensure_ascii=False)}\n" for r in records), "utf-8")
    return path


def asked(name: str, context: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "context": context, "question": f"{name}?", "answer": answer,
            "answer_start": context.find(answer), **more}  # fmt: skip


LEFT = asked("a", ZH, "雪")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The four layouts, with text of their own; the second training item is in the test."""
    nqg = [
        {"lang": "en", "sentence": f"worker {n} mends it . ", "question": f"who mends {n} ?"}
        for n in range(40)
    ]
    nqg[1] = {"sentence": "ada wrote notes in 1843 .", "question": "when was it ?"}
    files = {
        "nqg": nqg,
        "xquad_en": [asked("a", EN, "1843"), asked("b", EN, "new!\n\nBabbage")],
        "xquad_zh": [asked("b", ZH, "雪"), asked("a", ZH, "有鱼")],
        "cmrc": [asked("T1", ZH, "河里", answer_start=0), asked("T2", ZH, "雪", question=" ")],
    }
    return {name: write_lines(tmp_path / f"{name}.jsonl", rows) for name, rows in files.items()}


def run(files: dict[str, Path], out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    given = [f"--{name.replace('_', '-')}={path}" for name, path in files.items()]
    parsed = command.parser().parse_args([*given, f"--out={out}", *options])
    return data_tools.run("qg", lambda: command.main(parsed))


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("context", "answer", "lang", "expected", "count"),
    [
        (ZH, "雪", "zh_CN", "山上有雪。", 1),
        (ZH, "谁", "zh_CN", "“谁在那里？”", 1),
        (ZH, "那里？”他", "zh_CN", "“谁在那里？”他问！", 2),
        (ZH, "有鱼", "zh_CN", "河里有鱼", 1),
        (ZH, "雪。", "zh_CN", "山上有雪。", 1),
        (EN, "1843", "en_XX", "Ada wrote notes in 1843.", 1),
        (EN, "loops", "en_XX", 'She liked "loops."', 1),
        (EN, "new!\n\nBabbage", "en_XX", "They were new! Babbage built little.", 2),
        (EN, '1843. She liked "loops." They', "en_XX", EN.split("\n")[0], 3),
    ],
)
def test_evidence_is_the_sentence_that_holds_the_answer(
    context: str, answer: str, lang: str, expected: str, count: int
) -> None:
    start = context.index(answer)
    touched = evidence.evidence(context, (start, start + len(answer)), lang)
    assert touched == (expected, count)


def test_the_second_of_two_equal_sentences_is_its_own() -> None:
    text = "A cat sat. A cat sat. It ran."
    assert evidence.sentence_spans(text, "en_XX") == [(0, 10), (11, 21), (22, 29)]


@pytest.mark.parametrize(
    "record",
    [
        asked("q", "one two one", "one", answer_start=4),  # twice in the context
        asked("q", "one two", "six"),
        asked("q", "one two", " "),
        {"id": "q", "context": "one two", "question": "q?", "answer_start": 0},
        {"id": "q", "sentence": "one two"},
        {"id": "q", "context": "one two", "question": "q?", "answers": 5},
        {"id": "q", "context": "one two", "question": "q?", "answers": [None]},
        {"id": "q", "context": ["one"], "question": "q?", "answers": ["one"]},
        {"id": "q", "context": "one", "question": {"q": 1}, "answers": ["one"]},
    ],
)
def test_a_record_that_cannot_be_used_is_named(tmp_path: Path, record: dict[str, Any]) -> None:
    path = write_lines(tmp_path / "x.jsonl", [record])
    with pytest.raises(LaftError, match=r"x\.jsonl: q: "):
        evidence.read_items(path, "en_XX", evidence.new_report())


ANSWERS = [{"text": "1843", "answer_start": 19}, {"text": "notes", "answer_start": 10}]
COLUMNS = {"text": ["1843", "notes"], "answer_start": [19, 10]}
QA = {"id": "5", "question": "When?"}


@pytest.mark.parametrize("name", ["q.json", "q.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        {**QA, "context": EN, "answers": ANSWERS},
        {**QA, "context": EN, "answers": COLUMNS},
        {**QA, "context": EN, "answers": {"text": "1843", "answer_start": 19}},
        {**QA, "context": EN, "answers": ["1843"], "is_impossible": False},
        {"data": [{"paragraphs": [{"context": EN, "qas": [{**QA, "answers": ANSWERS}]}]}]},
        {"data": [{**QA, "context": EN, "answers": COLUMNS}]},
        [{"context_text": EN, "context_id": "D", "qas": [
            {"query_id": "5", "query_text": "When?", "answers": ["1843", "notes"]}]}],
        {"context": EN, "qas": [{"qid": "5", "question": "When?", "answers": ["1843"]}]},
    ],
)  # fmt: skip
def test_all_forms_of_question_data_are_read(tmp_path: Path, name: str, content: Any) -> None:
    """One object a line as well as a file on several lines, and a byte order mark before either."""
    lines = name == "q.jsonl"
    text = json.dumps(content, indent=None if lines else 1)
    (tmp_path / name).write_text(f"\ufeff{text}\n", "utf-8")
    items = evidence.read_items(tmp_path / name, "en_XX", evidence.new_report())
    assert items == [evidence.Item("5", "Ada wrote notes in 1843.", "1843", "When?")]


def test_json_that_is_damaged_or_nested_too_deeply(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    deep = b'{"data":[' * 900 + b"{}" + b"]}" * 900
    for wrong in (b'{"data": [{}]}', b'{"data":\n[{"\xe9": 1}]}', deep, b"[" * 99_999):
        path.write_bytes(wrong)
        with pytest.raises(LaftError, match=r"s\.json: "):
            evidence.read_items(path, "en_XX", evidence.new_report())


@pytest.mark.parametrize("kind", [".csv", ".parquet", "folder"])
def test_question_data_in_columns(tmp_path: Path, kind: str) -> None:
    """CSV has its offsets as texts; the others Hugging Face's columns."""
    record = {"id": "5", "question": "When?", "context": f"1843. {EN}"}
    more: dict[str, Any] = {"answer": "1843", "answer_start": "25"}
    if kind != ".csv":
        more = {"answers": {"text": ["1843"], "answer_start": [25]}}
    path = tables.write(tmp_path, "q", kind, [{**record, **more}])
    report = evidence.new_report()
    (item,) = evidence.read_items(path, "en_XX", report)
    assert (item.name, item.evidence) == ("5", "Ada wrote notes in 1843.")


@pytest.mark.parametrize(
    "answers",
    [
        {"answers": [], "is_impossible": True},
        {"answers": ANSWERS, "is_impossible": True},
        {"answers": []},
        {"answers": {"text": [], "answer_start": []}},
    ],
)
def test_questions_without_an_answer_are_left_out_and_counted(
    tmp_path: Path, answers: dict[str, Any]
) -> None:
    records = [{**QA, "id": "no", "context": EN, **answers}, asked("5", EN, "1843")]
    report = evidence.new_report()
    items = evidence.read_items(write_lines(tmp_path / "x.jsonl", records), "en_XX", report)
    assert [item.name for item in items] == ["5"]
    assert report["unanswerable"] == ["no"]


def test_an_answer_without_an_offset_stands_at_its_first_place(tmp_path: Path) -> None:
    report = evidence.new_report()
    records = [{**QA, "context": "A gate. A gate opens.", "answers": ["gate"]}]
    items = evidence.read_items(write_lines(tmp_path / "x.jsonl", records), "en_XX", report)
    assert (items[0].evidence, report["first_place"]) == ("A gate.", ["5"])


def test_any_language(files: dict[str, Path], tmp_path: Path) -> None:
    spanish = "¿Quién escribió? Ada escribió notas en 1843. Eran nuevas."
    given = {
        "es": write_lines(tmp_path / "es.json", [asked("a", spanish, "notas")]),
        "hi": write_lines(tmp_path / "hi.jsonl", [asked("h", "राम घर गया. वह आया.", "आया")]),
    }
    options = [f"--train=en_XX={files['nqg']}", f"--test=es_XX={given['es']}",
               f"--test=hi_IN={given['hi']}", f"--valid=zh_CN={files['cmrc']}"]  # fmt: skip
    done = run({}, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    tables = {path.stem: rows(path) for path in (tmp_path / "out").glob("*.tsv")}
    assert set(tables) == {"en_XX.train", "en_XX.valid", "es_XX.test", "hi_IN.test", "zh_CN.valid"}
    assert tables["es_XX.test"] == [["a", "notas", "Ada escribió notas en 1843.", "a?"]]
    for wrong, named in (
        (["--test=es=x"], "'es' is no language tag"),
        (["--test=es_XX"], "give TAG=FILE"),
        ([f"--test=es_XX={given['es']}"], "two files for test in es_XX"),
        (["--valid=en_XX=none.json"], "none.json: no such file"),
    ):
        failed = run({}, tmp_path / "no", *options, *wrong)
        assert failed.returncode == 1
        assert named in failed.stderr and failed.stderr.count("\n") == 1
    assert "on, by --train" in run({}, tmp_path / "no").stderr


def test_the_command_without_answers(files: dict[str, Path], tmp_path: Path) -> None:
    """Training holds no answer, so no source does; all is counted, the same twice."""
    done = run(files, tmp_path / "one")
    assert done.returncode == 0, done.stderr
    out = {path.name: rows(path) for path in (tmp_path / "one").glob("*.tsv")}
    counts = {name: len(table) for name, table in out.items()}
    train, valid = counts.pop("en_XX.train.tsv"), counts.pop("en_XX.valid.tsv")
    assert train + valid == 39
    assert valid >= 1
    assert counts == {"en_XX.test.tsv": 2, "zh_CN.test.tsv": 2, "zh_CN.valid.tsv": 1}
    assert [row[0] for row in out["en_XX.test.tsv"]] == [row[0] for row in out["zh_CN.test.tsv"]]
    assert ["b", "new! Babbage", "They were new! Babbage built little.", "b?"] in out[
        "en_XX.test.tsv"
    ]
    assert out["zh_CN.valid.tsv"] == [["T1", "河里", "河里有鱼", "T1?"]]
    record = json.loads((tmp_path / "one" / "provenance.json").read_text("utf-8"))
    assert (record["source"], record["separator"]) == ("evidence", None)
    assert record["items"]["nqg"]["in_test"] == {"count": 1, "ids": ["line-2"]}
    assert record["items"]["cmrc"]["relocated"]["ids"] == ["T1"]
    assert record["items"]["cmrc"]["no_question"]["ids"] == ["T2"]
    assert record["items"]["xquad_en"]["joined"]["ids"] == ["b"]
    assert run(files, tmp_path / "two").returncode == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_the_command_with_answers_and_limits(
    files: dict[str, Path], tmp_path: Path, repository: Path
) -> None:
    spm = repository / "examples" / "mini" / "model" / "sentence.bpe.model"
    training = [
        {"sentence": f"the gate number {n} is old .", "answer": f"gate {n}",
         "question": "what is old ?" + " really" * (n == 3) * 30}
        for n in range(40)
    ]  # fmt: skip
    write_lines(files["nqg"], training)
    done = run(files, tmp_path / "out", "--source=evidence-answer", "--separator=|", f"--spm={spm}",
               "--max-evidence=6", "--max-question=20", "--valid-share=0.2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "provenance.json").read_text("utf-8"))
    assert (record["source"], record["separator"]) == ("evidence-answer", "|")
    tables = {path.stem: rows(path) for path in (tmp_path / "out").glob("*.tsv")}
    for table in tables.values():
        for name, answer, source, question in table:
            assert source.endswith(f" | {answer}"), name
            assert question
    assert all(row[2].startswith("the gate number") for row in tables["en_XX.train"])
    assert "is old" not in "".join(row[2] for row in tables["en_XX.train"])
    assert record["splits"]["en_XX.train"] + record["splits"]["en_XX.valid"] in (39, 40)
    assert len(tables["zh_CN.test"]) == 2
    assert record["items"]["nqg"]["cut_evidence"]["count"] >= 39


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sentencepiece model that cannot encode the separator."""
    folder = tmp_path_factory.mktemp("letters")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b | c d"] * 9), model_prefix=str(folder / "letters"),
        vocab_size=12, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("options", "change", "named"),
    [
        (["--source=evidence-answer"], {}, "line-"),
        (["--max-answer=3"], {}, "--spm"),
        (["--valid-share=1"], {}, "--valid-share"),
        (["--separator=a b"], {}, "--separator"),
        (["--spm=nowhere"], {}, "nowhere"),
        (["--spm=letters.model"], {}, "letters.model"),
        ([], {"xquad_zh": [LEFT]}, "only one of them has b"),
        ([], {"xquad_zh": [LEFT, asked("b", ZH, "鱼", question="")]}, "b: no question"),
        ([], {"cmrc": []}, "cmrc.jsonl: empty"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    files: dict[str, Path], letters: Path, tmp_path: Path, options: list[str], named: str,
    change: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(letters)
    for name, records in change.items():
        write_lines(files[name], records)
    done = run(files, tmp_path / "out", *options)
    assert done.returncode == 1
    assert named in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "limit", "count", "expected"),
    [
        ("a b c d", 2, words, "a b"),
        ("a b", 2, words, "a b"),
        ("a b", None, words, "a b"),
        ("a gate opens", 8, len, "a gate"),
        ("山上有雪", 3, len, "山上有"),
        ("水门打开 gate 很长很长", 6, len, "水门打开 g"),  # a Latin word brings a space
    ],
)
def test_shorten(text: str, limit: int | None, count: Any, expected: str) -> None:
    assert shorten(text, limit, count) == expected
