#!/usr/bin/env bash
# Packs the programs of a build into a directory that runs elsewhere, and into DIR.tar.gz. The other machine needs Linux with a
# C library that is not older (its version is printed, and checked there) and a Python with torch 2.11, or LibTorch in
# VITRINE_TORCH; no root, no compiler, no other library.
#
#   tools/bundle.sh DIR [BUILD] [--with NAME]... [--no-archive]     BUILD: build. NAME: further files of BUILD/bin
#   DIR/vitrine COMMAND ...                                         there: as build/bin/vitrine
#
# In DIR: vitrine (starts the programs), libraries.sh (finds LibTorch), bin, lib (libraries except LibTorch's, CUDA's and the C
# library), compiler (the C++ library, used where the machine's is older), share (the Python programs that vitrine bench and
# choose run), licenses.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
fail() { printf 'bundle: %s\n' "$*" >&2; exit 2; }

dir='' build='' archive=1
files=(libvitrine_cuda.so)  # that programs load themselves
for name in bench cache choose classify distil draw export extract pilot report train; do files+=("vitrine-$name"); done
files+=(vitrine)
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set /p' "$0" | grep '^#' | cut -c3-; exit ;;
    --with) files+=("${2:?--with needs a name}"); shift 2 ;;
    --no-archive) archive=0; shift ;;
    -*) fail "$1 is not known; expected --with or --no-archive" ;;
    *)
      if [ -z "$dir" ]; then dir=${1%/}; elif [ -z "$build" ]; then build=${1%/}; else fail "what is $1? expected DIR [BUILD]"; fi
      shift ;;
  esac
done
[ -n "$dir" ] || fail "name the directory to make: tools/bundle.sh DIR [BUILD]"
build=${build:-$here/../build}
[ ! -e "$dir" ] || [ -z "$(ls -A "$dir")" ] || fail "$dir exists and is not empty; remove it or choose another"

mkdir -p "$dir/bin" "$dir/lib" "$dir/compiler" "$dir/share/vitrine/peers" "$dir/licenses"
for name in "${files[@]}"; do
  [ -e "$build/bin/$name" ] || fail "$build/bin/$name is not there; build everything first (tools/build.sh)"
  cp "$build/bin/$name" "$dir/bin/"
done

needed=$(cd "$build/bin" && for name in "${files[@]}"; do ldd "$name"; done)
# libcudart comes with LibTorch, which is in the process before libvitrine_cuda.so; only where CUDA is installed does ldd see one.
missing=$(grep 'not found' <<<"$needed" | grep -v 'libcudart\.so' | sed -n '1s/^[[:space:]]*//p' || true)
[ -z "$missing" ] || fail "$build/bin links a library that is not there ($missing); build everything again"
unlicensed=''
while read -r library; do
  case $(basename "$library") in
    libtorch* | libc10* | libgomp* | libcuda* | libcud* | libcublas* | libcupti* | libcufft* | libcurand* | libcusolver* | \
      libcusparse* | libcufile* | libnv* | libnccl* | ld-linux* | libc.so* | libm.so* | libdl.so* | librt.so* | \
      libpthread.so* | libresolv.so* | libutil.so*) continue ;;
    libstdc++* | libgcc_s*) cp -L "$library" "$dir/compiler/" ;;
    *) cp -L "$library" "$dir/lib/" ;;
  esac
  # Debian's packages state their licences. Some name their files in /lib, from before that was a link to /usr/lib.
  file=$(readlink -f "$library")
  package=$({ dpkg -S "$file" || dpkg -S "${file#/usr}"; } 2>/dev/null | head -n 1 | cut -d: -f1 || true)
  if [ -n "$package" ] && [ -e "/usr/share/doc/$package/copyright" ]; then
    cp -L "/usr/share/doc/$package/copyright" "$dir/licenses/$package"
  else
    unlicensed+=" $(basename "$library")"
  fi
done < <(awk '$2 == "=>" && $3 ~ /^\// {print $3}' <<<"$needed" | sort -u)
[ -z "$unlicensed" ] ||
  printf 'bundle: warning: no package states the licence of%s; add theirs to %s\n' "$unlicensed" "$dir/licenses" >&2
cp "$here/../LICENSE" "$dir/licenses/vitrine"
cp "$here"/commands/bench/peers/*.py "$dir/share/vitrine/peers/"
strip --strip-unneeded "$dir"/bin/* "$dir"/lib/* "$dir"/compiler/*
"${PYTHON:-python3}" "$here/relocate.py" "$dir"/bin/*

# The newest version of the C library, and of the C++ library, that anything here asks for.
newest() {  # PREFIX FILE...
  local prefix=$1
  shift
  objdump -T "$@" 2>/dev/null | grep -oE "${prefix}[0-9.]+" | sort -uV | tail -n 1
}
newest GLIBC_ "$dir"/bin/* "$dir"/lib/* "$dir"/compiler/* | cut -d_ -f2 >"$dir/glibc"
newest GLIBCXX_ "$dir"/bin/* "$dir"/lib/* >"$dir/compiler/needed"
cp "$here/bundle/vitrine" "$here/bundle/libraries.sh" "$dir/"
chmod 755 "$dir/vitrine" "$dir"/bin/*

said="$dir: $(du -sh --apparent-size "$dir" | cut -f1), needs glibc $(cat "$dir/glibc") and torch 2.11"
if [ $archive = 1 ]; then
  tar -C "$(dirname "$dir")" --owner=0 --group=0 -czf "$dir.tar.gz" "$(basename "$dir")"
  said+="; packed $dir.tar.gz: $(du -sh --apparent-size "$dir.tar.gz" | cut -f1)"
fi
printf 'bundle: %s\n' "$said"
