#!/bin/sh
# run.sh BUILD_DIR WORK_DIR:
# installs BUILD_DIR into WORK_DIR/install, then builds and runs the consumer against it.
# Every installed header must compile without another before it, and a package without CUDA must not ask for it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
work=$2
rm -rf "$work"
mkdir -p "$work/source"
cmake --install "$build" --prefix "$work/install" >/dev/null
fail=0
# A header that comes first in its own .cpp has compiled in the build. Others are compiled here. Both may only
# include what is installed too.
include=$work/install/include/reprise
for header in $(cd "$include" && find . -name '*.h' | sed 's|^\./||' | sort); do
  for other in $(sed -n 's/^#include "\(.*\)"/\1/p' "$include/$header"); do
    [ -f "$include/$other" ] || { echo "$header is installed and includes $other, which is not" >&2; fail=1; }
  done
  source=$here/../../${header%.h}.cpp
  [ -f "$source" ] && [ "$(grep -m1 '^#include' "$source")" = "#include \"$header\"" ] && continue
  echo "#include \"$header\"" >"$work/source/header.cpp"
  ${CXX:-c++} -std=c++20 -fsyntax-only -I"$include" "$work/source/header.cpp" || {
    echo "$header does not compile as the first header" >&2
    fail=1
  }
done
if grep -qi '^REPRISE_CUDA:.*=\(OFF\|EMULATED\)' "$build/CMakeCache.txt" &&
  grep -rni cuda "$work/install/lib"*/cmake/reprise >&2; then
  echo "the package was built without CUDA and asks for it" >&2
  fail=1
fi
[ "$fail" = 0 ] || exit 1
cp "$here/main.cpp" "$work/source/main.cpp"
cp "$here/project.cmake" "$work/source/CMakeLists.txt"
cmake -S "$work/source" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/install" ${CONSUMER_FLAGS:-} >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/consumer"
