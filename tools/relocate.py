"""relocate.py FILE...: for tools/bundle.sh."""
import struct
import sys


def relocate(*files):
    """Patches programs and libraries (ELF, 64 bits) to search libraries in ../lib instead of the build folder."""
    place = b"$ORIGIN/../lib\0"
    for name in files:
        with open(name, "r+b") as file:
            data = file.read()
            programs, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
            headers = [struct.unpack_from("<IIQQQQQQ", data, programs + i * size) for i in range(count)]
            dynamic = next(((h[2], h[5]) for h in headers if h[0] == 2), (0, 0))  # PT_DYNAMIC: offset, bytes
            entries = [struct.unpack_from("<QQ", data, dynamic[0] + i) for i in range(0, dynamic[1], 16)]
            tags = dict(reversed(entries))
            for tag, value in entries:
                if tag not in (15, 29):  # DT_RPATH, DT_RUNPATH
                    continue
                # DT_STRTAB is a memory address: find the segment (PT_LOAD) that contains it.
                start = next(tags[5] - h[3] + h[2] for h in headers if h[0] == 1 and h[3] <= tags[5] < h[3] + h[5]) + value
                room = data.index(b"\0", start) - start + 1
                if len(place) > room:
                    raise SystemExit(f"bundle: {name}: no room for another place of libraries; build it with a longer one")
                file.seek(start)
                file.write(place.ljust(room, b"\0"))


if __name__ == "__main__":
    relocate(*sys.argv[1:])
