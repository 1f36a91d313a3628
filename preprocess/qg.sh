#!/usr/bin/env bash
# Question generation: question-answering data -> DIR/{en_XX,zh_CN}.{train,valid,test}.tsv, the pairs
# that binarize.sh reads, source = evidence and answer, target = question. --help shows how.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${PYTHON:-python}" "$here/qg.py" "$@"
