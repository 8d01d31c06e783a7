#!/bin/sh
# sh tests/gpu.sh [FOLDER], for a machine with a GPU: builds the CUDA backend, runs every test that
# needs a GPU, looks for memory faults and races, trains briefly on cuda and on cpu, and prints a
# short table. FOLDER, build/gpu by default, gets one log per part. A failure does not end the run;
# the exit status is 1 if anything failed.
set -u
cd "$(dirname "$0")/.."
out=${1:-build/gpu}
build=build/cuda
mkdir -p "$out"
table=""
failed=0

# part NAME COMMAND...: runs the command with its output in NAME.log, and adds a line to the table.
part() {
  name=$1
  shift
  start=$(date +%s)
  if "$@" >"$out/$name.log" 2>&1; then result=ok; else result="FAILED ($out/$name.log)"; failed=1; fi
  table="$table$(printf '%-26s %5d s  %s' "$name" $(($(date +%s) - start)) "$result")
"
  printf '%-26s %s\n' "$name" "$result"
}

part configure cmake --preset cuda -G Ninja -DREPRISE_BUILD_BENCH=ON
part build cmake --build "$build" --target test_ops test_cuda clr bench_step
[ "$failed" = 0 ] || { tail -n 40 "$out"/*.log; exit 1; }
clr=$build/apps/clr
ops=$build/tests/ops/test_ops

part memory "$build/tests/cuda/test_cuda"
part starts_without sh tests/cuda/starts_without.sh "$clr"
part ops "$ops" --device=cuda
part ops_without_libraries env REPRISE_CUDA_LIBRARIES=0 "$ops" --device=cuda
part ops_validated env REPRISE_VALIDATE=1 "$ops" --device=cuda --op=conv2d
if command -v compute-sanitizer >/dev/null; then
  for op in depthwise_conv2d batch_norm conv_block gather_images softmax argmax_rows max_pool2d linear norm; do
    part "memcheck_$op" compute-sanitizer --error-exitcode 9 "$ops" --device=cuda --op=$op
  done
  for op in batch_norm conv_block softmax argmax_rows matmul; do
    part "racecheck_$op" compute-sanitizer --tool racecheck --error-exitcode 9 env REPRISE_CUDA_LIBRARIES=0 \
      "$ops" --device=cuda --op=$op
  done
else
  echo "compute-sanitizer was not found: memory faults and races were not checked"
fi

# The same short training on both devices, twice on cuda: expects equal bits on cuda.
# The losses of both devices are logged.
demo=$out/demo
rm -rf "$demo"
part demo_data "$clr" demo-data "$demo/images" --count 2 --images 40 --size 32
first=$("$clr" tasks --data "$demo/images" --json | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' | head -n 1)
second=$("$clr" tasks --data "$demo/images" --json | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' | sed -n 2p)
part pretrain "$clr" pretrain --data "$demo/images" --task "$first" --arch resnet20 --epochs 3 \
  --output "$demo/backbone.safetensors" --device cuda
for run in cpu cuda cuda_again; do
  part "train_$run" "$clr" train --backbone "$demo/backbone.safetensors" --data "$demo/images" --tasks "$second" \
    --method clr --epochs 3 --log-steps "$out/losses_$run.csv" --run "$demo/$run" --device "${run%_again}"
done
for run in bf16 bf16_again; do
  part "train_$run" "$clr" train --backbone "$demo/backbone.safetensors" --data "$demo/images" --tasks "$second" \
    --method clr --epochs 3 --log-steps "$out/losses_$run.csv" --run "$demo/$run" --device cuda --dtype bf16
done
part equal_bits_bf16 cmp "$demo/bf16/tasks/$second.safetensors" "$demo/bf16_again/tasks/$second.safetensors"
part equal_bits cmp "$demo/cuda/tasks/$second.safetensors" "$demo/cuda_again/tasks/$second.safetensors"
part cross_evaluation "$clr" eval --run "$demo/cuda" --data "$demo/images" --device cpu

echo
printf '%s' "$table"
echo
tail -n 3 "$demo"/c*/results.csv 2>/dev/null
"$build/apps/bench/bench_step" --device cuda --arch resnet50 --steps 20
"$build/apps/bench/bench_step" --device cuda --arch resnet50 --steps 20 --tf32
"$build/apps/bench/bench_step" --device cuda --arch resnet50 --steps 20 --dtype bf16
exit "$failed"
