#!/bin/sh
# sh tests/gpu/steps.sh STEP: one step of run.sh, which sets BIN (the programs), OUT (results), WORK
# (a folder for the steps' files) and SMALL. Lines "=> ..." are for the table of results.
# Exits with 77 if the machine lacks a tool or refuses it.
set -u
if [ "$SMALL" = 1 ]; then
  images="--size 32 --steps 1 --warmup 1 --no-limits"; shards=2; few="--epochs 1 --steps 1 --batch 2 --max-images 20"; first="--device cpu --max-images 20"; demo=4
  some='relu.*:softmax.*:norm.*'
else
  images="--steps 20 --warmup 5"; shards=12; few="--epochs 2"; first="--device cuda"; demo=40
  some='depthwise_conv2d.*:batch_norm.*:conv_block.*:gather_images.*:softmax.*:argmax_rows.*:max_pool2d.*:linear.*:norm.*'
fi

need() { command -v "$1" >/dev/null 2>&1 || { echo "$1 was not found"; exit 77; }; }
# refused PATTERN FILE: exits with 77 if the file says that the machine does not allow the tool.
refused() { ! grep -m1 -E "$1" "$2" || exit 77; }

bench() { # bench ARCH BATCH OPTIONS...
  arch=$1 batch=$2
  shift 2
  [ "$SMALL" = 1 ] && arch=resnet20 batch=2
  # shellcheck disable=SC2086 # several words
  "$BIN/bench_step" --device cuda --dtype bf16 --arch "$arch" --batch "$batch" $images "$@" 2>&1
}

# ops NAME FILTER COMMAND...: runs the op cases that the filter names, shared out over processes.
ops() {
  name=$1 filter=$2
  shift 2
  i=0
  while [ "$i" -lt "$shards" ]; do
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i "$@" "$BIN/test_ops" --device=cuda \
      --gtest_filter="$filter-gradient.*" >"$WORK/$name.$i" 2>&1 || touch "$WORK/$name.failed" &
    i=$((i + 1))
  done
  wait
  cat "$WORK/$name".[0-9]*
  passed=$(cat "$WORK/$name".[0-9]* | grep -c '^\[       OK')
  failures=$(cat "$WORK/$name".[0-9]* | sed -n 's/^\[  FAILED  \] \(.*\) ([0-9]* ms)$/\1/p')
  echo "=> $passed cases ok, $(echo "$failures" | grep -c .) failed"
  # A test that began and did not end: its process died in it.
  awk '/^\[ RUN / { open[FILENAME] = $4 " " $5 " " $6 " " $7 } /^\[ .*(OK|FAILED|SKIPPED) / { delete open[FILENAME] }
    END { for (f in open) print "=> died in: " open[f] }' "$WORK/$name".[0-9]*
  echo "$failures" | head -n 5 | sed -n 's/^\(.\)/=> failed: \1/p'
  [ ! -e "$WORK/$name.failed" ] && [ "$passed" -gt 0 ]
}

sanitize() { # sanitize TOOL OPS ENVIRONMENT...: compute-sanitizer's environment is set outside of it
  tool=$1 filter=$2
  shift 2
  need compute-sanitizer
  ops "$tool" "$filter" env "$@" compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 9
  status=$?
  [ "$status" = 0 ] || status=9
  cat "$WORK/$tool".[0-9]* >"$WORK/$tool.all"
  refused "Device not supported|Unable to find|not supported on this" "$WORK/$tool.all"
  echo "=> $(grep -h 'ERROR SUMMARY\|RACECHECK SUMMARY' "$WORK/$tool.all" | sed 's/=* *//' | sort | uniq -c |
    sed 's/^ *//' | paste -sd';')"
  return "$status"
}

train() { # train NAME OPTIONS...: the second demo task on the first one's network
  name=$1
  shift
  # shellcheck disable=SC2086
  "$BIN/clr" train --backbone "$WORK/backbone" --data "$WORK/images" --tasks "$(task 2)" --method clr $few \
    --device cuda --run "$WORK/run_$name" --quiet "$@"
}
task() { # the name of the n-th demo task
  "$BIN/clr" tasks --data "$WORK/images" --json | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' | sed -n "$1p"
}
same() { # same NAME NAME: expects equal task files
  cmp "$WORK/run_$1/tasks/$(task 2).safetensors" "$WORK/run_$2/tasks/$(task 2).safetensors" && echo "=> $1 and $2: equal bits"
}

