#!/bin/sh
# install.sh build|tests: installs the packages that are missing on Debian and Ubuntu.
# If it cannot install, it names them and exits with 1.
set -eu
packages="g++ cmake ninja-build libfmt-dev libstb-dev nlohmann-json3-dev libcli11-dev libjpeg62-turbo-dev libwebp-dev
  libsqlite3-dev"
case "${1:-build}" in
  build) ;;
  tests) packages="$packages libgtest-dev libbenchmark-dev clang-format tidy" ;;
  *) echo "usage: install.sh build|tests" >&2; exit 2 ;;
esac
# Ubuntu has another name for libjpeg-turbo. Here it is installed already.
if command -v apt-cache >/dev/null 2>&1 && ! dpkg -s libjpeg62-turbo-dev >/dev/null 2>&1 &&
   dpkg -s libjpeg-turbo8-dev >/dev/null 2>&1; then
  packages=$(echo "$packages" | sed 's/libjpeg62-turbo-dev/libjpeg-turbo8-dev/')
fi

missing=""
for p in $packages; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q "ok installed" || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

give_up() {
  echo "These packages are missing and cannot be installed from here ($1):" >&2
  for p in $missing; do echo "  $p" >&2; done
  exit 1
}
command -v apt-get >/dev/null 2>&1 || give_up "there is no apt-get"
if [ "$(id -u)" = 0 ]; then
  sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  sudo="sudo"
elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
  sudo="sudo"
else
  give_up "neither root nor sudo"
fi
echo "installing:$missing" >&2
$sudo apt-get update -qq || give_up "apt-get update failed"
# The same on an Ubuntu without libjpeg-turbo.
if ! apt-cache show libjpeg62-turbo-dev >/dev/null 2>&1; then
  missing=$(echo "$missing" | sed 's/libjpeg62-turbo-dev/libjpeg-turbo8-dev/')
fi
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
  give_up "apt-get install failed"
