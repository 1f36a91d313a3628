#!/usr/bin/env bash
# Headlines from English to French and Chinese, zero-shot: every step by the public commands.
#   examples/ddtp/run.sh            the extract that ships with the repository
#   FULL=1 examples/ddtp/run.sh     the full set, rebuilt through apt (a Debian machine)
# Killed at any point, the same command goes on where it stopped. README.md shows what to expect.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/common.sh
no_arguments examples/ddtp/run.sh "$@"

FULL=${FULL:-0}
OUT=${OUT:-examples/ddtp/out$([ "$FULL" = 1 ] && echo /full || true)}
BACKBONE=${BACKBONE:-examples/mini/model}  # model.pt, dict.txt, sentence.bpe.model
ARCH=${ARCH:-laft_mbart_mini}
METHODS=${METHODS:-laft mbart_full}
TARGETS=${TARGETS:-fr_XX zh_CN}
REMOVAL=${REMOVAL:-scaled}                 # or projection, none
TEST_ITEMS=${TEST_ITEMS:-522} VALID_ITEMS=${VALID_ITEMS:-500}
MAX_SENTENCES=${MAX_SENTENCES:-}           # a language, for the components; default: all
SEED=${SEED:-1}
STAGE1_UPDATES=${STAGE1_UPDATES:-600} STAGE1_LR=${STAGE1_LR:-1e-3}
STAGE2_UPDATES=${STAGE2_UPDATES:-600} STAGE2_LR=${STAGE2_LR:-1e-3} FULL_LR=${FULL_LR:-3e-4}
LENPEN=${LENPEN:-1.5} BEAM=${BEAM:-5}
USER_DIR=laft_fairseq
DATA=$OUT/data-bin RAW=$OUT/raw
LANGS=en_XX,$(echo "$TARGETS" | tr ' ' ',')
if nvidia-smi -L > /dev/null 2>&1; then DEVICE=(); else DEVICE=(--cpu); fi
source examples/ddtp/steps.sh

check_backbone
mkdir -p "$OUT"
step "$RAW" "raw text" raw_text
for lang in en_XX $TARGETS; do
  step "$DATA/$lang/.pairs.done" "binarise pairs in $lang" binarize_pairs "$lang"
  ! reads_text ||
    step "$DATA/$lang/.mono.done" "binarise monolingual $lang" binarize_mono "$lang"
done
[[ " $METHODS " != *" laft "* ]] ||
  step "$OUT/components.safetensors" "language components" components
compare $TARGETS
[[ " $METHODS " != *" laft "* ]] ||
  step "$OUT/figure2.png" "figure 2" figure
say "results in $OUT"
python examples/ddtp/summary.py "$OUT" --methods "$METHODS" --targets "$TARGETS" | tee "$OUT/table.md"
