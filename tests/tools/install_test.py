"""cmake --install, and find_package(Vitrine) from a moved prefix: both examples are built outside the tree and run."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["VITRINE_BIN"]).parent
from reader_support import check, whole  # noqa: E402

GOLDEN = SOURCE / "tests/golden/cache"


def run(*words, folder=None, code=0):
    environment = {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "VITRINE_TORCH")}
    process = subprocess.run(list(map(str, words)), cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    check(process.returncode == code, (words, process.returncode, process.stdout))
    return process.stdout


def cmake_of_build():
    """CMake, the generator and the compiler of the build."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    value = dict(re.findall(r"^(CMAKE_\w+):\w+=(.*)$", cache, re.MULTILINE))
    return value["CMAKE_COMMAND"], ["-G", value["CMAKE_GENERATOR"], f"-DCMAKE_CXX_COMPILER={value['CMAKE_CXX_COMPILER']}"]


def build_example(name, prefix, folder):
    command, words = cmake_of_build()
    shutil.copytree(SOURCE / "tools/examples" / name, folder / name)
    if shutil.which("ccache"):
        words = [*words, "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    run(command, "-S", folder / name, "-B", folder / "build" / name, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_BUILD_TYPE=Release", *words)
    run(command, "--build", folder / "build" / name)
    return folder / "build" / name / name


def test_reader(prefix, folder):
    """Values and views of the golden cache, as the Python reader has them, without LibTorch and HDF5."""
    program = build_example("read_cache", prefix, folder)
    libraries = run("ldd", program)
    check(not re.search(r"\blib(torch|c10|hdf5)|not found", libraries), libraries)
    lines = run(program, GOLDEN, "logits").splitlines()
    cache = whole(GOLDEN)
    track = cache.track("logits")
    values, recipes = track.read(track.passes[0], 0), cache.recipes(track.passes[0], 0)
    check(len(lines) == len(values), lines)
    for line, row, image in zip(lines, values, recipes["image"]):
        words = line.rsplit(" ", 2)
        check(line.startswith(cache.ids[image] + " label "), (line, cache.ids[image]))
        check(int(words[1]) == row.argmax() and f"{row.max():.6g}" == words[2], (line, row))
    out = run(program, GOLDEN, "nothing", code=2)
    check("has no track of the name nothing" in out, out)


def test_classifier(prefix, folder):
    """A student of one step names a picture as vitrine-classify does."""
    (folder / "train.toml").write_text(f"""images = '{SOURCE}/tests/golden/images'
output = 'run'
device = 'cpu'
batch = 4
size = 32
max_steps = 1
[model]
arch = 'resnet18'
width = 8
[targets]
source = 'none'
[plan]
group = 4
image_size = 32
[schedule]
align = {{ epochs = 0 }}
joint = {{ epochs = 1, lr = 0.01 }}
fine_tune = {{ epochs = 0 }}
""")
    run(prefix / "bin/vitrine", "train", "train.toml", folder=folder)
    picture = SOURCE / "tests/golden/images/even/2.png"
    program = build_example("classify_picture", prefix, folder)
    lines = run(program, "run", picture, folder=folder).splitlines()
    named = run(prefix / "bin/vitrine", "classify", "run", picture, folder=folder)
    check(len(lines) == 2 and {line.split()[-1] for line in lines} == {"even", "odd"}, lines)
    name, share, _ = named.split("\t")[1].split()
    check(lines[0].split()[-1] == name and abs(float(lines[0].split()[0]) - float(share)) < 0.06, (lines, named))


def test_package(prefix, folder):
    """Only what is asked for is looked for; what is missing is named."""
    command, words = cmake_of_build()
    (folder / "user").mkdir()
    text = "cmake_minimum_required(VERSION 3.25)\nproject(user LANGUAGES CXX)\n"
    ask = f"-DCMAKE_PREFIX_PATH={prefix}"

    def configure(line, code=0):
        (folder / "user/CMakeLists.txt").write_text(text + line)
        shutil.rmtree(folder / "build/user", ignore_errors=True)
        return run(command, "-S", folder / "user", "-B", folder / "build/user", ask, *words, code=code)

    configure("find_package(Vitrine REQUIRED)\nif(NOT TARGET vitrine::cache)\n  message(FATAL_ERROR none)\nendif()\n")
    out = configure("find_package(Vitrine REQUIRED COMPONENTS cashe)\n", code=1)
    check("there is no room cashe" in re.sub(r"\s+", " ", out), out)
    out = configure("set(CMAKE_DISABLE_FIND_PACKAGE_PNG ON)\nfind_package(Vitrine REQUIRED COMPONENTS codec image)\n", code=1)
    check("vitrine::image needs what is missing: PNG::PNG" in re.sub(r"\s+", " ", out), out)
    configure("set(CMAKE_DISABLE_FIND_PACKAGE_PNG ON)\nfind_package(Vitrine REQUIRED COMPONENTS cache)\n")


def test_programs(prefix):
    """They are found with the prefix, wherever it is; completions, licence and pages are there."""
    check(run(prefix / "bin/vitrine", "--version").startswith("vitrine "))
    for path in (prefix / "bin").iterdir():
        places = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", run("readelf", "-d", path))
        check(all(str(BUILD) not in place and place.startswith("$ORIGIN/../lib") for place in places), (path, places))
    out = run(prefix / "bin/vitrine", "cache", "verify", GOLDEN)
    check("all is well" in out, out)
    # It tells where its script is.
    peer = prefix.parent / "peer"
    peer.write_text('#!/bin/sh\nwhile read -r line; do printf \'{"error": "%s"}\\n\' "$1"; done\n')
    peer.chmod(0o755)
    out = run(prefix / "bin/vitrine", "bench", "inference", "resnet18", "--width", "8", "--size", "32", "--classes", "3", "--precision",
              "fp32", "--peers", "openvino", "--rounds", "1", "--seconds", "0", "--batches", "1", "--threads", "1", "--python", peer)
    check(str(prefix.resolve() / "share/vitrine/peers/inference_peer.py") in out, out)
    completion = prefix / "share/bash-completion/completions/vitrine"
    check("complete" in completion.read_text() and (prefix / "share/zsh/site-functions/_vitrine").stat().st_size > 0)
    run("bash", "-n", completion)
    for page in ("LICENSE", "README.md", "tools/DEPLOY.md", "common/cache/FORMAT.md", "configs/photos/student.toml"):
        check((prefix / "share/doc/vitrine" / page).is_file(), page)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        command, _ = cmake_of_build()
        for component in ("core", "torch", "programs"):
            run(command, "--install", BUILD, "--prefix", folder / "first", "--component", component)
        prefix = folder / "moved to" / "vitrine"
        prefix.parent.mkdir()
        (folder / "first").rename(prefix)
        for file in prefix.rglob("*.cmake"):  # nothing leads back to the sources, but for the place of LibTorch
            text = file.read_text().replace(str(SOURCE / ".venv"), "")
            check(str(SOURCE) not in text and str(BUILD) not in text and str(folder / "first") not in text, file)
        test_programs(prefix)
        test_package(prefix, folder)
        test_reader(prefix, folder)
        test_classifier(prefix, folder)


if __name__ == "__main__":
    main()
