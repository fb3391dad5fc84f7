#!/usr/bin/env bash
# Installs what Vitrine is built and tested with: Debian packages, LibTorch (the pinned torch wheel, in .venv) and, where the
# machine has no CUDA 13 toolkit, the CUDA compiler from its wheels. A second run finds everything in place and does nothing.
#
#   tools/setup.sh            needs root or sudo only when a Debian package is missing
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 2; }

# Debian packages, by name.
missing=()
while read -r package; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done < tools/packages.txt
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "these Debian packages are missing: ${missing[*]}; install them as root (apt-get install), then run this again"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# A toolkit counts when its compiler is release 13; Vitrine's .cu files always compile, a driver is not needed.
toolkit=""
for nvcc in "${CUDACXX:-}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
  if [ -n "$nvcc" ] && [ -x "$nvcc" ] && "$nvcc" --version | grep -q 'release 13\.'; then toolkit=$nvcc; break; fi
done
wanted=(-r tools/requirements.txt)
[ -n "$toolkit" ] || wanted+=(-r tools/requirements-cuda.txt)

stamp=.venv/.ready-$(cat tools/requirements*.txt tools/setup.sh <(echo "$toolkit") | sha256sum | cut -c1-16)
if [ ! -f "$stamp" ]; then
  say "installing LibTorch and the tests' peers into .venv (about 5 GB, a minute or two)"
  [ -x .venv/bin/python ] || /usr/bin/python3 -m venv .venv
  .venv/bin/python -m pip install -q --disable-pip-version-check "${wanted[@]}"
  if [ -z "$toolkit" ]; then
    # The wheels lack the names that the linker and CMake look for.
    root=$(.venv/bin/python -c 'import nvidia, os; print(os.path.join(list(nvidia.__path__)[0], "cu13"))')
    [ -x "$root/bin/nvcc" ] || fail "the CUDA wheels hold no compiler at $root/bin/nvcc; remove .venv and run this again"
    ln -sfn lib "$root/lib64"
    for library in "$root"/lib/lib*.so.*; do
      name=${library%%.so.*}.so
      [ -e "$name" ] || ln -s "$(basename "$library")" "$name"
    done
  fi
  rm -f .venv/.ready-*
  touch "$stamp"
  say "done"
fi
