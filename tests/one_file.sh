#!/bin/sh
# Reads all of clr as one file: presets with a precompiled header compile several of its sources together (unity build), where
# equal names in their anonymous namespaces would collide. Ten seconds. `sh tests/one_file.sh [compiler]`
set -eu
cd "$(dirname "$0")/.."
find apps/clr -name '*.cpp' ! -path '*/audit/*' ! -name main.cpp | sort | sed 's|.*|#include "&"|' |
  "${1:-c++}" -std=c++20 -fsyntax-only -I. -DREPRISE_VERSION='""' -DREPRISE_BUILD_FLAGS='""' -x c++ -
