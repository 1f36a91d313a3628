# Shared by the recipes; source it. Steps are skipped when what they make is there already.
set -euo pipefail

say() { printf '\n[%s] %s\n' "$(date +%H:%M:%S)" "$*"; }

# step RESULT DESCRIPTION COMMAND...: run COMMAND unless RESULT exists, and record its seconds.
step() {
  local result=$1 description=$2 start=$SECONDS
  shift 2
  if [ -e "$result" ]; then
    say "$description: done before ($result)"
    return
  fi
  say "$description"
  "$@"
  if [ ! -e "$result" ]; then
    echo "$description ended without $result" >&2
    return 1
  fi
  mkdir -p "$OUT/seconds"
  echo "$((SECONDS - start))" > "$OUT/seconds/${result//\//_}"
}

# wait_for PID...: wait for all of them; fails if one did.
wait_for() {
  local pid failed=0
  for pid in "$@"; do
    wait "$pid" || failed=1
  done
  return "$failed"
}

# no_arguments FILE ARGUMENT...: recipes are set by variables; --help prints FILE's first comment.
no_arguments() {
  case ${2:-} in
    "") ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$1"; exit 0 ;;
    *) echo "$1: $2: settings are variables in the environment (--help)" >&2; exit 1 ;;
  esac
}

# check_backbone: BACKBONE is a folder with all that a recipe needs. Without langs.txt, as fairseq
# publishes mbart.cc25, the commands take that model's 25 languages.
check_backbone() {
  local file
  for file in model.pt dict.txt sentence.bpe.model; do
    [ -e "$BACKBONE/$file" ] ||
      { echo "$BACKBONE/$file: missing; BACKBONE names the folder" >&2; exit 1; }
  done
}

# reads_text: whether one of METHODS learns from unlabelled text.
reads_text() { [[ " $METHODS" =~ \ (laft|tm_adv) ]]; }

# train FOLDER OPTIONS...: a training that goes on from its last whole checkpoint if it was killed;
# FOLDER/done says that it came to its end.
train() {
  local folder=$1 log=$1/train.log before=0 said
  shift
  mkdir -p "$folder"
  [ ! -e "$log" ] || before=$(wc -l < "$log") # what earlier attempts said
  python -m examples.mend_checkpoints "$folder"
  if ! fairseq-train "$DATA" --user-dir "$USER_DIR" --arch "$ARCH" --backbone "$BACKBONE/model.pt" \
    --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 --lr-scheduler polynomial_decay \
    --save-dir "$folder" --save-interval-updates "${SAVE_UPDATES:-500}" --keep-interval-updates 1 \
    --no-epoch-checkpoints --num-workers 1 --seed "$SEED" \
    --log-format simple --log-interval 50 "${DEVICE[@]}" "$@" >> "$log" 2>&1
  then
    said=$(tail -n "+$((before + 1))" "$log")
    grep -E 'error|Error' <<< "$said" | tail -n 3 | cut -c1-400 >&2 || tail -n 5 <<< "$said" >&2
    echo "training failed: $log" >&2
    return 1
  fi
  touch "$folder/done"
  grep -E 'gone through|cut to|valid \|' "$log" | cut -d'|' -f4- | tail -n 6 || true
}

# One thread each: several of these run side by side.
generate_and_score() {
  local row=$1 lang=$2
  export OMP_NUM_THREADS=1
  step "$OUT/$row/generate.$lang.log" "generate, $row, $lang" generate "$row" "$lang"
  step "$OUT/$row/score.$lang.json" "score, $row, $lang" score "$row" "$lang"
}

# compare LANG...: train each of METHODS, count its parameters, generate and score in the languages.
# A row is a method, or METHOD.SETTING.
compare() {
  local row lang running
  for row in $METHODS; do
    [[ $row != laft* ]] || step "$OUT/laft/stage1/done" "stage 1, laft" stage1
    step "$OUT/$row/stage2/done" "stage 2, $row" stage2 "$row"
    running=()
    step "$OUT/$row/parameters.json" "count parameters, $row" parameters "$row" &
    running+=($!)
    for lang in "$@"; do
      generate_and_score "$row" "$lang" &
      running+=($!)
    done
    wait_for "${running[@]}"
  done
}
