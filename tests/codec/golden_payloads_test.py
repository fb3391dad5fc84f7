"""Checks the golden payloads' items bit for bit. golden_payloads_test.py DECODER: "page" (format_decoder.py, which
implements FORMAT.md literally), "numpy" or "native" (tools/python/vitrine_cache)."""
import json
import os
import pathlib
import sys

import h5py
import hdf5plugin  # noqa: F401
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/python"))
import format_decoder  # noqa: E402
from vitrine_cache import native, transform  # noqa: E402
from xxhash import xxh3_64_intdigest as xxh3  # noqa: E402

PAYLOADS = pathlib.Path(__file__).resolve().parents[1] / "golden/payloads"


def cases():
    """Name, views and expected hash of each."""
    heading, *lines = (PAYLOADS / "payloads.tsv").read_text().splitlines()
    assert heading == "payload\tviews\titems", heading
    for line in lines:
        name, views, expected = line.split("\t")
        yield name, int(views), expected


def by_page(path):
    with h5py.File(path) as file:
        basis = {name: dataset[()] for name, dataset in file.items()}
    return lambda payload, views: format_decoder.decode_items(basis, payload, views)


def by_reader(path):
    with h5py.File(path) as file:
        about = json.loads(file.attrs["vitrine"])
    basis = transform.Basis(path, about["hash"], [about[axis] for axis in ("channels", "height", "width")])
    return lambda payload, views: transform.decode_map_items(basis, np.frombuffer(payload, np.uint8), views)


def refuses(decode, payload, views):
    try:
        decode(payload, views)
    except ValueError:  # Refused is one
        return True
    return False


def main(decoder):
    assert decoder in ("page", "numpy", "native"), decoder
    os.environ.setdefault("VITRINE_NATIVE", "")
    if decoder != "page":
        assert (native.library() is not None) == (decoder == "native"), os.environ["VITRINE_NATIVE"]
    names = set()
    for name, views, expected in cases():
        decode = (by_page if decoder == "page" else by_reader)(PAYLOADS / f"{name}.basis.h5")
        payload = (PAYLOADS / f"{name}.payload").read_bytes()
        items = decode(payload, views)
        assert items.dtype == np.float32 and f"{xxh3(items.tobytes()):016x}" == expected, name
        # Zeros after it belong to the row, and change nothing; less than all of it, and other counts, are refused.
        assert decode(payload + bytes(100), views).tobytes() == items.tobytes(), name
        assert refuses(decode, payload[:-1], views) and refuses(decode, payload, views + 1), name
        for at, value in ((4, b"\0\0\x80\x7f"), (4, b"\0\0\0\x7f"), (4, b"\0\0\xc0\x7f"), (4, bytes(4)), (10, b"\4\0"),
                          (17, b"\1"), (20, b"\xff\xff\xff\xff")):
            assert refuses(decode, payload[:at] + value + payload[at + len(value):], views), (name, at, value)
        names.add(name)
    assert names == {path.stem for path in PAYLOADS.glob("*.payload")} and len(names) >= 8, names
    described = {line.split("`")[1] for line in (PAYLOADS / "README.md").read_text().splitlines() if line.startswith("| `")}
    assert described == names, f"README.md describes {described ^ names}"
    print(f"{len(names)} golden payloads: alike")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
