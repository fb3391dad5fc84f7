"""Helpers for the tests of tools/python/vitrine_cache."""
import json
import os
import pathlib
import re
import resource
import signal
import sys

import numpy as np
import zstandard

# CMakeLists.txt: "native" is the reader where it is fast, "numpy" where nothing helps it.
WAY = os.environ.get("VITRINE_TEST_WAY", "")
if WAY == "native" and not os.environ["VITRINE_NATIVE"]:
    print("skipped: this build has no compiled decoder")
    sys.exit(77)
PACKAGES = str(pathlib.Path(__file__).resolve().parents[2] / "tools/python")
sys.path.insert(0, PACKAGES)
os.environ["PYTHONPATH"] = PACKAGES  # of Pythons that the tests start
import vitrine_cache  # noqa: E402
from vitrine_cache import native  # noqa: E402
from xxhash import xxh3_64_intdigest as xxh3  # noqa: E402

if WAY:
    if (native.library() is not None) != (WAY == "native"):
        sys.exit(f"the way {WAY} is not what is tested: compiled decoder {native.library()}")

BIN = pathlib.Path(os.environ["VITRINE_BIN"])
if not __debug__:
    sys.exit("these tests are assert statements, which this Python leaves out; run it without -O and PYTHONOPTIMIZE")


def check(holds, *words):
    """The test fails unless it holds."""
    if not holds:
        raise AssertionError(*words)


def whole(directory):
    """Opens a cache and raises its first problem, if any."""
    cache = vitrine_cache.Cache(directory)
    for problem in cache.problems:
        raise problem.error
    return cache


def raises(words, call, *arguments):
    """Checks that the call fails with one sentence that has these words."""
    try:
        call(*arguments)
    except vitrine_cache.CacheError as error:
        assert words in str(error), f"{error}\n  lacks: {words}"
        return
    raise AssertionError(f"nothing was raised; expected: {words}")


def limited(size):
    """For subprocess.run(preexec_fn=...): no file may become larger, as on a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def equal_bits(a, b):
    bits = [values.reshape(-1).view(np.uint32) for values in (a, b)]
    return a.dtype == b.dtype == np.float32 and np.array_equal(*bits)


def word(value, size):
    return value.to_bytes(size, "little")


def patched(path, changes, seal):
    """Writes bytes into a container, {offset: bytes}; with `seal` the table's checksum is recomputed."""
    data = bytearray(path.read_bytes())
    for at, new in changes.items():
        data[at:at + len(new)] = new
    if seal:
        end = int.from_bytes(data[24:32], "little")
        data[end - 8:end] = xxh3(bytes(data[:end - 8])).to_bytes(8, "little")
    path.write_bytes(data)


def replace_chunk(path, name, frame):
    """Replaces the first chunk of a dataset by this frame at the file's end; updates the table and its checksums."""
    file = vitrine_cache.Container(path)
    at = 64 + 136 * len(file.datasets) + 24 * file.find(name).first_chunk
    data = path.read_bytes()
    path.write_bytes(data + frame)
    patched(path, {at: word(len(data), 8), at + 8: word(len(frame), 4), at + 16: word(xxh3(frame), 8),
                   40: word(len(data) + len(frame), 8)}, True)


def compressed(content):
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def with_new_check(text):
    """An edited track.json text with its check recomputed."""
    body = re.sub(r',\n  "check": "[^"\n]*"\n}\n\Z', "\n}\n", text)
    assert body.endswith("\n}\n"), text
    return body[:-3] + f',\n  "check": "{xxh3(body.encode()):016x}"\n}}\n'


def write_track(path, settings):
    """A track.json of these settings."""
    path.write_text(with_new_check(json.dumps({k: v for k, v in settings.items() if k != "check"}, indent=2) + "\n"))
