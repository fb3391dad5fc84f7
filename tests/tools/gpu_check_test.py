"""tools/gpu_check.sh: its run with stand-ins for torch and for the programs, and a bundle of this build whose libraries are all
found, without the building machine's paths."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from reader_support import check

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TESTS = ["normalise_gpu_test", "models_gpu_test", "teacher_test", "extract_test", "trainer_test", "cache_teacher_test", "method_test"]
PASSES = "echo '[doctest] test cases: 25 | 25 passed'"
# Of the C library: not in the bundle.
SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libresolv|libutil|ld-linux-x86-64)\.so|linux-vdso|libasan|libubsan")


def run(*words, **variables):
    process = subprocess.run(["bash", *map(str, words)], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=600, env={**os.environ, **variables})
    return process.returncode, process.stdout


def stand_ins(folder):
    """A bundle whose tests are one script: of these one fails, one hangs, one is skipped, one is killed, the others pass."""
    (folder / "bin").mkdir(parents=True)
    for name in ["gpu_check.sh", "gpu_check.py"]:
        shutil.copy(SOURCE / "tools" / name, folder)
    scripts = {"normalise_gpu_test": "echo 'a.cpp:1: error: wrong bits'; for ((i = 0; i < 50; ++i)); do echo $i; done; exit 1",
               "models_gpu_test": "exec sleep 1000", "extract_test": "echo 'skipped: no GPU'; exit 77",
               "cache_teacher_test": "kill -KILL $PPID"}
    cases = [f"--source-file=*/{name}.cpp) {scripts.get(name, PASSES)} ;;" for name in TESTS]
    program = folder / "bin" / "tests"
    program.write_text("\n".join(["#!/bin/bash", "case $1 in", *cases, "esac", ""]))
    program.chmod(0o755)
    (folder / "tests").write_text("".join(f"{name} tests --source-file=*/{name}.cpp\n" for name in TESTS))
    shutil.copy(SOURCE / "tools" / "bundle" / "libraries.sh", folder)
    (folder / "glibc").write_text("2.17\n")
    torch = folder / "python" / "torch"
    (torch / "lib").mkdir(parents=True)
    for name in ["__init__.py", "lib/libtorch_cpu.so"]:
        (torch / name).touch()
    return {"PYTHON": sys.executable, "PYTHONPATH": str(torch.parent)}


def read_results(path):
    results = json.loads(path.read_text())
    return {step["name"]: step for step in results["steps"]}


def test_steps(folder):
    """A step that fails, hangs or is killed does not affect the others, and comes first in the table."""
    variables = stand_ins(folder)
    copy = folder / "copy.json"
    command = [folder / "gpu_check.sh", "run", folder, "--device", "cpu", "--only", "_test$"]
    code, out = run(*command, "--limit", "10", "--json", copy, **variables)
    steps = read_results(folder / "results" / "results.json")
    check(code == 1 and list(steps) == TESTS and read_results(copy) == steps, (code, out))
    states = [steps[name]["state"] for name in TESTS]
    check(states == ["FAILED", "too slow", "ok", "skipped", "ok", "FAILED", "ok"], out)
    check(steps["normalise_gpu_test"]["log"] == ["a.cpp:1: error: wrong bits"], out)
    check(steps["teacher_test"]["figures"] == {"cases": "25"} and steps["extract_test"]["log"] == ["skipped: no GPU"], out)
    lines = [text.split()[0] for text in out[out.index("\ncheck "):].splitlines() if re.match(r"\w+_test ", text)]
    check(lines[:3] == ["normalise_gpu_test", "cache_teacher_test", "models_gpu_test"], out)
    check("4 of 7 steps without a fault" in out, out)

    code, out = run(*command, "--total", "0", **variables)  # no time for anything is no success
    steps = read_results(folder / "results" / "results.json")
    check(code == 1 and {step["state"] for step in steps.values()} == {"left out"} and len(steps) == len(TESTS), (code, out))
    code, out = run(*command[:-1], "^teacher_test$", **variables)
    check(code == 0 and "1 of 1 steps without a fault" in out, (code, out))
    code, out = run(*command[:-1], "^no_such_step$", **variables)
    check(code == 1 and "0 of 0 steps" in out, (code, out))
    code, out = run(*command, "--devise", **variables)
    check(code == 2 and "--devise is not known" in out, (code, out))


def test_tests(_):
    """Every test that runs on a GPU is in the bundle."""
    text = "\n".join(path.read_text() for path in SOURCE.glob("tests/**/CMakeLists.txt"))
    labelled = re.findall(r"vitrine_gpu_test\((\w+)", text) + re.findall(r"vitrine_test\((\w+)[^)]*LABELS gpu", text)
    script = (SOURCE / "tools" / "gpu_check.sh").read_text()
    bundled = re.search(r"^tests=\((.*)\)$", script, re.MULTILINE)[1].split()
    check(sorted(labelled) == sorted(bundled) == sorted(TESTS), (labelled, bundled))


def test_bundle(folder):
    """The bundle's programs find all their libraries in it and in torch, wherever these are."""
    binaries = pathlib.Path(os.environ["VITRINE_BIN"])
    code, out = run(SOURCE / "tools" / "gpu_check.sh", "bundle", folder, binaries.parent, PYTHON=sys.executable)
    check(code == 0 and folder.with_suffix(".tar.gz").exists(), out)
    for path in (folder / "bin").iterdir():
        code, out = run("-c", f"readelf -d '{path}'")
        places = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", out)
        check(code == 0 and all(place == "$ORIGIN/../lib" for place in places), (path, out))
    code, libraries = run(folder / "libraries.sh", PYTHON=sys.executable)
    check(code == 0, libraries)
    places = [str(folder), *libraries.strip().split(":")]
    for path in (folder / "bin").iterdir():
        code, out = run("-c", f"ldd '{path}'", LD_LIBRARY_PATH=f"{folder}/compiler:{libraries.strip()}")
        check(code == 0 and "not found" not in out, (path, out))
        for text in out.splitlines():
            name, _, place = text.strip().partition(" => ")
            found = os.path.realpath(place.split(" (")[0])
            check(SYSTEM.search(name) or any(found.startswith(os.path.realpath(p)) for p in places), (path, text))
    code, out = run(folder / "gpu_check.sh", "run", folder, "--device", "cpu", "--only", "^(driver|normalise_gpu_test)$",
                    PYTHON=sys.executable)
    steps = read_results(folder / "results" / "results.json")
    check(code == 0 and steps["driver"]["state"] == "ok" and steps["normalise_gpu_test"]["state"] == "skipped", out)


def test_memory(folder):
    """The step for which there is too little memory, on the CPU and with the real program."""
    stand_ins(folder)
    shutil.rmtree(folder / "python")
    (folder / "bin" / "vitrine-extract").symlink_to(pathlib.Path(os.environ["VITRINE_BIN"]) / "vitrine-extract")
    code, out = run(folder / "gpu_check.sh", "run", folder, "--device", "cpu", "--only", "^(prepare|out_of_memory)$",
                    PYTHON=sys.executable)
    steps = read_results(folder / "results" / "results.json")
    check(code == 0 and steps["out_of_memory"]["figures"] == {"exit_code": "6"}, out)


def main():
    for number, test in enumerate([test_steps, test_tests, test_memory, test_bundle]):
        with tempfile.TemporaryDirectory() as name:
            test(pathlib.Path(name) / f"bundle{number}")


main()
