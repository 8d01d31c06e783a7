#!/bin/sh
# ptxas.sh COMPILER ARGUMENTS...: CMake's launcher of nvcc in the ci preset. Compiles, and puts what
# ptxas said of each kernel (-Xptxas=-v) into OBJECT.ptxas, which registers.py reads.
object=""
previous=""
for word in "$@"; do
  [ "$previous" = -o ] && object=$word
  previous=$word
done
[ -n "$object" ] || exec "$@"
"$@" 2>"$object.stderr"
status=$?
about='^ptxas info|bytes stack frame'
grep -E "$about" "$object.stderr" >"$object.ptxas"
grep -vE "$about" "$object.stderr" >&2
rm -f "$object.stderr"
exit "$status"
