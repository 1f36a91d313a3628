"""Packaging of laft_fairseq; what it needs and why is said beside each line."""

from pathlib import Path

from setuptools import find_packages, setup

README = Path(__file__).parent / "README.md"

# The same fairseq everywhere: upstream's code made importable on Python >= 3.11. The first is a
# wheel for Linux on x86_64 up to Python 3.12, the second compiles anywhere.
WHEEL = 'sys_platform == "linux" and platform_machine == "x86_64" and python_version < "3.13"'
ELSEWHERE = 'sys_platform != "linux" or platform_machine != "x86_64" or python_version >= "3.13"'
FAIRSEQ = [
    f"ve-fairseq==0.12.3; {WHEEL}",
    f"fairseq-fixed==0.12.3.1; {ELSEWHERE}",
]

# What `laft workflow` copies: recipes, scripts, the small backbone and the demo's data (40 MB).
SHIPPED = {f"laft_fairseq.shipped.{name}": name for name in ("examples", "preprocess")}

setup(
    name="laft_fairseq",
    version="0.1.0",
    description="LAFT: language-agnostic finetuning for zero-resource cross-lingual text "
    "generation, as a fairseq plug-in",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    author="The laft_fairseq contributors",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=[*find_packages(include=["laft_fairseq", "laft_fairseq.*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={
        "laft_fairseq": ["py.typed", "reporting/templates/*.j2"],
        "laft_fairseq.shipped.examples": [
            "*.yaml",
            "*.md",
            "ddtp/*.md",
            "ddtp/data/*",
            "mini/*.md",
            "mini/*.py",
            "mini/*.sh",
            "mini/model/*",
            "workflow/Snakefile",
            "workflow/*.*",
            "workflow/*/*.smk",
            "workflow/*/config.yaml",
            "workflow/profiles/default/config.yaml",
        ],
        "laft_fairseq.shipped.preprocess": ["*.sh", "*.md", "*/*.py"],
    },
    install_requires=[
        *FAIRSEQ,
        "torch>=2.6",  # the first whose torch.load is weights-only by default
        "hydra-core>=1.3.2",
        "jinja2",
        "langcodes",  # a language's usual script, and one code for `zho`, `cmn` and `zh`
        "markdown-it-py",  # the page's HTML from its Markdown
        "markupsafe",
        "matplotlib",
        "numpy",
        "omegaconf",
        "protobuf",  # reads sentencepiece models (laft trim)
        "py3langid",
        "rapidfuzz",  # ROUGE-L's longest common subsequence, in little memory
        "regex",
        "rouge-score",
        "sacrebleu",
        "safetensors",
        "scikit-learn",
        "scipy",
        "sentencepiece>=0.2",  # normalises both sides of every score, too
        "sentencex>=1.0.32",  # sentences of the trivial baselines
        "simplemma>=2",  # dictionaries, for the share of known words
        "tabulate",
        "tqdm",
    ],
    extras_require={
        "cc100": ["duckdb>=2.0.1"],  # preprocess/cc100.sh
        "data": ["pyarrow>=20"],  # texts in Parquet, and in folders that `datasets` has saved
        "lora": ["peft>=0.17"],  # --method lora; brings transformers and accelerate
        "hf": ["transformers>=4.57,<5"],  # reads Hugging Face models (laft import-hf)
        # laft serve; the last versions that take the huggingface-hub of transformers 4
        "serve": ["gradio>=6.12,<6.18"],
        # What runs the recipes of examples/, on one machine or on a SLURM cluster.
        "workflow": ["snakemake==9.27.1", "snakemake-executor-plugin-slurm"],
    },
    entry_points={"console_scripts": ["laft = laft_fairseq.cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