pytorch() { # pytorch VARIANT
  need python3
  python3 -c 'import torch, torchvision; assert torch.cuda.is_available()' || exit 77
  python3 -u apps/bench/compare_pytorch.py --bench "$BIN/bench_step" --device cuda --dtype bf16 --rounds 1 \
    --cases 0,4,1,5 --variants "$1" 2>&1 | tee "$WORK/pytorch"
  grep '^| resnet' "$WORK/pytorch" | awk -F' *[|] *' '{print "=> " $2 " batch " $5 ": " $6 " images/s, PyTorch " $9 ", ratio " $11}'
  grep -q '^PyTorch' "$WORK/pytorch"
}

case $1 in
  libraries)
    # The libraries that came with Python's packages, for the programs and for a build here.
    python3 - >"$WORK/found" <<'PYTHON' || : >"$WORK/found"
import glob, importlib.util
spec = importlib.util.find_spec("nvidia")
roots = list(spec.submodule_search_locations) if spec else []
for name in ("libcudnn.so.9", "libcublasLt.so.*"):
    for root in roots:
        for path in sorted(glob.glob(f"{root}/*/lib/{name}"))[:1]:
            print("lib", path.rsplit("/", 1)[0])
for root in roots:
    for path in sorted(glob.glob(f"{root}/*/include/cudnn.h"))[:1]:
        print("include", path.rsplit("/", 1)[0])
