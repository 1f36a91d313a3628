#!/usr/bin/env bash
# Question generation: question-answering data -> DIR/{en_XX,zh_CN}.{train,valid,test}.tsv, the pairs
# that binarize.sh reads, source = evidence and answer, target = question. --help shows how.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
needs_modules laft_fairseq sentencepiece
run_module qg "$@"
