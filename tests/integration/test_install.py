"""A plain install: the package, its command and its metadata, away from the repository."""

import os
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PINNED = {"ve-fairseq": "==0.12.3", "fairseq-fixed": "==0.12.3.1"}


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that no build folder is left in the repository."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        if (repository / name).exists():
            shutil.copy(repository / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "laft_fairseq", source / "laft_fairseq", ignore=ignore)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-q", "-w", out, source], check=True)
    (built,) = out.glob("*.whl")
    return built


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


def test_every_module_and_the_license_are_in_the_wheel(wheel: Path, repository: Path) -> None:
    source = repository / "laft_fairseq"
    expected = {p.relative_to(repository).as_posix() for p in source.rglob("*.py")}
    folders = {p.parent for p in source.rglob("*.py")}
    missing = [f"{f.relative_to(repository)}/" for f in folders if not (f / "__init__.py").exists()]
    assert not missing, f"no __init__.py, so the wheel leaves them out: {missing}"
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    beside = {p.relative_to(repository).as_posix() for p in source.rglob("*.j2")}
    assert beside, "the page's templates"
    expected |= beside | {"laft_fairseq/py.typed"}
    assert {n for n in names if ".dist-info/" not in n} == expected
    assert any(n.endswith("/LICENSE") for n in names)


@pytest.mark.parametrize(
    ("system", "machine", "python", "fairseq"),
    [
        ("linux", "x86_64", "3.11", "ve-fairseq"),
        ("linux", "x86_64", "3.12", "ve-fairseq"),
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
    pinned = pins(repository / "requirements.txt") | pins(repository / "requirements-fairseq.txt")
    for name, specifier in requirements(metadata).items():
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


@pytest.mark.parametrize("where", ["installed path", "repository root", "repository path"])
def test_fairseq_finds_the_plug_in(
    where: str, installed: Path, repository: Path, tmp_path: Path
) -> None:
    """`--user-dir` by the path that `laft user-dir` prints, and by name from the root."""
    user_dir, folder = {
        "installed path": (str(installed / "laft_fairseq"), tmp_path),
        "repository root": ("laft_fairseq", repository),
        "repository path": (str(repository / "laft_fairseq"), tmp_path),
    }[where]
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-c", PARSE, user_dir]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines() == PARSED


def test_make_install_shows_no_conflict_that_is_meant(repository: Path) -> None:
    """pip calls it an error that ve-fairseq goes without torchaudio, unless told not to look."""
    makefile = (repository / "Makefile").read_text().replace("\\\n", " ")
    installs = [line for line in makefile.splitlines() if "pip install -q" in line]
    assert len(installs) == 4
    assert all("--no-deps" in line or "--no-warn-conflicts" in line for line in installs)