PYTHON
    libs=$(sed -n 's/^lib //p' "$WORK/found" | sort -u | paste -sd:)
    {
      echo "export LD_LIBRARY_PATH='$libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}'"
      echo "export CUDNN_INCLUDE='$(sed -n 's/^include //p' "$WORK/found" | head -n 1)'"
    } >"$WORK/paths"
    cat "$WORK/paths"
    need nvidia-smi
    nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.max.sm --format=csv,noheader | sed 's/^/=> /'
    echo "=> libraries from Python: ${libs:-none}"
    ;;
  build)
    options="-DREPRISE_CUDA=ON -DREPRISE_MINIMAL=ON -DREPRISE_BUILD_BENCH=ON -DCMAKE_PREFIX_PATH=$PWD/$DEPENDENCIES/usr"
    [ -n "${CUDNN_INCLUDE:-}" ] && options="$options -DCUDNN_INCLUDE_DIR=$CUDNN_INCLUDE"
    # shellcheck disable=SC2086
    cmake -S . -B "$BIN" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES=native $options &&
      cmake --build "$BIN" --target test_ops test_cuda clr bench_step &&
      ln -sf apps/clr apps/bench/bench_step tests/ops/test_ops tests/cuda/test_cuda "$BIN/"
    ;;
  conv2d)
    filter='conv2d.*'
    [ "$SMALL" = 1 ] && filter='conv2d.x=2x*x3 *'
    REPRISE_DEBUG=1 "$BIN/test_ops" --device=cuda --op=conv2d --gtest_filter="$filter" >"$WORK/conv2d" 2>&1
    status=$?
    cat "$WORK/conv2d"
    echo "=> $(grep -c '^\[       OK' "$WORK/conv2d") cases ok; algorithms by pass and dtype: $(grep '^\[cudnn\]' "$WORK/conv2d" |
      sed -n 's/^\[cudnn\] \([a-z]* [a-z0-9]*\) .*: algorithm \([0-9]*\).*/\1 \2/p' | sort | uniq -c | awk '{print $2, $3 "#" $4 " x" $1}' | paste -sd,)"
    echo "=> algorithms left out: $(grep -c 'is left out$' "$WORK/conv2d"), shapes with a plain kernel: $(grep -c '^\[fallback\]' "$WORK/conv2d")"
    grep -q '^\[       OK' "$WORK/conv2d" || status=1
    exit "$status"
    ;;
  bench_*)
    name=${1#bench_}
    bench "${name%_*}" "${name#*_}" | tee "$WORK/bench" && sed -n 's/^  /=> /p' "$WORK/bench" && grep -q images/s "$WORK/bench"
    ;;
  ops)
    filter='*'
    [ "$SMALL" = 1 ] && filter=$some
    ops ops "$filter" env
    ;;
  ops_plain)
    filter='*conv*:linear.*:matmul.*'
    [ "$SMALL" = 1 ] && filter='linear.*:matmul.*'
    ops plain "$filter" env REPRISE_CUDA_LIBRARIES=0
    ;;
  kernels)
    REPRISE_GRAPH=0 REPRISE_DEBUG=2 bench resnet18 32 --no-limits >"$OUT/kernels.txt" 2>&1
    status=$?
    cat "$OUT/kernels.txt"
    grep -E ' cuda ' "$OUT/kernels.txt" | head -n 8 |
      awk '{ printf "=> %s %s: %s ms, %s %%, %s calls, %s GB/s (%d %% of a copy)\n", $8, $10, $1, $2, $4, $6, $6 / 43 }'
    exit "$status"
    ;;
  hottest)
    need ncu
    # One step, launch by launch.
    images="--arch resnet18 --batch 32"
    [ "$SMALL" = 1 ] && images="--arch resnet20 --batch 2 --size 32"
    REPRISE_GRAPH=0
    export REPRISE_GRAPH
    # shellcheck disable=SC2086
    ncu --clock-control none --target-processes all --launch-count 1200 --csv --page raw --metrics \
      gpu__time_duration.sum,dram__bytes.sum,launch__registers_per_thread,sm__warps_active.avg.pct_of_peak_sustained_active \
      "$BIN/bench_step" --device cuda --dtype bf16 $images --steps 1 --warmup 0 --no-limits >"$WORK/ncu" 2>&1
    status=$?
    refused "LibraryNotLoaded|ERR_NVGPUCTRPERM|No kernels were profiled" "$WORK/ncu"
    python3 tests/gpu/hottest.py "$WORK/ncu" >"$OUT/hottest.txt" || status=1
    tail -n 20 "$WORK/ncu" | cut -c1-300
    cat "$OUT/hottest.txt"
    head -n 5 "$OUT/hottest.txt" | sed 's/^/=> /'
    exit "$status"
    ;;
  # One exact allocation a tensor, so that a read after its end is seen too.
  memcheck) sanitize memcheck "$some" REPRISE_CUDA_EXACT=1 ;;
  racecheck)
    filter='batch_norm.*:conv_block.*:softmax.*:argmax_rows.*:matmul.*'
    [ "$SMALL" = 1 ] && filter=$some
    sanitize racecheck "$filter" REPRISE_CUDA_LIBRARIES=0
    ;;
  train_twice)
    # shellcheck disable=SC2086
    "$BIN/clr" demo-data "$WORK/images" --count 2 --images "$demo" --size 32 --quiet &&
      "$BIN/clr" pretrain --data "$WORK/images" --task "$(task 1)" --arch resnet20 --epochs 1 --output "$WORK/backbone" \
        $first --quiet &&
      train f32 && train f32_again && same f32 f32_again &&
      train bf16 --dtype bf16 && train bf16_again --dtype bf16 && same bf16 bf16_again &&
      "$BIN/clr" eval --run "$WORK/run_f32" --data "$WORK/images" --device cpu
    ;;
  graph)
    REPRISE_GRAPH=0
    export REPRISE_GRAPH
    train f32_plain && same f32 f32_plain && train bf16_plain --dtype bf16 && same bf16 bf16_plain
    ;;
  pytorch_eager) pytorch eager ;;
  pytorch_compiled) pytorch compiled ;;
  sealed)
    "$BIN/test_cuda" --gtest_filter='*Sealed*' >"$WORK/sealed" 2>&1
    status=$?
    cat "$WORK/sealed"
    echo "=> $(grep -c '^\[       OK' "$WORK/sealed") tests ok"
    exit "$status"
    ;;
  *) echo "steps.sh: there is no step '$1'"; exit 2 ;;
esac
