#!/usr/bin/env bash
# Pretrain the small backbone: stage 1's task, system mbart_full, no backbone to start from.
#   DATA=data-bin OUT=checkpoints examples/mini/pretrain.sh [more fairseq-train options]
# Killed at any point, the same command goes on from the last checkpoint.
set -euo pipefail
if [[ ${1:-} = -h || ${1:-} = --help ]]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
  exit
fi
cd "$(dirname "$0")/../.."
DATA=${DATA:?data-bin made by examples/mini/prepare.sh}
OUT=${OUT:?directory for checkpoints}
UPDATES=${UPDATES:-7800}

fairseq-train "$DATA" --user-dir laft_fairseq --task laft_denoising \
  --arch laft_mbart_mini --method mbart_full \
  --multilang-sampling-alpha 0.5 --max-tokens 4096 --dropout 0 --attention-dropout 0 \
  --criterion cross_entropy --optimizer adam --adam-betas '(0.9, 0.98)' --adam-eps 1e-6 \
  --weight-decay 0.01 --clip-norm 1.0 \
  --lr 1.5e-3 --lr-scheduler polynomial_decay --warmup-updates 400 \
  --total-num-update "$UPDATES" --max-update "$UPDATES" \
  --save-dir "$OUT" --save-interval-updates 250 --keep-interval-updates 2 --no-epoch-checkpoints \
  --validate-interval-updates 2500 --patience -1 \
  --num-workers 1 --seed 1 --log-format simple --log-interval 50 "$@"
