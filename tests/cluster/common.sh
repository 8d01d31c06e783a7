# What the scripts of this folder share. Sourced with the path of clr as $1.
set -u
clr=$1
top=$(mktemp -d)
failed=0

need() { # PROGRAM…: skips the test where one is missing
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "skipped: no $program"; exit 77; }
  done
}
fail() { echo "FAILED: $*"; failed=1; }

# Draws tasks, makes a backbone, and trains the run that the others must equal.
prepare() { # EPOCHS
  "$clr" demo-data "$top/data" --count 6 --images 40 --size 16 --quiet >/dev/null 2>&1
  "$clr" pretrain --data "$top/data" --task 03-strokes --arch resnet20 --size 16 --epochs 1 \
    --output "$top/backbone.safetensors" --quiet >/dev/null
  options="--size 16 --epochs $1 --threads 1 --device cpu --quiet"
  learn whole
}
learn() { # RUN [OPTION…]
  local run=$1
  shift
  # shellcheck disable=SC2086
  "$clr" train --backbone "$top/backbone.safetensors" --data "$top/data" --run "$top/$run" $options "$@" \
    >>"$top/$run.out" 2>&1
}
# Expects the task files of an undisturbed run, a table of as many tasks and nothing left over.
same_bytes() { # RUN [UNDISTURBED]
  local whole=$top/${2:-whole}
  for file in "$whole"/tasks/*.safetensors; do
    cmp -s "$file" "$top/$1/tasks/$(basename "$file")" || fail "$1: $(basename "$file") differs or is absent"
  done
  [ "$(wc -l <"$top/$1/results.csv")" = "$(wc -l <"$whole/results.csv")" ] || fail "$1: results.csv lacks tasks"
  [ -z "$(ls -A "$top/$1/state")" ] || fail "$1: state/ holds $(ls -A "$top/$1/state" | tr '\n' ' ')"
  [ -z "$(find "$top/$1" -name '.reprise-*')" ] || fail "$1: temporary files are left"
  echo "$1: compared"
}
