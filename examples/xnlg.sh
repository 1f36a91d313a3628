# What the recipes on the XNLG project's data share; run.sh sets TASK, FILES, TARGETS and LENPEN.
set -euo pipefail

OUT=${OUT:-examples/$TASK/out}
BACKBONE=${BACKBONE:-mbart.cc25}
ARCH=${ARCH:-laft_mbart}
METHODS=${METHODS:-laft mbart_full mbart_enc mbart_enc_top2 adapter tm_adv}
TESTS=${TESTS:-$TARGETS}                   # languages to generate in
MONO=${MONO:-sources}
TRANSLATED=${TRANSLATED:-}
REMOVAL=${REMOVAL:-scaled}                 # or projection, none
MAX_SENTENCES=${MAX_SENTENCES:-}           # a language, for the components; default: all
SEED=${SEED:-1}
LRS=${LRS:-1e-4 3e-5} STAGE1_LR=${STAGE1_LR:-1e-4} CHOOSE=${CHOOSE:-source}
UPDATES=${UPDATES:-40000} WARMUP=${WARMUP:-10000}
STAGE1_UPDATES=${STAGE1_UPDATES:-$UPDATES} STAGE2_UPDATES=${STAGE2_UPDATES:-$UPDATES}
MAX_TOKENS=${MAX_TOKENS:-4096} UPDATE_FREQ=${UPDATE_FREQ:-2} SAVE_UPDATES=${SAVE_UPDATES:-2000}
VALID_ITEMS=${VALID_ITEMS:-1000} TEST_ITEMS=${TEST_ITEMS:-}
BEAM=${BEAM:-5} WORKERS=${WORKERS:-4}
USER_DIR=laft_fairseq
DATA=$OUT/data-bin RAW=$OUT/raw
LANGS=en_XX,${TARGETS// /,}
if nvidia-smi -L > /dev/null 2>&1; then DEVICE=(); else DEVICE=(--cpu); fi
source examples/ddtp/steps.sh

refuse() { echo "$TASK: $*" >&2; exit 1; }

# check_settings: what would go wrong later is said before anything is written.
check_settings() {
  local name=${TASK^^} updates
  [ -n "$FILES" ] || refuse "$name is not set: it names the folder of XNLG's files; see examples/$TASK/README.md"
  for updates in "$STAGE1_UPDATES" "$STAGE2_UPDATES"; do
    [ "$WARMUP" -lt "$updates" ] ||
      refuse "WARMUP=$WARMUP: with $updates updates the learning rate would not reach its value"
  done
  case $CHOOSE in source | target) ;; *) refuse "CHOOSE=$CHOOSE: source or target" ;; esac
  check_backbone
}

# prepare: text and data-bin, by preprocess/{xgiga,xqg}.sh; both leave alone what is up to date.
prepare() {
  local options=(--data "$FILES" --backbone "$BACKBONE" --out "$OUT" --targets "${TARGETS// /,}")
  options+=(--mono "$MONO" --valid-items "$VALID_ITEMS" --workers "$WORKERS")
  [ -z "$TEST_ITEMS" ] || options+=(--test-items "$TEST_ITEMS")
  [ -z "${SEPARATOR:-}" ] || options+=(--separator "$SEPARATOR") # questions only
  [ -z "$TRANSLATED" ] || options+=(--translated "$TRANSLATED")
  reads_text || options+=(--pairs-only)
  say "data"
  "preprocess/$TASK.sh" "${options[@]}"
}

# stage2_at ROW RATE: finetune a row at one rate. ROW.translated trains on the translated pairs too.
stage2_at() {
  local row=$1 rate=$2 method=${1%.translated} langs=en_XX kind=monolingual tokens=$MAX_TOKENS
  local valid=en_XX options=(--criterion cross_entropy)
  [ "$row" = "$method" ] || { langs=$LANGS kind=pairs; }
  [ "$CHOOSE" = source ] || valid=${LANGS#en_XX,}
  case $method in
    laft)
      options+=(--removal "$REMOVAL" --language-components "$OUT/components.safetensors"
        --finetune-from-model "$OUT/laft/stage1/checkpoint_best.pt") ;;
    tm_adv*)
      langs=en_XX
      [ $kind = pairs ] || tokens=$((2 * MAX_TOKENS)) # half of the rows are not annotated
      options=(--criterion laft_adversarial --label-smoothing 0.1 --target-rows $kind
        --target-langs "${LANGS#en_XX,}") ;;
  esac
  train "$OUT/$row/rate-$rate" --task laft_generation --method "$method" --train-langs "$langs" \
    --valid-langs "$valid" --eval-rouge --eval-rouge-protocol xnlg --eval-rouge-beam "$BEAM" \
    --eval-rouge-lenpen "$LENPEN" --best-checkpoint-metric rougeL \
    --maximize-best-checkpoint-metric --max-tokens "$tokens" --update-freq "$UPDATE_FREQ" \
    --lr "$rate" --warmup-updates "$WARMUP" --total-num-update "$STAGE2_UPDATES" \
    --max-update "$STAGE2_UPDATES" "${options[@]}"
}

# stage2 ROW: finetune at every rate; ROW/stage2 is the one that validates best.
stage2() {
  local row=$1 rate best rates=
  for rate in $LRS; do
    step "$OUT/$row/rate-$rate/done" "stage 2, $row, learning rate $rate" stage2_at "$row" "$rate"
  done
  for rate in $LRS; do
    best=$(best_rouge "$OUT/$row/rate-$rate/train.log") # alone, or its failure would not stop this
    rates+="$rate"$'\t'"$best"$'\n'
  done
  printf '%s' "$rates" > "$OUT/$row/rates.tsv"
  rate=$(LC_ALL=C sort -s -k2,2gr "$OUT/$row/rates.tsv" | sed -n '1s/\t.*//p')
  say "learning rate of $row: $rate ($(paste -sd' ' "$OUT/$row/rates.tsv"))"
  ln -sfn "rate-$rate" "$OUT/$row/stage2"
}

# best_rouge LOG: the best validation ROUGE-L of a training.
best_rouge() {
  local found
  found=$(sed -nE "s/.*valid on 'valid' subset.*\| rougeL ([0-9.]+).*/\1/p" "$1" | LC_ALL=C sort -g)
  [ -n "$found" ] || refuse "$1: no validation ROUGE-L; remove its folder to train again"
  echo "${found##*$'\n'}"
}

# score ROW LANG: by XNLG's protocol, as the paper does, and by our own tokens.
score() {
  local row=$1 lang=$2 protocol
  for protocol in unicode xnlg; do
    laft score --generate-log "$OUT/$row/generate.$lang.log" --lang "$lang" --langs "$LANGS" \
      --protocol $protocol --ref "$RAW/$lang.test.tgt" --src "$RAW/$lang.test.src" --floors \
      --json "$OUT/$row/$protocol.$lang.json" > "$OUT/$row/$protocol.$lang.txt"
  done
  mv "$OUT/$row/xnlg.$lang.json" "$OUT/$row/score.$lang.json"
}

xnlg() {
  check_settings
  prepare
  [ -z "$TRANSLATED" ] || METHODS="$METHODS $(printf '%s.translated ' $METHODS)"
  [[ " $METHODS" != *" laft"* ]] ||
    step "$OUT/components.safetensors" "language components" components
  compare $TESTS
  say "results in $OUT"
  python examples/xnlg_table.py "$OUT" --rows "$METHODS" --langs "$TESTS" | tee "$OUT/table.md"
}
