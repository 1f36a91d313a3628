#!/usr/bin/env bash
# Questions from English to Chinese, zero-shot: every step by the public commands. The data is not
# in this repository; preprocess/README.md says where it comes from.
#   QG=folder examples/qg/run.sh
# Killed at any point, the same command goes on where it stopped. README.md lists the variables.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/common.sh
no_arguments examples/qg/run.sh "$@"

QG=${QG:-}                                 # folder with the four files, or name them one by one
NQG=${NQG:-$QG/nqg.test.jsonl.xz} CMRC=${CMRC:-$QG/cmrc2018.trial.jsonl.xz}
XQUAD_EN=${XQUAD_EN:-$QG/xquad.en.jsonl.xz} XQUAD_ZH=${XQUAD_ZH:-$QG/xquad.zh.jsonl.xz}
SOURCE=${SOURCE:-auto}                     # or evidence, evidence-answer
MONO=${MONO:-examples/ddtp/data}           # mono.{en_XX,zh_CN}.txt.xz
OUT=${OUT:-examples/qg/out}
BACKBONE=${BACKBONE:-examples/mini/model}  # model.pt, dict.txt, sentence.bpe.model
ARCH=${ARCH:-laft_mbart_mini}
METHODS=${METHODS:-laft mbart_full}
TESTS=${TESTS:-en_XX zh_CN}                # languages to generate in
REMOVAL=${REMOVAL:-scaled}                 # or projection, none
TEST_ITEMS=${TEST_ITEMS:-1190} VALID_ITEMS=${VALID_ITEMS:-500}
MAX_SENTENCES=${MAX_SENTENCES:-}           # a language, for the components; default: all
SEED=${SEED:-1}
STAGE1_UPDATES=${STAGE1_UPDATES:-600} STAGE1_LR=${STAGE1_LR:-1e-3}
STAGE2_UPDATES=${STAGE2_UPDATES:-600} STAGE2_LR=${STAGE2_LR:-1e-3} FULL_LR=${FULL_LR:-3e-4}
LENPEN=${LENPEN:-3} BEAM=${BEAM:-5}
USER_DIR=laft_fairseq
DATA=$OUT/data-bin RAW=$OUT/raw
TARGETS=zh_CN LANGS=en_XX,zh_CN
if nvidia-smi -L > /dev/null 2>&1; then DEVICE=(); else DEVICE=(--cpu); fi
source examples/ddtp/steps.sh

# Question generation's own text, in place of the headlines'.
raw_text() {
  local work=$RAW.partial lang
  rm -rf "$work" && mkdir -p "$work"
  preprocess/qg.sh --nqg "$NQG" --xquad-en "$XQUAD_EN" --xquad-zh "$XQUAD_ZH" --cmrc "$CMRC" \
    --source "$SOURCE" --spm "$BACKBONE/sentence.bpe.model" --seed 1 --out "$work" \
    --max-evidence 230 --max-answer 20 --max-question 256
  for lang in en_XX zh_CN; do
    cut_text "$work" "$lang" "$MONO/mono.$lang.txt.xz"
  done
  mv "$work" "$RAW"
}

for file in "$NQG" "$XQUAD_EN" "$XQUAD_ZH" "$CMRC" "$BACKBONE"/{model.pt,dict.txt,sentence.bpe.model} \
  "$MONO"/mono.{en_XX,zh_CN}.txt.xz; do
  [ -e "$file" ] || { echo "$file: missing; see examples/qg/README.md" >&2; exit 1; }
done
mkdir -p "$OUT"
step "$RAW" "raw text" raw_text
for lang in en_XX zh_CN; do
  step "$DATA/$lang/.pairs.done" "binarise pairs in $lang" binarize_pairs "$lang"
  ! reads_text ||
    step "$DATA/$lang/.mono.done" "binarise monolingual $lang" binarize_mono "$lang"
done
[[ " $METHODS " != *" laft "* ]] ||
  step "$OUT/components.safetensors" "language components" components
compare $TESTS
say "results in $OUT"
python examples/ddtp/summary.py "$OUT" --methods "$METHODS" --targets "$TESTS" --task questions |
  tee "$OUT/table.md"
