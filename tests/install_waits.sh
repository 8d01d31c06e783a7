#!/bin/sh
# third_party/install.sh beside an apt-get of our own: it asks again while another program holds a lock, asks apt-get to
# wait for dpkg's, and gives up at once on any other error.
set -eu
script=$(cd "$(dirname "$0")/.." && pwd)/third_party/install.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/apt-get" <<'EOF'
#!/bin/sh
echo "$*" >>"$LOG"
if [ "$(wc -l <"$LOG")" -le "$REFUSALS" ]; then
  echo "E: $REASON" >&2
  exit 100
fi
EOF
# Nothing is installed; root needs no sudo.
printf '#!/bin/sh\nexit 1\n' >"$dir/dpkg-query"
printf '#!/bin/sh\necho 0\n' >"$dir/id"
printf '#!/bin/sh\nexit 0\n' >"$dir/apt-cache"
chmod +x "$dir"/*

# try REFUSALS REASON STATUS CALLS
try() {
  export LOG="$dir/log" REFUSALS="$1" REASON="$2" INSTALL_WAIT=0
  : >"$LOG"
  status=0
  PATH="$dir:$PATH" sh "$script" build 2>"$dir/err" || status=$?
  calls=$(wc -l <"$LOG")
  if [ "$status" != "$3" ] || [ "$calls" != "$4" ] || grep -vq 'DPkg::Lock::Timeout=300' "$LOG"; then
    echo "with $1 x '$2': status $status for $3, $calls calls for $4" >&2
    cat "$LOG" "$dir/err" >&2
    exit 1
  fi
}
lock="Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
try 0 "" 0 2
try 3 "$lock" 0 5
try 1000 "$lock" 1 30
try 1000 "Temporary failure resolving" 1 1
grep -q "Temporary failure" "$dir/err"
echo "install_waits: ok"
