#!/bin/sh
# Installs what is missing, builds everything, runs every test. `sh tests/run.sh [preset]`, release by default.
set -eu
cd "$(dirname "$0")/.."
preset=${1:-release}
sh third_party/install.sh tests
cmake --preset "$preset" -G Ninja
cmake --build "build/$preset"
ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --no-tests=error
