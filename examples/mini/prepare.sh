#!/usr/bin/env bash
# Text to binarised data for the small backbone: OUT/data-bin and OUT/sentence.bpe.model.
#   MONO=... DDTP=... OUT=... examples/mini/prepare.sh
set -euo pipefail
if [[ ${1:-} = -h || ${1:-} = --help ]]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
  exit
fi

MONO=${MONO:?directory with {en,fr,zh_CN,de\}.txt.xz}
DDTP=${DDTP:?directory with {en,fr,zh_CN,de\}.train.tsv.xz}
OUT=${OUT:?directory to write}
PYTHON=${PYTHON:-python}
WORKERS=${WORKERS:-2}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$PYTHON" "$HERE/prepare.py" --mono "$MONO" --ddtp "$DDTP" --out "$OUT" --threads "$WORKERS"
rm -rf "$OUT/data-bin"
while read -r lang; do
    "$HERE/../../preprocess/binarize.sh" mono --backbone "$OUT" --lang "$lang" \
        --train "$OUT/text/train.$lang" --valid "$OUT/text/valid.$lang" \
        --out "$OUT/data-bin" --workers "$WORKERS"
done < "$OUT/langs.txt"
