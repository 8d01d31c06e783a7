#!/bin/sh
# rehearse.sh CLR BENCH_STEP TEST_OPS TEST_CUDA: runs run.sh in small with the emulation's programs and
# imitations of NVIDIA's tools. Expects every step but PyTorch's to pass, then, with a sanitizer that
# finds a fault and without ncu, one failed step and one that is not possible.
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/tools"
for program in "$@"; do ln -s "$program" "$folder/bin/"; done

cat >"$folder/tools/nvidia-smi" <<'TOOL'
#!/bin/sh
echo "an emulated GPU, no driver"
TOOL
# Runs the program after the options, and lists two kernels as ncu does.
cat >"$folder/tools/ncu" <<'TOOL'
#!/bin/sh
while [ "${1#/}" = "$1" ] && [ ! -x "$1" ]; do shift; done
"$@" || exit 1
metrics='"gpu__time_duration.sum","dram__bytes.sum","launch__registers_per_thread","sm__warps_active.avg.pct_of_peak_sustained_active"'
echo "\"ID\",\"Kernel Name\",$metrics"
echo '"","","nsecond","Mbyte","register/thread","%"'
echo '"0","void reprise::kernels::cuda::element_kernel<int>(long, T1)","2,000","4.3","32","50"'
echo '"1","sm90_xmma_fprop","1,000","1","168","20"'
TOOL
cat >"$folder/tools/compute-sanitizer" <<'TOOL'
#!/bin/sh
[ "${SANITIZER_FINDS:-0}" = 0 ] || { echo "========= ERROR SUMMARY: 1 error"; exit 9; }
while [ ! -x "$1" ]; do shift; done
"$@" && echo "========= ERROR SUMMARY: 0 errors"
TOOL
chmod +x "$folder"/tools/*

expect() { # expect RESULT STEP...: those steps have that result
  result=$1
  shift
  for step in "$@"; do
    grep -q "^| $step | [0-9]* | $result |" "$folder/out/results.md" || {
      echo "rehearsal: $step is not '$result'"
      tail -n 60 "$folder/out/log.txt"
      exit 1
    }
  done
}

PATH="$folder/tools:$PATH"
export PATH SMALL=1
sh tests/gpu/run.sh "$folder/out" "$folder/bin"
expect ok libraries conv2d bench_resnet18_32 bench_resnet50_32 bench_resnet18_256 bench_resnet50_256 ops ops_plain \
  kernels hottest memcheck racecheck train_twice graph sealed
expect "not possible here" pytorch_eager pytorch_compiled
[ "$(find "$folder/out" -type f | wc -l)" -le 8 ] || { echo "rehearsal: more than 8 files"; exit 1; }
grep -q 'element_kernel: 0.002 ms of 0.003, 1 launches, 2150 GB/s (50 % of a copy)' "$folder/out/hottest.txt"

rm "$folder/tools/ncu"
export SANITIZER_FINDS=1 ONLY="hottest memcheck"
if sh tests/gpu/run.sh "$folder/out" "$folder/bin"; then echo "rehearsal: a fault was not reported"; exit 1; fi
expect "not possible here" hottest
expect "FAILED (9)" memcheck
