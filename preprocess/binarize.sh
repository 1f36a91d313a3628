#!/usr/bin/env bash
# Binarise raw text of one language with sentencepiece and fairseq-preprocess: --help shows how.
#
#   pairs: OUT/LANG/{split}.src-tgt.{src,tgt}.{bin,idx}     mono: OUT/LANG/{split}.{bin,idx}
#
# and OUT/dict.txt, OUT/langs.txt, OUT/tag-layout.txt where there is one. Nothing is truncated, and
# splits that are up to date are not made again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
needs_modules sentencepiece
needs_commands fairseq-preprocess
run_module binarize "$@"
