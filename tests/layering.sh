#!/bin/sh
# Includes may only point down: apps > layers, optim, data > engine/ops > autograd > kernels > core. Also: every file has
# at most 500 lines, every folder a README, and every environment variable of the table is read somewhere.
set -eu
cd "$(dirname "$0")/.."
failed=0

# forbid FOLDER PATTERN WHY: no file under FOLDER includes a path that matches PATTERN.
forbid() {
  if found=$(grep -rnE "#include \"($2)" "$1" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.def'); then
    echo "layering: $3"
    echo "$found"
    failed=1
  fi
}
forbid engine/core "engine/(autograd|kernels|ops)/|layers/|optim/|data/|apps/" "engine/core includes from above"
forbid engine/kernels "engine/(autograd|ops)/|layers/|optim/|data/|apps/" "engine/kernels includes from above"
forbid engine/autograd "engine/ops/|layers/|optim/|data/|apps/" "engine/autograd includes from above"
forbid engine/ops "layers/|optim/|data/|apps/" "engine/ops includes from above"
forbid layers "optim/|data/|apps/" "layers knows engine alone"
forbid optim "layers/|data/|apps/" "optim knows engine alone"
forbid data "layers/|optim/|apps/" "data knows engine alone"
forbid apps/clr/learn "apps/clr/(commands|report|audit|original|demo)/" "learn knows no command line"
forbid engine/kernels/ref "engine/kernels/(cpu|cuda)/" "the reference knows no other backend"

for file in $(git ls-files '*.h' '*.cpp' '*.cu' '*.py'); do
  lines=$(wc -l <"$file")
  if [ "$lines" -gt 500 ]; then
    echo "length: $file has $lines lines"
    failed=1
  fi
done

for folder in $(git ls-files '*.cpp' '*.h' '*.cu' '*.py' | xargs -n1 dirname | sort -u); do
  if [ ! -f "$folder/README.md" ]; then
    echo "readme: $folder has none"
    failed=1
  fi
done

for name in $(sed -n 's/^ *{"\(REPRISE_[A-Z0-9_]*\)",.*/\1/p' engine/core/env.cpp); do
  if ! git grep -qE "env_(flag|int|string)\(\"$name\"\)" -- engine layers optim data apps; then
    echo "environment: nothing reads $name"
    failed=1
  fi
done
[ "$failed" = 0 ] && echo "layering: ok"
exit "$failed"
