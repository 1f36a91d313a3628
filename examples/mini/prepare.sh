#!/usr/bin/env bash
# Text to binarised data for the small backbone: OUT/data-bin and OUT/sentence.bpe.model.
#   MONO=... DDTP=... OUT=... examples/mini/prepare.sh
set -euo pipefail

MONO=${MONO:?directory with {en,fr,zh_CN,de\}.txt.xz}
DDTP=${DDTP:?directory with {en,fr,zh_CN,de\}.train.tsv.xz}
OUT=${OUT:?directory to write}
PYTHON=${PYTHON:-python}
WORKERS=${WORKERS:-2}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mkdir -p "$OUT"
"$PYTHON" "$HERE/prepare.py" --mono "$MONO" --ddtp "$DDTP" --out "$OUT"
"$PYTHON" "$HERE/train_sentencepiece.py" train --out "$OUT" --threads "$WORKERS"
"$PYTHON" "$HERE/train_sentencepiece.py" encode --out "$OUT" --threads "$WORKERS"

mkdir -p "$OUT/data-bin"
while read -r lang; do
    # without --source-lang the files are named {train,valid}.{bin,idx}
    rm -rf "$OUT/data-bin/$lang"
    "$PYTHON" -m fairseq_cli.preprocess --only-source --srcdict "$OUT/dict.txt" \
        --trainpref "$OUT/spm/train.$lang" --validpref "$OUT/spm/valid.$lang" \
        --destdir "$OUT/data-bin/$lang" --workers "$WORKERS"
done < "$OUT/langs.txt"
cp "$OUT/dict.txt" "$OUT/langs.txt" "$OUT/data-bin/"
