"""tools/bundle.sh: an archive of this build below 60 MB, unpacked at another place and used by an ordinary user, with the sources
and the build out of sight; and what it says where something is missing."""
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["VITRINE_BIN"]).parent
sys.path.insert(0, str(SOURCE / "tools"))
from gpu_check import save_safetensors, vit_weights  # noqa: E402
from reader_support import check  # noqa: E402

# The Python that has torch, by a path outside the sources.
PYTHON = pathlib.Path(sys.prefix).resolve() / "bin" / pathlib.Path(sys.executable).name
NOBODY = 65534
MAX_BYTES = 60_000_000


def may_hide():
    """Whether this process may mount, for itself."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def hidden_paths():
    """The sources' folders and the build; not all of the sources, where .venv may be."""
    folders = [SOURCE / name for name in ("common", "extract", "train", "tools", "tests")]
    return [BUILD, *folders]


@functools.cache
def ordinary_user():
    """What makes a command an ordinary user's; nothing if the caller is one, or if such a user cannot reach this Python (a home
    directory closed to others), which is said."""
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if os.geteuid() != 0:
        return []
    if subprocess.run([*words, "test", "-x", str(PYTHON)], capture_output=True).returncode == 0:
        return words
    print(f"an ordinary user cannot reach {PYTHON}: all runs as root")
    return []


def run(words, folder, **variables):
    """As an ordinary user, in a bare environment, without the sources and the build where that can be had."""
    line = [*ordinary_user(), *map(str, words)]
    if may_hide():
        hide = " && ".join(f"mount -t tmpfs none '{path}'" for path in hidden_paths())
        line = ["unshare", "-m", "bash", "-c", f'{hide} && exec "$@"', "_", *line]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", **variables}
    process = subprocess.run(line, cwd=folder, env={key: str(value) for key, value in environment.items()}, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    return process.returncode, process.stdout


def succeed(words, folder, **variables):
    code, out = run(words, folder, **variables)
    check(code == 0, (words, code, out))
    return out


def stand_in_torch(folder, version):
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "libtorch_cpu.so").touch()
    (folder / "version.py").write_text(f"__version__ = '{version}'\n")
    return folder


def work(folder, vitrine, variables):
    """An extraction of a few pictures, its check and a pack of it."""
    shutil.copytree(SOURCE / "tests/golden/images", folder / "images")
    save_safetensors(folder / "tiny.safetensors", vit_weights(64, 1, 2))
    (folder / "extract.toml").write_text("""images = 'images'
cache = 'cache'
passes = 1
allow_chance = true
[teacher]
name = 'tiny'
weights = 'tiny.safetensors'
device = 'cpu'
micro_batch = 4
heads = 1
[taps]
features = [-1]
[plan]
group = 4
image_size = 224
""")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY) if os.geteuid() == 0 else None
    out = succeed([vitrine, "extract", "extract.toml"], folder, **variables)
    check("7 images in 2 classes" in out, out)
    out = succeed([vitrine, "cache", "verify", "cache"], folder, **variables)
    check("all is well" in out, out)
    succeed([vitrine, "cache", "pack", "cache", "-o", "cache.tar"], folder, **variables)
    out = json.loads(succeed([vitrine, "cache", "info", "cache", "--json"], folder, **variables))
    check(out["images"] == 7 and len(out["tracks"]) == 2, out)


def peers(folder, vitrine, variables):
    """The other runtimes run, of whose Python programs the sources are out of sight."""
    out = succeed([vitrine, "bench", "inference", "resnet18", "--width", "8", "--size", "32", "--classes", "3", "--precision", "fp32",
                   "--peers", "torchvision", "onnxruntime", "--rounds", "1", "--seconds", "0", "--batches", "1", "--threads", "1", "--json",
                   "--python", PYTHON], folder, **variables)
    figures = json.loads(out[out.index("{"):])["networks"][0]["figures"]
    check(len(figures) == 3 and not any("failed" in each for each in figures), figures)


def complaints(folder, vitrine):
    """One sentence each, exit code 2, for what is missing on the other machine."""
    def complain(words, **variables):
        code, out = run([vitrine, "cache", "info", "x"], folder, **variables)
        check(code == 2 and words in out and out.count("\n") == 1, (words, code, out))

    complain("there is no no-such-python; install Python with torch 2.11", PYTHON="no-such-python")
    torch = stand_in_torch(folder / "old" / "torch", "2.10.1+cpu")
    complain("is torch 2.10.1+cpu; these programs need 2.11", VITRINE_TORCH=torch)
    complain("has no lib/libtorch_cpu.so; name the directory of the torch package", VITRINE_TORCH=folder)
    (folder / "bare").write_text('#!/bin/sh\nexit 0\n')  # a Python without torch
    (folder / "bare").chmod(0o755)
    complain("has no torch; install it (pip install torch==2.11.0)", PYTHON=folder / "bare")
    needed = vitrine.parent / "glibc"
    version = needed.read_text()
    check(re.fullmatch(r"2\.\d+\n", version), version)
    needed.write_text("2.999\n")
    complain("; these programs need 2.999 or newer", PYTHON=PYTHON)
    needed.write_text(version)


def main():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        made = subprocess.run([SOURCE / "tools/bundle.sh", root / "vitrine-bundle", BUILD], capture_output=True, text=True,
                              env={**os.environ, "PYTHON": sys.executable})
        check(made.returncode == 0, made.stdout + made.stderr)
        print(made.stdout.strip())
        archive = root / "vitrine-bundle.tar.gz"
        check(archive.stat().st_size < MAX_BYTES, archive.stat().st_size)
        shutil.rmtree(root / "vitrine-bundle")
        place = root / "another place"
        place.mkdir()
        check(subprocess.run(["tar", "-xzf", archive, "-C", place]).returncode == 0)
        vitrine = place / "vitrine-bundle" / "vitrine"
        folder = root / "work"
        folder.mkdir()
        if not may_hide():
            print("this process may not mount: the sources and the build stay in sight")
        elif subprocess.run(["unshare", "-m", "bash", "-c", f"mount -t tmpfs none '{BUILD}' && test ! -e '{BUILD}/bin'"]).returncode:
            check(False, "the build could not be hidden")
        check("extract" in succeed([vitrine, "--help"], folder, PYTHON="no-such-python"))
        check("extract" in succeed([vitrine, "complete"], folder, PYTHON="no-such-python").split())
        check("verify" in succeed([vitrine, "complete", "cache"], folder, PYTHON=PYTHON).split())
        licences = {path.name for path in (vitrine.parent / "licenses").iterdir()}
        if shutil.which("dpkg"):  # other systems' packages state none
            check({"vitrine", "zlib1g", "libgcc-s1"} <= licences, licences)
        work(folder, vitrine, {"PYTHON": PYTHON})
        peers(folder, vitrine, {"PYTHON": PYTHON})
        torch = next(PYTHON.parent.parent.glob("lib/python3*/site-packages/torch"))
        for variable in (torch, torch / "lib"):  # without any Python
            succeed([vitrine, "cache", "verify", "cache"], folder, PYTHON="no-such-python", VITRINE_TORCH=variable)
        (folder / "link").symlink_to(vitrine)
        succeed([folder / "link", "train", "--help"], folder, PYTHON=PYTHON)
        complaints(folder, vitrine)


if __name__ == "__main__":
    main()
