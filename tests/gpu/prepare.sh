#!/bin/sh
# sh tests/gpu/prepare.sh [FOLDER]: builds the programs that run.sh needs, for compute capability 9.0,
# into FOLDER (build/gpu-carried by default): stripped, with the libraries that they need in lib/,
# found through $ORIGIN/lib. dependencies/ gets the headers with which another machine can build them.
# EMULATED=1 takes the emulation's programs from BUILD (build/em by default), to rehearse run.sh.
set -eu
cd "$(dirname "$0")/../.."
to=${1:-build/gpu-carried}
limit=$((60 << 20)) # bytes
if [ "${EMULATED:-0}" = 1 ]; then
  build=${BUILD:-build/em}
else
  build=build/gpu
  cmake --preset gpu -G Ninja
  cmake --build "$build" --target test_ops test_cuda clr bench_step
fi

rm -rf "$to"
mkdir -p "$to/lib"
for program in apps/clr apps/bench/bench_step tests/ops/test_ops tests/cuda/test_cuda; do
  cp "$build/$program" "$to/"
  strip "$to/${program##*/}"
done
# All shared libraries but those of the C library, which belong to the system's loader.
for library in $(ldd "$to"/clr "$to"/bench_step "$to"/test_ops "$to"/test_cuda | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u); do
  case ${library##*/} in
    libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so*) ;;
    *) cp -L "$library" "$to/lib/" ;;
  esac
done
for program in "$to"/*; do
  [ -f "$program" ] || continue
  readelf -d "$program" | grep -q 'RUNPATH\|RPATH' || { echo "$program has no run path" >&2; exit 1; }
  readelf -d "$program" | grep -q 'ORIGIN/lib' || { echo "$program does not look in \$ORIGIN/lib" >&2; exit 1; }
done

# What a build on another machine includes and links, with its CMake packages.
if command -v dpkg >/dev/null; then
  dpkg -L libfmt-dev libfmt9 libcli11-dev nlohmann-json3-dev libgtest-dev libstb-dev 2>/dev/null |
    grep -E '^/usr/(include|lib|share/cmake)' | while read -r file; do
    if [ -f "$file" ]; then mkdir -p "$to/dependencies${file%/*}"; cp -d "$file" "$to/dependencies$file"; fi
  done
fi
bytes=$(du -sb "$to" | cut -f1)
echo "$to: $bytes bytes of at most $limit"
[ "$bytes" -le "$limit" ]
