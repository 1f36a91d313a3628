"""A plain install: the package, its command and its metadata, away from the repository."""

import os
import shutil
import subprocess
import sys
import tarfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.markers import default_environment
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.house import shipped

WITH_THE_WHEEL = ("examples/", "preprocess/")
PINNED = {"ve-fairseq": "==0.12.3", "fairseq-fixed": "==0.12.3.1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the source distribution, and of the wheel that is built from it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for path in shipped.files():
        target = source / shipped.name(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    command = [sys.executable, "-m", "build", "--no-isolation", "-o", out, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `pip install --target` filled."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target]
    subprocess.run([*command, wheel], check=True)
    return target


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's METADATA."""
    with ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def requirements(metadata: Message, **machine: str) -> dict[str, SpecifierSet]:
    """What would be installed on the given machine, by name."""
    environment = {**default_environment(), **machine}
    wanted = map(Requirement, metadata.get_all("Requires-Dist", []))
    return {r.name: r.specifier for r in wanted if not r.marker or r.marker.evaluate(environment)}


def test_modules_recipes_and_the_license_are_in_the_wheel(wheel: Path, repository: Path) -> None:
    source = repository / "laft_fairseq"
    folders = {p.parent for p in source.rglob("*.py")}
    missing = [f"{f.relative_to(repository)}/" for f in folders if not (f / "__init__.py").exists()]
    assert not missing, f"no __init__.py, so the wheel leaves them out: {missing}"
    names = set(map(shipped.name, shipped.files()))
    expected = {n for n in names if n.startswith("laft_fairseq/")}
    expected |= {f"laft_fairseq/shipped/{n}" for n in names if n.startswith(WITH_THE_WHEEL)}
    with ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert {n for n in inside if ".dist-info/" not in n} == expected
    assert any(n.endswith("/LICENSE") for n in inside)
    assert wheel.stat().st_size < 60 * 2**20


def test_the_source_distribution_is_the_repository(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    missing = set(map(shipped.name, shipped.files())) - inside
    assert {name for name in missing if not name.startswith(".github/")} == set()


def test_the_metadata_are_valid_and_true(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        checked = Metadata.from_email(archive.read(name), validate=True)
    assert checked.description_content_type == "text/markdown"
    systems = [c for c in checked.classifiers or () if c.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]
    assert {"hf", "serve", "workflow"} <= set(checked.provides_extra or ())


def test_the_citation_names_this_version_and_the_paper(repository: Path) -> None:
    cited = yaml.safe_load((repository / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version"} <= set(cited)
    assert f'version="{cited["version"]}"' in (repository / "setup.py").read_text()
    paper = cited["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Wu", "Zheng", "Zhou", "Yu"]
    assert paper["title"] in (repository / "README.md").read_text().replace("{LAFT}", "LAFT")


@pytest.mark.parametrize(
    ("system", "machine", "python", "fairseq"),
    [
        ("linux", "x86_64", "3.11", "ve-fairseq"),
        ("linux", "x86_64", "3.13", "fairseq-fixed"),  # no wheel
        ("linux", "aarch64", "3.11", "fairseq-fixed"),
        ("darwin", "arm64", "3.12", "fairseq-fixed"),
    ],
)
def test_exactly_one_fairseq_on_each_machine(
    metadata: Message, system: str, machine: str, python: str, fairseq: str
) -> None:
    wanted = requirements(
        metadata, sys_platform=system, platform_machine=machine, python_version=python
    )
    assert {n: str(s) for n, s in wanted.items() if "fairseq" in n} == {fairseq: PINNED[fairseq]}


def test_python_and_torch_bounds(metadata: Message) -> None:
    python = SpecifierSet(metadata["Requires-Python"])
    accepted = [v for v in ("3.10.9", "3.11.0", "3.12.1", "3.13.0", "3.14.0") if v in python]
    assert accepted == ["3.11.0", "3.12.1", "3.13.0"]
    torch = requirements(metadata)["torch"]
    assert [v for v in ("2.5.1", "2.6.0", "2.13.0") if v in torch] == ["2.6.0", "2.13.0"]


def pins(path: Path) -> dict[str, Requirement]:
    """The lines of a requirements file that apply here, by name."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    pinned = [Requirement(line) for line in lines]
    return {r.name: r for r in pinned if not r.marker or r.marker.evaluate()}


def test_the_pinned_files_satisfy_the_metadata(metadata: Message, repository: Path) -> None:
    files = [repository / f"requirements{end}.txt" for end in ("", "-fairseq", "-serve")]
    pinned = {name: pin for path in files for name, pin in pins(path).items()}
    wanted = requirements(metadata) | requirements(metadata, extra="serve")
    assert "gradio" in wanted
    for name, specifier in wanted.items():
        if name == "torch":  # the Makefile pins it, or its user
            continue
        (pin,) = pinned[name].specifier
        assert pin.operator == "=="
        assert pin.version in specifier, name


def test_every_pin_is_exact(repository: Path) -> None:
    for path in repository.glob("requirements*.txt"):
        loose = [n for n, r in pins(path).items() if [s.operator for s in r.specifier] != ["=="]]
        assert not loose, f"{path.name}: {loose}"


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run with the installed copy first on the path, in a folder outside the repository."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_installed_command_finds_its_own_package(installed: Path, tmp_path: Path) -> None:
    laft = str(installed / "bin" / "laft")
    assert run(installed, tmp_path, laft, "--help").returncode == 0
    shown = run(installed, tmp_path, laft, "user-dir")
    assert Path(shown.stdout.strip()) == installed / "laft_fairseq", shown.stderr
    assert run(installed, tmp_path, laft, "--version").stdout == "laft_fairseq 0.1.0\n"


def test_the_installed_workflow_runs_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    laft = str(installed / "bin" / "laft")
    plan = run(installed, tmp_path, laft, "workflow", "demo", "-n", "-p")
    assert plan.returncode == 0, plan.stderr[-2000:]
    assert f"--user-dir {installed / 'laft_fairseq'} " in plan.stdout
    assert f"{tmp_path}/preprocess/binarize.sh" in plan.stdout
    assert os.access(tmp_path / "preprocess" / "binarize.sh", os.X_OK)
    assert not list(tmp_path.rglob("*.pyc"))


# What `fairseq-train` does with its command line before it builds anything.
PARSE = """
import sys
from fairseq import options
for task in ("laft_denoising", "laft_generation"):
    flags = ["data-bin", "--user-dir", sys.argv[1], "--arch", "laft_mbart", "--task", task]
    parser = options.get_training_parser()
    args = options.parse_args_and_arch(parser, [*flags, "--language-components", "c.safetensors"])
    print(args.task, args.arch, args.language_components, args.encoder_embed_dim)
"""
PARSED = [f"{task} laft_mbart c.safetensors 1024" for task in ("laft_denoising", "laft_generation")]


def test_fairseq_finds_the_plug_in(installed: Path, tmp_path: Path) -> None:
    """`--user-dir` by the path that `laft user-dir` prints."""
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-c", PARSE, str(installed / "laft_fairseq")]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines() == PARSED


def test_make_install_shows_no_conflict_that_is_meant(repository: Path) -> None:
    """pip calls it an error that ve-fairseq goes without torchaudio, unless told not to look."""
    makefile = (repository / "Makefile").read_text().replace("\\\n", " ")
    installs = [line for line in makefile.splitlines() if "pip install -q" in line]
    assert len(installs) == 5
    assert all("--no-deps" in line or "--no-warn-conflicts" in line for line in installs)
