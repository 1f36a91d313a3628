#!/usr/bin/env bash
# Binarise raw text of one language with sentencepiece and fairseq-preprocess: --help shows how.
#
#   pairs: OUT/LANG/{split}.src-tgt.{src,tgt}.{bin,idx}     mono: OUT/LANG/{split}.{bin,idx}
#
# and OUT/dict.txt, OUT/langs.txt, OUT/tag-layout.txt where there is one. Nothing is truncated; what
# is in place already is left alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/encode.py" "$@" --work "$work"
[ -f "$work/options" ] || exit 0 # --help
if [ -s "$work/options" ]; then
  mapfile -t options < "$work/options"
  fairseq-preprocess "${options[@]}" > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
fi
"$python" "$here/encode.py" install "$work"
