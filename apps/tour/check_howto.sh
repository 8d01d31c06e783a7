#!/bin/sh
# Checks that every path of the project which a how-to page names in backticks exists, that every link leads to a page, and
# that no page is longer than 65 lines. A page with a patch says how many lines the patch adds.
set -eu
cd "$(dirname "$0")/howto"
fail=0
say() { echo "$1" >&2; fail=1; }
for page in *.md; do
  [ "$(wc -l <"$page")" -le 65 ] || say "$page has more than 65 lines"
  [ "$page" = README.md ] || grep -q "($page)" README.md || say "README.md does not lead to $page"
  patch=${page%.md}.patch
  if [ -f "$patch" ]; then
    lines=$(($(grep -c '^+' "$patch") - $(grep -c '^+++ ' "$patch")))
    tr '\n' ' ' <"$page" | grep -q " $lines lines" || say "$page does not say that its patch adds $lines lines"
  fi
  for path in $(grep -o '`[.a-zA-Z_0-9/-]*`' "$page" | tr -d '`' |
    grep -E '^(\.\./)?(apps|data|engine|layers|optim|tests|third_party)[/_]' || true); do
    [ -e "../../../$path" ] || [ -e "$path" ] || say "$page names $path, which is not there"
  done
  for link in $(grep -o '](\([a-z_]*\.md\))' "$page" | tr -d '()]' || true); do
    [ -e "$link" ] || say "$page leads to $link, which is not there"
  done
done
exit $fail
