#!/usr/bin/env bash
# The recipe at a size that two CPU cores finish within twelve minutes: 200 test items a language.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/common.sh
no_arguments examples/ddtp/demo.sh "$@"
export OUT=${OUT:-examples/ddtp/out/demo} TEST_ITEMS=${TEST_ITEMS:-200} VALID_ITEMS=${VALID_ITEMS:-200}
export MAX_SENTENCES=${MAX_SENTENCES:-500}
export STAGE1_UPDATES=${STAGE1_UPDATES:-55} STAGE2_UPDATES=${STAGE2_UPDATES:-90}
exec bash examples/ddtp/run.sh
