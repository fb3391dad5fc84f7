#!/usr/bin/env bash
# Installs the dependencies of building and testing Vitrine: Debian packages, LibTorch (the pinned torch wheel, in .venv) and,
# without a CUDA 13 toolkit, the CUDA compiler from its wheels. Does nothing if everything is installed.
#
#   tools/setup.sh [--no-system]     needs root or sudo only when a Debian package is missing
#
# --no-system   does not install the packages of tools/packages.txt, for machines without dpkg or root: take them from the
#               distribution, from modules or from conda (CMAKE_PREFIX_PATH). VITRINE_NO_SYSTEM=1 does the same for
#               tools/test.sh and tools/demo.sh.
# PYTHON        in the environment: the Python (3.10 or later) for .venv. .venv may be a symbolic link.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 2; }

system=1
[ "${VITRINE_NO_SYSTEM:-0}" = 0 ] || system=0
for word in "$@"; do
  case $word in
    --no-system) system=0 ;;
    -h | --help) sed -n '2,/^set /p' "$0" | grep '^#' | cut -c3-; exit ;;
    *) fail "unknown argument $word; expected --no-system or nothing" ;;
  esac
done

# Debian packages, by name.
install_packages() {
  command -v dpkg-query >/dev/null || fail "dpkg-query is missing, so this is not a Debian system: install what tools/packages.txt names" \
    "in your distribution's way (names may differ), then run tools/setup.sh --no-system"
  local missing=() as_root=() package apt
  while read -r package; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done < tools/packages.txt
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "these Debian packages are missing: ${missing[*]}; install them as root (apt-get install)," \
      "then run this again, or run tools/setup.sh --no-system if you have them from elsewhere"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  # sudo drops the caller's environment; a fresh machine may still run its own updates, which hold dpkg's lock.
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update -qq || fail "apt-get update failed; the lines above say why"
  "${apt[@]}" install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install these packages; the lines above say why"
}
[ $system = 0 ] || install_packages

# Accepts toolkits whose compiler is release 13. The .cu files are always compiled; a driver is not needed.
toolkit=""
for nvcc in "${CUDACXX:-}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
  if [ -n "$nvcc" ] && [ -x "$nvcc" ] && "$nvcc" --version | grep -q 'release 13\.'; then toolkit=$nvcc; break; fi
done
wanted=(-r tools/requirements.txt)
[ -n "$toolkit" ] || wanted+=(-r tools/requirements-cuda.txt)

# The contents of .venv depend on all of this; after a move or with another system Python it is set up again.
stamp() {
  printf '.venv/.ready-%s' "$({
    cat tools/requirements*.txt tools/setup.sh
    echo "$toolkit"
    readlink -f .venv || true
    .venv/bin/python -c 'import sys; print(sys.version)' 2>&1 || true
  } | sha256sum | cut -c1-16)"
}
[ ! -f "$(stamp)" ] || exit 0

mkdir -p .venv 2>/dev/null || fail ".venv is neither a directory nor a link to one, or cannot be made; remove it, then run this again"
exec 9<.venv  # one set-up at a time; the others then find everything installed
if command -v flock >/dev/null && ! flock -n 9; then
  say "waiting for another set-up of this .venv"
  flock 9
fi
[ ! -f "$(stamp)" ] || exit 0

# After a system upgrade .venv's Python is another version without its packages: only then recreate .venv.
packages() { .venv/bin/python -c 'import os, sys; sys.exit(not any(os.path.isdir(p) for p in sys.path if "site-packages" in p))' 2>/dev/null; }
if packages; then
  .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null ||
    fail ".venv has no pip, and ensurepip could not install it; the lines above say why"
else
  [ -f .venv/pyvenv.cfg ] || [ -z "$(ls -A .venv)" ] || fail ".venv: not a Python environment; move it away," \
    "then run this again"
  python=${PYTHON:-}
  if [ -z "$python" ]; then
    python=/usr/bin/python3
    [ $system = 1 ] && [ -x $python ] || python=$(command -v python3) || fail "there is no python3; install Python 3.10 or later"
  fi
  "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    fail "$python is not Python 3.10 or later with venv and ensurepip (Debian: python3-venv); install it, or set PYTHON to another"
  say "making .venv with $python"
  "$python" -m venv --clear .venv || fail "$python could not make .venv; the lines above say why"
fi
say "installing LibTorch and the tests' peers into .venv (about 5 GB, a minute or two)"
.venv/bin/python -m pip install -q --disable-pip-version-check "${wanted[@]}" ||
  fail "pip could not install what tools/requirements*.txt name; the lines above say why"
if [ -z "$toolkit" ]; then
  # The wheels lack the file names that the linker and CMake expect.
  root=$(.venv/bin/python -c 'import nvidia, os; print(os.path.join(list(nvidia.__path__)[0], "cu13"))')
  [ -x "$root/bin/nvcc" ] || fail "the CUDA wheels hold no compiler at $root/bin/nvcc; remove .venv and run this again"
  ln -sfn lib "$root/lib64"
  for library in "$root"/lib/lib*.so.*; do
    name=${library%%.so.*}.so
    [ -e "$name" ] || ln -s "$(basename "$library")" "$name"
  done
fi
rm -f .venv/.ready-*
touch "$(stamp)"
say "done"
