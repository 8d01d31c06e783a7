#!/bin/sh
# sh tests/run.sh [PRESET]: installs what is missing, builds everything, runs every test.
# The default preset is release.
set -eu
cd "$(dirname "$0")/.."
preset=${1:-release}
sh third_party/install.sh tests
cmake --preset "$preset" -G Ninja
cmake --build "build/$preset"
ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --no-tests=error
