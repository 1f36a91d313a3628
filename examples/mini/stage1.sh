#!/usr/bin/env bash
# Train stage 1 of LAFT on the small backbone, in all of its languages: OUT/model.pt and OUT/done.json.
#   DATA=data-bin OUT=folder examples/mini/stage1.sh
# DATA is made by prepare.sh. Killed at any point, the same command goes on from the last checkpoint.
set -euo pipefail
cd "$(dirname "$0")/../.."
DATA=$(realpath "${DATA:?data-bin made by examples/mini/prepare.sh}")
OUT=${OUT:?directory to write}
LANGS=$(paste -sd, examples/mini/model/langs.txt)
mkdir -p "$OUT"
[ -e "$OUT/components.safetensors" ] ||
    laft components --backbone examples/mini/model/model.pt --data "$DATA" --langs "$LANGS" \
        --num-components 6 --max-sentences 10000 --out "$OUT/components.safetensors"

python examples/workflow/training.py --folder "$OUT" --root "$PWD" --inputs "$DATA/dict.txt" -- \
  fairseq-train "$DATA" --user-dir laft_fairseq --task laft_denoising \
  --arch laft_mbart_mini --method laft --backbone examples/mini/model/model.pt \
  --language-components "$OUT/components.safetensors" --train-langs "$LANGS" \
  --criterion cross_entropy --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 \
  --lr-scheduler polynomial_decay --lr 1e-3 --warmup-updates 500 \
  --total-num-update 5000 --max-update 5000 --max-tokens 4096 --seed 1 \
  --save-dir "$OUT" --save-interval-updates 500 --keep-interval-updates 1 --no-epoch-checkpoints \
  --num-workers 0 --log-format json --log-interval 50
