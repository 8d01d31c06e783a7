#!/bin/sh
# sh tests/gpu/run.sh OUT [BIN]: what a few minutes on a machine with a GPU prove and measure.
# BIN, build/gpu-carried by default, is what prepare.sh made; without programs that start there,
# they are built here. Each step has a time limit, and its line is appended to OUT/results.md when
# it ends. OUT/log.txt gets all output. The exit status is 1 if a step failed.
# SMALL=1: tiny networks and few cases, to rehearse the script in the emulation.
set -u
cd "$(dirname "$0")/../.."
[ $# -ge 1 ] || { echo "usage: sh tests/gpu/run.sh OUT [BIN]" >&2; exit 2; }
mkdir -p "$1" || exit 2
OUT=$(cd "$1" && pwd)
BIN=${2:-build/gpu-carried}
SMALL=${SMALL:-0}
TOTAL=${TOTAL:-480} # seconds for everything
ONLY=${ONLY:-}      # the names of the only steps to run; all if empty
export OUT BIN SMALL

begin=$(date +%s)
failed=0
results=$OUT/results.md
{
  echo "| step | seconds | result | what was seen |"
  echo "| --- | ---: | --- | --- |"
} >"$results"
: >"$OUT/log.txt"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WORK="$work"

# step NAME LIMIT: runs a step of steps.sh for at most LIMIT seconds, and leaves 20 of TOTAL for the
# last step. Status 77 means that the machine has no such tool or refuses it.
# Lines "=> ..." of the output go into the table.
step() {
  [ -z "$ONLY" ] || case " $ONLY libraries build " in *" $1 "*) ;; *) return ;; esac
  limit=$2
  left=$((TOTAL - 20 - $(date +%s) + begin))
  [ "$1" = sealed ] && left=$((left + 20))
  [ "$limit" -gt "$left" ] && limit=$left
  start=$(date +%s)
  status=125
  [ "$limit" -gt 0 ] && { timeout -k 5 "$limit" sh tests/gpu/steps.sh "$1" >"$work/step.log" 2>&1; status=$?; }
  case $status in
    0) result=ok ;;
    77) result="not possible here" ;;
    124 | 137) result="STOPPED after $limit s" failed=1 ;;
    125) result="left out: $TOTAL s are over" failed=1; : >"$work/step.log" ;;
    *) result="FAILED ($status)" failed=1 ;;
  esac
  seen=$(sed -n 's/^=> //p' "$work/step.log" | tr '|' '/' | paste -sd'~' | sed 's/~/<br>/g')
  [ "$status" = 0 ] || seen="$seen $(grep -av "^=> " "$work/step.log" | tail -n 3 | paste -sd' ' | cut -c1-240 | tr '|' '/')"
  line="| $1 | $(($(date +%s) - start)) | $result | $seen |"
  echo "$line" >>"$results"
  echo "$line"
  { echo "===== $1: $result"; tail -c 400000 "$work/step.log"; } >>"$OUT/log.txt"
}

step libraries 20
[ -f "$work/paths" ] && . "$work/paths"
# Programs for another system do not start: then all are built here.
if ! "$BIN/test_ops" --mode=support >/dev/null 2>&1; then
  export DEPENDENCIES="$BIN/dependencies"
  BIN=build/gpu-here
  step build 240
fi
step conv2d 60
for case in resnet18_32 resnet50_32 resnet18_256 resnet50_256; do step "bench_$case" 40; done
step ops 120
step ops_plain 90
step kernels 40
step hottest 75
step memcheck 75
step racecheck 60
step train_twice 60
step graph 30
step pytorch_eager 75
step pytorch_compiled 150
step sealed 20
echo "total: $(($(date +%s) - begin)) s" | tee -a "$OUT/log.txt"
exit "$failed"
