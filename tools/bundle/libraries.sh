#!/bin/sh
# Prints the directories in which the programs of this bundle find their libraries, separated by colons. LibTorch is in the
# torch package in VITRINE_TORCH, else in that of PYTHON (python3), which is not imported.
here=$(cd "$(dirname "$0")" && pwd)
fail() { printf 'vitrine: %s\n' "$*" >&2; exit 2; }

needed=$(cat "$here/glibc" 2>/dev/null)
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
[ -n "$libc" ] || fail "this system has no glibc; these programs need glibc $needed or newer"
[ "$(printf '%s\n%s\n' "$needed" "$libc" | sort -V | head -n 1)" = "$needed" ] ||
  fail "this system has glibc $libc; these programs need $needed or newer"

torch=${VITRINE_TORCH:-}
if [ -n "$torch" ]; then
  [ ! -e "$torch/libtorch_cpu.so" ] || torch=$torch/..
  [ -e "$torch/lib/libtorch_cpu.so" ] || fail "VITRINE_TORCH = $torch has no lib/libtorch_cpu.so; name the directory of the torch package"
else
  python=${PYTHON:-python3}
  command -v "$python" >/dev/null || fail "there is no $python; install Python with torch 2.11, or set PYTHON or VITRINE_TORCH"
  torch=$("$python" -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null)
  [ -e "$torch/lib/libtorch_cpu.so" ] ||
    fail "$python has no torch; install it (pip install torch==2.11.0), or set PYTHON or VITRINE_TORCH"
fi
found=$(sed -n "s/^__version__ = '\([^']*\)'.*/\1/p" "$torch/version.py" 2>/dev/null)
case ${found:-2.11.} in
  2.11.*) ;;
  *) fail "$torch is torch $found; these programs need 2.11 (pip install torch==2.11.0)" ;;
esac

# CUDA's libraries in wheels beside torch.
path=$here/lib:$(cd "$torch/lib" && pwd)
for folder in "$torch"/../nvidia/*/lib; do
  [ ! -d "$folder" ] || path=$path:$(cd "$folder" && pwd)
done
# The C++ library of the bundle, where the system's is older.
for library in /lib/*/libstdc++.so.6 /usr/lib/*/libstdc++.so.6 /lib64/libstdc++.so.6 /usr/lib64/libstdc++.so.6 /usr/lib/libstdc++.so.6; do
  if [ -e "$library" ] && grep -q "$(cat "$here/compiler/needed" 2>/dev/null)" "$library"; then newer=1; fi
done
[ -n "${newer:-}" ] || path=$here/compiler:$path
printf '%s\n' "$path"
