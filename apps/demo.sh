#!/bin/sh
# sh apps/demo.sh [FOLDER [CLR]]: a demonstration from an empty folder to learned tasks.
# Installs what is missing, builds, and draws example tasks. Trains a small backbone
# on one of them and freezes it. Learns the others with CLR and with a linear head.
# Evaluates all of them, prints a table and writes a report page. FOLDER is build/demo by default.
# With the program CLR nothing is installed or built.
set -eu
cd "$(dirname "$0")/.."
demo=${1:-build/demo}
clr=${2:-build/release/apps/clr}
if [ $# -lt 2 ]; then
  sh third_party/install.sh build
  # The CUDA kernels take minutes to compile, so they are built only if there is a GPU.
  cuda=OFF
  if nvidia-smi -L >/dev/null 2>&1 || [ -e /dev/nvidia0 ]; then cuda=AUTO; fi
  cmake --preset release -G Ninja -DREPRISE_BUILD_TESTS=OFF -DREPRISE_BUILD_BENCH=OFF -DREPRISE_CUDA=$cuda >/dev/null
  cmake --build build/release --target clr
fi
rm -rf "$demo"
mkdir -p "$demo"

"$clr" demo-data "$demo/images" --count 7 --images 40 --size 32
first=$("$clr" tasks --data "$demo/images" --json | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' | head -n 1)
others=$("$clr" tasks --data "$demo/images" --json | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' | tail -n +2 | paste -sd, -)

"$clr" pretrain --data "$demo/images" --task "$first" --arch resnet20 --epochs 10 --output "$demo/backbone.safetensors"
for method in clr linear; do
  "$clr" train --backbone "$demo/backbone.safetensors" --data "$demo/images" --tasks "$others" --method "$method" \
    --epochs 15 --run "$demo/$method"
  "$clr" eval --run "$demo/$method" --data "$demo/images" >/dev/null
done
"$clr" report "$demo/clr" "$demo/linear" --html "$demo/report.html" --require-better --require-no-forgetting
