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

# train FOLDER OPTIONS...: a training that goes on from its last checkpoint if it was killed;
# FOLDER/done says that it came to its end.
train() {
  local folder=$1
  shift
  mkdir -p "$folder"
  if ! fairseq-train "$DATA" --user-dir "$USER_DIR" --arch "$ARCH" --backbone "$BACKBONE/model.pt" \
    --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 --lr-scheduler polynomial_decay \
    --save-dir "$folder" --save-interval-updates 500 --keep-interval-updates 1 \
    --no-epoch-checkpoints --num-workers 1 --seed "$SEED" \
    --log-format simple --log-interval 50 "${DEVICE[@]}" "$@" >> "$folder/train.log" 2>&1
  then
    grep -E 'error|Error' "$folder/train.log" | tail -n 3 >&2 || tail -n 5 "$folder/train.log" >&2
    echo "training failed: $folder/train.log" >&2
    return 1
  fi
  touch "$folder/done"
  grep -E 'gone through|cut to|valid \|' "$folder/train.log" | cut -d'|' -f4- | tail -n 6 || true
}
