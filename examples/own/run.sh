#!/usr/bin/env bash
# Your own task: annotated pairs of one language and plain text of all in, a model out.
#   examples/own/run.sh STEP FOLDER      STEP: data, components, stage1, stage2, or all of them
# FOLDER holds train.tsv (source <tab> target) and mono.<tag>.txt; README.md says the rest.
# Killed at any point, the same command goes on where it stopped.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;; esac
[ $# = 2 ] || { echo "usage: examples/own/run.sh data|components|stage1|stage2|all FOLDER" >&2; exit 2; }
[ -d "$2" ] || { echo "own: $2: no such folder" >&2; exit 1; }
STEP=$1 FOLDER=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.."
source examples/common.sh
source preprocess/environment.sh
script=own
needs_commands python laft fairseq-train

BACKBONE=${BACKBONE:-examples/mini/model} # model.pt, dict.txt, sentence.bpe.model
ARCH=${ARCH:-laft_mbart_mini}
SOURCE=${SOURCE:-en_XX} # the language of train.tsv
NEW_LANGS=${NEW_LANGS:-} # tags that the backbone does not know, with commas
OUT=${OUT:-$FOLDER/out}
REMOVAL=${REMOVAL:-scaled}
MAX_SENTENCES=${MAX_SENTENCES:-} # a language, for the components; default: all
MAX_TOKENS=${MAX_TOKENS:-4096} WARMUP=${WARMUP:-50} SEED=${SEED:-1}
STAGE1_UPDATES=${STAGE1_UPDATES:-600} STAGE1_LR=${STAGE1_LR:-1e-3}
STAGE2_UPDATES=${STAGE2_UPDATES:-600} STAGE2_LR=${STAGE2_LR:-1e-3}
USER_DIR=laft_fairseq
DATA=$OUT/data-bin
if nvidia-smi -L > /dev/null 2>&1; then DEVICE=(); else DEVICE=(--cpu); fi

stop() { echo "own: $*" >&2; exit 1; }

# languages: the source first, then each mono.<tag>.txt's.
languages() {
  local file tag
  echo "$SOURCE"
  for file in "$FOLDER"/mono.*.txt{,.gz,.xz}; do
    tag=$(basename "$file") && tag=${tag#mono.} && tag=${tag%%.*}
    [ ! -e "$file" ] || [ "$tag" = "$SOURCE" ] || echo "$tag"
  done | sort -u
}

# raw_text: the folder's files, checked, and parted for validation; again only if they are others.
raw_text() {
  python preprocess/own.py --folder "$FOLDER" --backbone "$BACKBONE" --langs $LANGS \
    --new-langs "$NEW_LANGS" --raw "$OUT/raw"
}

data() {
  local tag common=(--backbone "$BACKBONE" --out "$DATA" ${NEW_LANGS:+--new-langs "$NEW_LANGS"})
  preprocess/binarize.sh pairs "${common[@]}" --lang "$SOURCE" --columns 1,2 \
    --train "$OUT/raw/train.tsv" --valid "$OUT/raw/valid.tsv"
  for tag in $LANGS; do
    preprocess/binarize.sh mono "${common[@]}" --lang "$tag" \
      --train "$OUT/raw/mono.$tag.train" --valid "$OUT/raw/mono.$tag.valid"
  done
  settings > "$OUT/settings"
  touch "$DATA/done"
}

components() {
  laft components --backbone "$BACKBONE/model.pt" --data "$DATA" --langs "${LANGS// /,}" \
    --num-components 6 ${MAX_SENTENCES:+--max-sentences "$MAX_SENTENCES"} \
    --out "$OUT/components.safetensors"
}

# laft_stage NAME UPDATES RATE OPTIONS...: one of the two trainings.
laft_stage() {
  local name=$1 updates=$2 rate=$3
  shift 3
  train "$OUT/$name" --method laft --removal "$REMOVAL" --criterion cross_entropy \
    --language-components "$OUT/components.safetensors" --max-tokens "$MAX_TOKENS" --lr "$rate" \
    --warmup-updates "$WARMUP" --total-num-update "$updates" --max-update "$updates" "$@"
}

stage1() {
  laft_stage stage1 "$STAGE1_UPDATES" "$STAGE1_LR" --task laft_denoising --train-langs "${LANGS// /,}"
  training > "$OUT/stage1/settings"
}

stage2() {
  laft_stage stage2 "$STAGE2_UPDATES" "$STAGE2_LR" --task laft_generation --train-langs "$SOURCE" \
    --finetune-from-model "$OUT/stage1/checkpoint_best.pt"
}

# needs FILE STEP: stop where an earlier step has not been made.
needs() { [ -e "$1" ] || stop "$1: not there; first run examples/own/run.sh $2 $FOLDER"; }

# settings: what everything in OUT hangs on; training: what stage 2 shares with stage 1.
training() { echo "ARCH=$ARCH REMOVAL=$REMOVAL"; }
settings() {
  echo "SOURCE=$SOURCE NEW_LANGS=$NEW_LANGS"
  echo "dict.txt $(sha256sum < "$BACKBONE/dict.txt"), model.pt $(wc -c < "$BACKBONE/model.pt") bytes"
}

# same_settings: what is in OUT was made with these, or there is nothing yet.
same_settings() {
  [ ! -e "$OUT/settings" ] ||
    [ "$(sed 's/ARCH=[^ ]* //; s/ REMOVAL=[^ ]*//' "$OUT/settings")" = "$(settings)" ] || # an earlier version's
    stop "$OUT: made with another BACKBONE, SOURCE or NEW_LANGS; name another OUT"
  [ ! -e "$OUT/stage1/settings" ] || [ "$(cat "$OUT/stage1/settings")" = "$(training)" ] ||
    stop "$OUT/stage1: made with $(cat "$OUT/stage1/settings"); name another OUT"
}

# no_colon: fairseq takes a colon in the data's path for the end of a folder's name.
no_colon() {
  [[ $OUT != *:* ]] || stop "$OUT: a colon parts folders for fairseq; let OUT name one without"
}

# whole_number NAME VALUE
whole_number() { [[ $2 =~ ^[0-9]+$ ]] || stop "$1=$2: a whole number is needed"; }

# warms_up NAME UPDATES: the learning rate reaches its value.
warms_up() {
  whole_number "$1" "$2"
  whole_number WARMUP "$WARMUP"
  [ "$WARMUP" -lt "$2" ] ||
    stop "WARMUP=$WARMUP: with $1=$2 the learning rate would not reach its value"
}

check_backbone
no_colon
warms_up STAGE1_UPDATES "$STAGE1_UPDATES"
warms_up STAGE2_UPDATES "$STAGE2_UPDATES"
LANGS=$(languages | tr '\n' ' ') && LANGS=${LANGS% }
[ "$LANGS" != "$SOURCE" ] || stop "$FOLDER: no mono.<tag>.txt of another language, such as mono.fr_XX.txt"
same_settings
case $STEP in
  data) raw_text
    step "$DATA/done" "data: ${LANGS// /, }" data ;;
  components) needs "$DATA/done" data
    step "$OUT/components.safetensors" "language components" components ;;
  stage1) needs "$OUT/components.safetensors" components
    step "$OUT/stage1/done" "stage 1: plain text of ${LANGS// /, }" stage1 ;;
  stage2) needs "$OUT/stage1/done" stage1
    step "$OUT/stage2/done" "stage 2: pairs of $SOURCE" stage2
    say "laft generate --checkpoint $OUT/stage2/checkpoint_best.pt --lang ${LANGS##* } < in.txt > out.txt" ;;
  all) for one in data components stage1 stage2; do bash "examples/own/run.sh" "$one" "$FOLDER"; done ;;
  *) stop "$STEP: no such step; data, components, stage1, stage2 or all" ;;
esac
