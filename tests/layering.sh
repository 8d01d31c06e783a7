#!/bin/sh
# Checks four rules of the house. Includes only point down (apps > layers, optim,
# data > engine/cases > ops > autograd > kernels > core, base). No budget of lines is exceeded.
# Every folder has a README. Every environment variable of the table is read somewhere.
set -eu
cd "$(dirname "$0")/.."
failed=0

# forbid FOLDER PATTERN WHY: fails if a file under FOLDER includes a path that matches PATTERN.
forbid() {
  [ -d "$1" ] || return 0
  if found=$(grep -rnE "#include [\"<]($2)" "$1" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.def'); then
    echo "layering: $3"
    echo "$found"
    failed=1
  fi
}
for low in base core; do
  forbid engine/$low "engine/(autograd|kernels|ops|cases)/|layers/|optim/|data/|apps/" "engine/$low includes from above"
done
forbid engine/kernels "engine/(autograd|ops|cases)/|layers/|optim/|data/|apps/" "engine/kernels includes from above"
forbid engine/autograd "engine/(ops|cases)/|layers/|optim/|data/|apps/" "engine/autograd includes from above"
forbid engine/ops "engine/cases/|layers/|optim/|data/|apps/" "engine/ops includes from above"
forbid engine/cases "layers/|optim/|data/|apps/|tests/" "engine/cases includes from above"
forbid layers "engine/cases/|optim/|data/|apps/" "layers only knows engine"
forbid optim "engine/cases/|layers/|data/|apps/" "optim only knows engine"
forbid data "engine/cases/|layers/|optim/|apps/" "data only knows engine"
forbid apps/clr/learn "CLI/|apps/clr/(commands|report|audit|original|demo)/" "learn includes nothing of the command line"
forbid engine/kernels/ref "engine/kernels/(cpu|cuda)/" "the reference knows no other backend"

# Budgets of lines, over all C++ and CUDA outside tests/. Columns:
# the limit; `sum` of the files or the `largest` of them; a pattern of their paths;
# a pattern of excluded paths; a name. core's budget applies if engine/base exists.
core=$([ -d engine/base ] && echo 1650 || echo none)
git ls-files '*.h' '*.cpp' '*.cu' '*.def' ':!tests/' | xargs wc -l | awk -v budgets="
  $core sum     ^engine/(core|autograd)/        -                                 core + autograd
  18450 sum     ^engine/                        ^engine/cases/                    engine without cases
  6950  sum     ^engine/kernels/cpu/            -                                 kernels/cpu
  1600  sum     ^engine/cases/                  -                                 cases
  8060  sum     ^data/                          -                                 data
  14950 sum     ^apps/clr/                      -                                 apps/clr
  48600 sum     .                               ^engine/cases/                    all without cases
  100   sum     ^engine/kernels/kernels.def     -                                 kernels.def
  220   largest ^engine/ops/.*cpp               -                                 an op
  60    largest ^layers/reprogramming/.*cpp     ^layers/reprogramming/method.cpp  a method
  280   largest ^apps/clr/commands/.*cpp        -                                 a command
  400   largest .                               -                                 a file" '
  $2 != "total" { lines[$2] = $1 }
  END {
    for (n = split(budgets, budget, "\n"); ++i <= n;) {
      if (split(budget[i], b, " ") < 5 || b[1] == "none") continue
      name = budget[i]; used = 0; file = ""
      for (k = 1; k < 5; ++k) sub(/^ *[^ ]+ +/, "", name)
      for (f in lines)
        if (f ~ b[3] && (b[4] == "-" || f !~ b[4])) {
          if (b[2] == "sum") used += lines[f]
          else if (lines[f] > used) { used = lines[f]; file = f }
        }
      over = used + 0 > b[1] + 0; failed += over
      printf "%-22s %6d of %6d %s%s\n", name, used, b[1], over ? " EXCEEDED" : "", file == "" ? "" : "  " file
    }
    exit failed > 0
  }' || failed=1

for file in $(git ls-files 'tests/*.h' 'tests/*.cpp' '*.py'); do
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

for name in $(sed -n 's/^ *{"\(REPRISE_[A-Z0-9_]*\)",.*/\1/p' engine/*/env.cpp); do
  if ! git grep -qE "env_(flag|int|string)\(\"$name\"\)" -- engine layers optim data apps; then
    echo "environment: nothing reads $name"
    failed=1
  fi
done
[ "$failed" = 0 ] && echo "layering: ok"
exit "$failed"
