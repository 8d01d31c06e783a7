#!/bin/sh
# starts_without.sh PROGRAM: checks that the program needs no CUDA library to start,
# works without a GPU, and explains in one message why --device cuda does not work.
set -eu
program=$1

needed=$(LC_ALL=C readelf -d "$program" | grep NEEDED || true)
if echo "$needed" | grep -iE 'cuda|cudnn|cublas'; then
  echo "the program needs a library of CUDA to start"
  exit 1
fi

unset LD_LIBRARY_PATH
CUDA_VISIBLE_DEVICES=
export CUDA_VISIBLE_DEVICES
"$program" --version >/dev/null
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
"$program" pretrain --arch resnet20 --data "$folder" --task t --output "$folder/b" --device cuda >"$folder/out" 2>"$folder/err" || status=$?
cat "$folder/err"
[ "$status" = 1 ] || { echo "expected exit status 1, got $status"; exit 1; }
grep -q -- '--device cuda' "$folder/err" || { echo "the message does not name the device"; exit 1; }
grep -q -- 'cpu' "$folder/err" || { echo "the message names no way out"; exit 1; }
