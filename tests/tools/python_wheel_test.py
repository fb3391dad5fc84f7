"""pip install ./tools/python: the installed package, away from the checkout, has the compiled decoder and reads a cache."""
import email
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

os.environ["VITRINE_NATIVE"] = ""  # here
import numpy as np  # noqa: E402
from reader_support import BIN, check  # noqa: E402
from vitrine_cache import ENCODINGS, Cache, __version__  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
# On standard output: where the decoder is, the version, and the values of a group of every track.
SCRIPT = """import sys
sys.path.insert(0, sys.argv[1])
import vitrine_cache
from vitrine_cache import native
print(vitrine_cache.__file__, native.library()._name, vitrine_cache.__version__, flush=True)
cache = vitrine_cache.Cache(sys.argv[2])
for track in cache.tracks:
    sys.stdout.buffer.write(track.read(1, 1).tobytes())
"""


def install(target):
    """As a user would, without the network. Two files are compiled at once."""
    environment = {**os.environ, "CMAKE_BUILD_PARALLEL_LEVEL": "2"}
    if shutil.which("ccache"):
        environment["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    for name in ("PYTHONPATH", "VITRINE_NATIVE"):
        environment.pop(name, None)
    words = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "-q", "--target", target]
    run = subprocess.run([sys.executable, "-m", "pip", "install", *words, ROOT / "tools/python"], capture_output=True, text=True,
                         env=environment)
    check(run.returncode == 0, run.stdout + run.stderr)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        before = sorted((ROOT / "tools/python").rglob("*"))
        install(folder / "site")
        after = [path for path in sorted((ROOT / "tools/python").rglob("*")) if "__pycache__" not in path.parts]
        check(set(after) <= set(before), "pip leaves the checkout as it is")
        package = folder / "site/vitrine_cache"
        sources = {path.name for path in (ROOT / "tools/python/vitrine_cache").iterdir() if path.is_file()}
        installed = {path.name for path in package.iterdir() if path.is_file()}
        decoder, = installed - sources
        check(installed >= sources and "py.typed" in sources and decoder.startswith("libvitrine_native."), installed ^ sources)

        about, = (folder / "site").glob("vitrine_cache-*.dist-info")
        headers = email.message_from_string((about / "METADATA").read_text())
        version, = re.findall(r"^project\(vitrine VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)
        check(headers["Version"] == version == __version__ and headers["License"] == "Apache-2.0", headers)
        check({"numpy", "xxhash", "zstandard"} == {re.match(r"\w+", need)[0] for need in headers.get_all("Requires-Dist")
                                                   if "extra" not in need})
        check(set(headers.get_all("Provides-Extra")) == {"images", "torch", "hdf5"})
        check("Tag: py3-none-" in (about / "WHEEL").read_text())
        check((about / "licenses/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes())
        check(headers.get_payload() == (ROOT / "tools/python/README.md").read_text())

        if sys.platform == "linux":  # only what every glibc system has (PEP 600)
            needed = subprocess.run(["readelf", "-d", package / decoder], capture_output=True, text=True, check=True).stdout
            needed = set(re.findall(r"NEEDED.*\[(.+)\]", needed))
            check(needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, needed)
            symbols = subprocess.run(["readelf", "--dyn-syms", "--wide", package / decoder], capture_output=True, text=True, check=True)
            versions = {tuple(map(int, found.split("."))) for found in re.findall(r"@GLIBC_([0-9.]+)", symbols.stdout)}
            check(versions and max(versions) <= (2, 35), max(versions), "manylinux_2_35 at most, where Debian 12 builds it")

        # With numpy here and the compiled decoder there: transform tracks agree up to rounding, all others to the bit.
        subprocess.run([BIN / "write_cache", folder], check=True)
        cache = Cache(folder / "cache")
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VITRINE_NATIVE")}
        run = subprocess.run([sys.executable, "-c", SCRIPT, folder / "site", folder / "cache"], capture_output=True,
                             env=environment, cwd=folder)
        check(run.returncode == 0, run.stderr.decode())
        words, _, values = run.stdout.partition(b"\n")
        check(words.decode().split() == [str(package / "__init__.py"), str(package / decoder), version], words)
        there, encodings = np.frombuffer(values, np.float32), set()
        for track in cache.tracks:
            here = track.read(1, 1).reshape(-1)
            own, there = there[:here.size], there[here.size:]
            encodings.add(track.encoding)
            limit = 1e-5 * np.abs(here).max() if track.encoding == "transform" else 0
            check(np.abs(own - here).max() <= limit, track)
        check(there.size == 0 and encodings == set(ENCODINGS), encodings)
    print("the wheel: installed, and reads")


if __name__ == "__main__":
    sys.exit(main())
