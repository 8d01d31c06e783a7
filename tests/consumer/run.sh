#!/bin/sh
# run.sh BUILD_DIR WORK_DIR:
# installs BUILD_DIR into WORK_DIR/install, then builds and runs the consumer against it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
work=$2
rm -rf "$work"
mkdir -p "$work/source"
cmake --install "$build" --prefix "$work/install" >/dev/null
cp "$here/main.cpp" "$work/source/main.cpp"
cp "$here/project.cmake" "$work/source/CMakeLists.txt"
cmake -S "$work/source" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/install" ${CONSUMER_FLAGS:-} >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/consumer"
