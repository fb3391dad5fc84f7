"""Functions that several object files define (templates, inline ones: weak symbols) come into a program once, from whichever
file the linker meets first. None of the codec's may use registers or instructions that only some processors have, as those
compiled in the files for AVX2 and AVX-512 would. shared_code_test.py LIBRARY.a"""
import re
import shutil
import subprocess
import sys

SKIP = 77
# Registers of AVX and AVX-512, and what BMI, BMI2, LZCNT and FMA add. TZCNT is BSF to processors without it.
WIDE = re.compile(r"%[yz]mm|%k[0-7]|\tv[a-z]+\d*|\t(pdep|pext|bzhi|blsr|andn\b|sarx|shlx|shrx|rorx|mulx|lzcnt|popcnt)")


def functions(library):
    """Of each object: names of weak functions, and the lines of code of each function."""
    weak, code, name = set(), {}, None
    for line in subprocess.run(["nm", "--defined-only", library], capture_output=True, text=True, check=True).stdout.split("\n"):
        words = line.split()
        if len(words) == 3 and words[1] in "WVu":
            weak.add(words[2])
    dump = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], capture_output=True, text=True, check=True).stdout
    for line in dump.split("\n"):
        if begin := re.fullmatch(r"[0-9a-f]+ <(.*)>:", line):
            name = begin[1]
            code.setdefault(name, [])
        elif name and line.startswith(" "):
            code[name].append(line)
    return weak, code


def main():
    if not all(shutil.which(tool) for tool in ("nm", "objdump")):
        print("skipped: there are no binutils")
        return SKIP
    weak, code = functions(sys.argv[1])
    wide = {name for name, lines in code.items() if any(WIDE.search(line) for line in lines)}
    leaked = {name: next(line for line in code[name] if WIDE.search(line)) for name in wide & weak}
    assert not leaked, leaked
    assert weak & set(code), "no weak function was found: this test sees nothing"
    if any("avx512" in name for name in code):
        assert len(wide) >= 10, wide  # the files for wide instruction sets are seen as such
    print(f"{len(weak & set(code))} shared functions, none of {len(wide)} that only some processors run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
