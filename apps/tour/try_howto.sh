#!/bin/sh
# try_howto.sh BUILD WORK [PAGE...]: does in a scratch tree, WORK, what the pages of howto/ say.
# Applies the patch of every page that has one, each after the other. Compiles what the patches change;
# objects that they do not change come from BUILD, a build of this tree by Ninja. Then runs the page's
# commands: the blocks after <!-- runs -->, or <!-- runs, and fails --> where the last command must fail.
# The block after <!-- printed by PAGE --> must be what the last of them prints (check_printed.sh): on
# standard output, or on standard error where it fails.
set -eu
tour=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$tour/../.." && pwd)
build=$(cd "$1" && pwd)
work=$2
shift 2
[ $# -gt 0 ] || set -- add_an_op add_a_fast_kernel add_a_layer add_a_method add_an_architecture \
  add_a_data_set_layout debug_a_nan read_an_error
rm -rf "$work"
mkdir -p "$work"
work=$(cd "$work" && pwd)
(cd "$source" && tar cf - --exclude=./build --exclude=./.git .) | (cd "$work" && tar xf -)
cd "$work"
scratch=build/release  # as in the pages

echo tests/fuzz/seeds.cpp >changed  # its object has the path of the tree that has the seeds
for page in "$@"; do
  [ -f "$tour/howto/$page.patch" ] || continue
  patch -p1 -s <"$tour/howto/$page.patch" || {
    echo "howto/$page.patch does not apply any more: do again what $page.md says, and write the difference there" >&2
    exit 1
  }
  sed -n 's|^+++ b/||p' "$tour/howto/$page.patch" >>changed
done

setting() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
cmake -S . -B $scratch -G 'Unix Makefiles' -DREPRISE_PCH=OFF -DREPRISE_BUILD_BENCH=OFF \
  -DREPRISE_CUDA="$(setting REPRISE_CUDA)" -DREPRISE_MINIMAL="$(setting REPRISE_MINIMAL)" \
  -DREPRISE_WERROR="$(setting REPRISE_WERROR)" -DCMAKE_BUILD_TYPE="$(setting CMAKE_BUILD_TYPE)" \
  -DCMAKE_CXX_COMPILER="$(setting CMAKE_CXX_COMPILER)" -DCMAKE_CXX_FLAGS="$(setting CMAKE_CXX_FLAGS)" \
  -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" >log 2>&1 ||
  { cat log; exit 1; }

# Copies the objects that depend on none of the changed files, as the log of Ninja knows.
ninja -C "$build" -t deps | awk -v source="$source/" '
  FNR == NR { changed[$0] = 1; next }
  /^[^ ]/ { if (object != "" && !stale) print object; object = $1; sub(/:$/, "", object); stale = / \(STALE\)/; next }
  NF {
    path = $1
    if (index(path, source) == 1) path = substr(path, length(source) + 1)
    sub(/^(\.\.\/)+/, "", path)
    if (path in changed) stale = 1
  }
  END { if (object != "" && !stale) print object }' changed - |
  grep -E '^(engine|layers|optim|data|apps/CMakeFiles/(reprise_clr_core|clr)|tests/(ops|layers|data|fuzz)/)' >objects
(cd "$build" && tar cf - -T "$work/objects") | (cd $scratch && tar xf - -m)
echo "$(wc -l <objects) objects of $build serve"
cmake --build $scratch --target test_ops test_layers test_data test_fuzz clr -- -j2 >log 2>&1 || { cat log; exit 1; }
echo "$(grep -c 'Building CXX' log) files compiled"

PATH=$work/$scratch/apps:$PATH
export PATH
for page in "$@"; do
  awk -v out="$work/commands" '
    /^<!-- runs(, and fails)? -->$/ { runs = /fails/ ? "fails" : "works"; next }
    /^```/ { open = !open; file = open && runs != "" ? out "." ++n "." runs : ""; runs = ""; next }
    open && file != "" { print > file }' "$tour/howto/$page.md"
  last=
  for commands in "$work"/commands.[0-9]*; do
    [ -f "$commands" ] || { echo "$page.md has no block that runs" >&2; exit 1; }
    if sh -e "$commands" >output 2>errors; then did=works; else did=fails; fi
    [ "$did" = "${commands##*.}" ] || {
      cat output errors
      echo "$page.md: this block $did:" >&2
      cat "$commands" >&2
      exit 1
    }
    if [ $did = works ]; then last=$(cat output); else last=$(cat errors); fi
    rm "$commands"
  done
  if grep -q "^<!-- printed by $page" "$tour/howto/$page.md"; then
    printf '%s\n' "$last" >output
    sh "$tour/check_printed.sh" "$tour/howto/$page.md" "$page" cat output
  fi
  echo "$page: done"
done
