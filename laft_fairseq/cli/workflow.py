"""`laft workflow`: run a recipe, of the working folder or as it comes with the package."""

import argparse
from pathlib import Path

HELP = "run a recipe: demo, own, ddtp, ..."
DESCRIPTION = """\
Run a recipe by Snakemake. Recipes are looked for in examples/ of the working folder, as in the
repository. Where that folder has no workflow, examples/ and preprocess/ are copied into it first,
with the small backbone and the demo's data (40 MB); the copy can be edited. Folders in the settings
count from the working folder.
"""
EPILOG = """\
examples:
  laft workflow demo
  laft workflow own -n --config folder=my-task
  laft workflow ddtp mine.yaml --cores 4

`-n` shows the plan. Everything after the recipes goes to Snakemake as it stands. The settings are
listed in examples/workflow/defaults.yaml.
"""
FOLDERS = ("examples", "preprocess")
SNAKEFILE = Path("examples/workflow/Snakefile")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("recipe", nargs="+", help="a recipe's name, or a YAML of settings; of "
                        "several the later ones count")  # fmt: skip
    parser.add_argument("options", nargs=argparse.REMAINDER, help="Snakemake's options")


def shipped() -> Path:
    """Return the folder that holds examples/ and preprocess/: the wheel's, or the repository."""
    package = Path(__file__).resolve().parents[1]
    return package / "shipped" if (package / "shipped").is_dir() else package.parent


def copy_workflow(source: Path, target: Path) -> None:
    """Copy examples/ and preprocess/ without what a run has made; no file that is there changes.

    Raises:
        LaftError: the target has a file of that name already.
    """
    import shutil

    from laft_fairseq.errors import LaftError

    for folder in FOLDERS:
        if (target / folder).exists():
            raise LaftError(
                f"{target / folder}: is there, but {target / SNAKEFILE} is not; run laft workflow "
                "in an empty folder or in the repository"
            )
    ignored = shutil.ignore_patterns("__pycache__", ".snakemake", "out", "__init__.py")
    for folder in reversed(FOLDERS):
        shutil.copytree(source / folder, target / folder, ignore=ignored)


def run(args: argparse.Namespace) -> int:
    """Copy the workflow where there is none, and hand over to Snakemake."""
    import importlib.util
    import logging
    import os
    import sys

    from laft_fairseq.errors import LaftError

    if importlib.util.find_spec("snakemake") is None:
        raise LaftError("snakemake is not installed: pip install 'laft_fairseq[workflow]'")
    target = Path.cwd()
    if not (target / SNAKEFILE).exists():
        copy_workflow(shipped(), target)
        logging.getLogger(__name__).info("the workflow is now in %s", target / "examples")
    files = [name if name.endswith((".yaml", ".yml")) else f"examples/{name}.yaml"
             for name in args.recipe]  # fmt: skip
    for name in files:
        if not Path(name).is_file():
            known = ", ".join(sorted(path.stem for path in Path("examples").glob("*.yaml")))
            raise LaftError(f"{name}: no such recipe; there are {known}, or name a YAML")
    command = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "--configfile", *files]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*command, *args.options])
