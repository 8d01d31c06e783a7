#!/bin/sh
# check_printed.sh PAGE NAME COMMAND...: runs COMMAND, which must succeed, and compares its standard output
# with the block of PAGE that follows the comment
#
#   <!-- printed by NAME[, the end]
#   within BOUND[ without FMA]: REGEX
#   digests without FMA -->
#
# "the end": the block has only the last lines. Line for line, text and numbers must be equal, spaces apart.
# In a line of the page that matches REGEX, numbers may differ by BOUND: an amount, or a factor such as 3x.
# "without FMA": only on processors without AVX2, or with REPRISE_CPU_ISA=portable, where sums round
# differently. "digests": words of eight hexadecimal digits may then differ.
set -eu
page=$1
name=$2
shift 2
fma=no
if [ "${REPRISE_CPU_ISA:-}" != portable ] && grep -qw avx2 /proc/cpuinfo 2>/dev/null; then fma=yes; fi
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
"$@" >"$printed" || {
  cat "$printed"
  echo "$name failed" >&2
  exit 1
}
awk -v hex="$(printf "[0-9a-f]%.0s" 1 2 3 4 5 6 7 8)" -v name="$name" -v page="$page" -v fma=$fma '
  function bare(line) { gsub(/[ \t]+/, " ", line); sub(/ $/, "", line); return line }
  # Tells whether numbers a and b, texts, are as near as `bound` allows.
  function near(a, b, bound,   ratio) {
    if (a == b) return 1
    if (bound !~ /x$/) return a - b <= bound + 0 && b - a <= bound + 0
    if (a * b <= 0) return 0
    ratio = a / b
    return ratio <= bound + 0 && 1 / ratio <= bound + 0
  }
  # Tells whether the line got is the page line want, number by number where a bound applies.
  function same(want, got,   i, bound, number, a, b) {
    want = bare(want); got = bare(got)
    if (digests) { gsub(hex, "digest", want); gsub(hex, "digest", got) }
    if (want == got) return 1
    for (i = 1; i <= bounds && bound == ""; ++i) if (want ~ regex[i]) bound = width[i]
    if (bound == "") return 0
    number = "-?[0-9]+(\\.[0-9]+)?(e[-+][0-9]+)?"
    while (match(want, number)) {
      a = substr(want, RSTART, RLENGTH)
      i = substr(want, 1, RSTART - 1)
      want = substr(want, RSTART + RLENGTH)
      if (!match(got, number) || substr(got, 1, RSTART - 1) != i) return 0
      b = substr(got, RSTART, RLENGTH)
      got = substr(got, RSTART + RLENGTH)
      if (!near(a, b, bound)) return 0
    }
    return want == got
  }
  FNR == NR { out[++lines] = $0; next }
  state == 0 && index($0, "<!-- printed by " name) == 1 && substr($0, 17 + length(name)) ~ /^(,| |$)/ {
    state = 1
    end = /, the end/
    found = 1
  }
  state == 1 {
    applies = !/ without FMA/ || fma == "no"
    if (/^within / && applies) {
      i = index($0, ": ")
      regex[++bounds] = substr($0, i + 2)
      sub(/ -->$/, "", regex[bounds])
      split($0, word, "[ :]")
      width[bounds] = word[2]
    }
    if (/^digests/ && applies) digests = 1
    if (/-->$/) state = 2
    next
  }
  state == 2 && /^```/ { state = 3; next }
  state == 3 && /^```/ { state = 4; next }
  state == 3 { block[++n] = $0; at[n] = FNR }
  END {
    if (!found) { print page ": has no comment \"<!-- printed by " name " -->\""; exit 1 }
    if (n == 0) { print page ": no block follows the comment on " name; exit 1 }
    first = end ? lines - n : 0
    if (first < 0 || (!end && lines != n)) {
      print page ": the block has " n " lines, " name " printed " lines; failed = 1
    }
    for (i = 1; i <= n; ++i)
      if (!same(block[i], out[first + i])) {
        print page ":" at[i] ": the page has\n  " block[i] "\n" name " prints\n  " out[first + i]
        failed = 1
      }
    if (failed) print "Put what " name " prints on the page, and read whether the text around it still holds."
    exit failed
  }' "$printed" "$page" >&2 || exit 1
