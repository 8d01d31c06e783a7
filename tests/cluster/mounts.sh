#!/bin/bash
# Two mounts of one folder whose locks do not see each other, as on two nodes of a cluster without
# locks between nodes. Both learn all tasks; one is killed. Then a third mends what is left.
. "$(dirname "$0")/common.sh"
need bindfs fusermount
end() {
  for m in 1 2; do fusermount -u "$top/m$m" 2>/dev/null; done
  rm -rf "$top"
}
trap end EXIT
prepare 3
for m in 1 2; do
  mkdir -p "$top/disk" "$top/m$m"
  bindfs --no-allow-other "$top/disk" "$top/m$m" || { echo "skipped: bindfs cannot mount here"; exit 77; }
done

learn m1/run & first=$!
learn m2/run & second=$!
wait $first || fail "the process on the first mount"
wait $second || fail "the process on the second mount"
same_bytes disk/run
[ "$(ls "$top"/disk/run/log/process-*.json | wc -l)" = 2 ] || fail "two processes, each with its record"
[ -z "$(grep -l '"left' "$top"/m?/run.out)" ] || fail "the locks of the mounts saw each other: nothing was tested"

learn m1/killed & first=$!
learn m2/killed & second=$!
sleep 2
kill -KILL $first
wait $first 2>/dev/null
wait $second || fail "the process that was not killed"
learn disk/killed || fail "the third process"
same_bytes disk/killed
exit $failed
