#!/bin/sh
# check_pages.sh LESSON... checks that every lesson has its page, program and solutions, that the page names both programs,
# and that every file exists which a page names in backticks. (tests/prose.sh checks the links.)
# A block without a language is a command of build/ or follows a comment that names the program which prints it.
set -eu
cd "$(dirname "$0")"
fail=0
say() { echo "$1" >&2; fail=1; }
for lesson in "$@"; do
  for file in "$lesson.cpp" "$lesson.md" "solutions/$lesson.cpp"; do
    [ -f "$file" ] || say "$file is missing"
  done
  [ -f "$lesson.md" ] || continue
  for program in "tour_$lesson" "tour_solution_$lesson"; do
    grep -q "$program" "$lesson.md" || say "$lesson.md does not name $program"
  done
  grep -q "$lesson.md" README.md || say "README.md does not lead to $lesson.md"
  awk -v page="$lesson.md" '
    /^```/ { open = !open; plain = $0 == "```"; opened = FNR; marked = before ~ /-->$/ }
    open && plain && FNR == opened + 1 && !marked && !/^build\// {
      print page ":" FNR ": no comment above this block says which program prints it"
      failed = 1
    }
    { before = $0 }
    END { exit failed }' "$lesson.md" >&2 || fail=1
  # Checks words in backticks that look like a path of the project.
  for path in $(grep -o '`[a-z_0-9/]*[a-z_0-9]/[a-z_0-9./]*`' "$lesson.md" | tr -d '`' | grep -v '^build/' || true); do
    [ -e "$path" ] || [ -e "../../$path" ] || say "$lesson.md names $path, which is not there"
  done
done
exit $fail
