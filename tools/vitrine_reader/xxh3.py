"""XXH3, 64 bits, seed 0 (https://xxhash.com, specification 0.1.1): the package `xxhash` where installed, else numpy.

The package hashes at memory's speed, numpy at a few hundred MB/s: both are right, and reading is faster with the
former."""
import numpy as np

try:
    from xxhash import xxh3_64_intdigest as _fast
except ImportError:
    _fast = None

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
ALL = 2**64 - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3, P64_4, P64_5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                                     0x27D4EB2F165667C5)
STRIPE, STRIPES, BLOCK = 64, 16, 1024  # bytes of a stripe, stripes of a block, bytes of a block
START = np.array([P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1], np.uint64)


def _u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def _u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def _avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & ALL
    return h ^ h >> 32


def _avalanche_xxh64(h):
    h ^= h >> 33
    h = h * P64_2 & ALL
    h ^= h >> 29
    h = h * P64_3 & ALL
    return h ^ h >> 32


def _fold(a, b):
    product = a * b
    return product & ALL ^ product >> 64


def _mix(data, at, secret_at):
    return _fold(_u64(data, at) ^ _u64(SECRET, secret_at), _u64(data, at + 8) ^ _u64(SECRET, secret_at + 8))


def _rotate(h, bits):
    return (h << bits | h >> 64 - bits) & ALL


def _up_to_16(data):
    n = len(data)
    if n == 0:
        return _avalanche_xxh64(_u64(SECRET, 56) ^ _u64(SECRET, 64))
    if n <= 3:
        word = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return _avalanche_xxh64(word ^ _u32(SECRET, 0) ^ _u32(SECRET, 4))
    if n <= 8:
        word = (_u32(data, n - 4) + (_u32(data, 0) << 32)) & ALL
        h = word ^ _u64(SECRET, 8) ^ _u64(SECRET, 16)
        h ^= _rotate(h, 49) ^ _rotate(h, 24)
        h = h * 0x9FB21C651E98DF25 & ALL
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & ALL
        return h ^ h >> 28
    low = _u64(data, 0) ^ _u64(SECRET, 24) ^ _u64(SECRET, 32)
    high = _u64(data, n - 8) ^ _u64(SECRET, 40) ^ _u64(SECRET, 48)
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return _avalanche(n + swapped + high + _fold(low, high) & ALL)


def _up_to_240(data):
    n = len(data)
    h = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32 + 1):  # pairs, from both ends
            h += _mix(data, 16 * i, 32 * i) + _mix(data, n - 16 * (i + 1), 32 * i + 16)
        return _avalanche(h & ALL)
    h = _avalanche((h + sum(_mix(data, 16 * i, 16 * i) for i in range(8))) & ALL)
    h += sum(_mix(data, 16 * i, 16 * (i - 8) + 3) for i in range(8, n // 16))
    return _avalanche((h + _mix(data, n - 16, 136 - 17)) & ALL)


def _accumulated(words, keys):
    """What stripes add to the accumulators. words: [..., stripes, 8]; keys: [stripes, 8]. Returns [..., 8]."""
    keyed = words ^ keys
    products = (keyed & np.uint64(0xFFFFFFFF)) * (keyed >> np.uint64(32))
    neighbours = words.reshape(*words.shape[:-1], 4, 2)[..., ::-1].reshape(words.shape)
    return (products + neighbours).sum(axis=-2, dtype=np.uint64)


def _long(data):
    n = len(data)
    bytes_of = np.frombuffer(data, np.uint8)
    keys = np.stack([np.frombuffer(SECRET, "<u8", 8, 8 * i) for i in range(STRIPES)])
    last_key, shift, prime = np.frombuffer(SECRET, "<u8", 8, 128), np.uint64(47), np.uint64(P32_1)
    state, scratch = START.copy(), np.empty(8, np.uint64)
    blocks = (n - 1) // BLOCK
    for first in range(0, blocks, 64):  # as many at once as stay in the processor's cache
        many = min(64, blocks - first)
        words = bytes_of[first * BLOCK:(first + many) * BLOCK].view("<u8").reshape(many, STRIPES, 8)
        for added in _accumulated(words, keys):
            state += added
            np.right_shift(state, shift, out=scratch)
            state ^= scratch
            state ^= last_key
            state *= prime
    rest = (n - 1 - blocks * BLOCK) // STRIPE
    words = np.frombuffer(data, "<u8", 8 * rest, blocks * BLOCK).reshape(rest, 8)
    state += _accumulated(words, keys[:rest])
    state += _accumulated(np.frombuffer(data, "<u8", 8, n - STRIPE).reshape(1, 8), np.frombuffer(SECRET, "<u8", 8, 121))
    h, lanes = n * P64_1, state.tolist()
    for i in range(4):
        h += _fold(lanes[2 * i] ^ _u64(SECRET, 11 + 16 * i), lanes[2 * i + 1] ^ _u64(SECRET, 19 + 16 * i))
    return _avalanche(h & ALL)


def xxh3_numpy(data):
    """The hash of bytes, without the package."""
    data = bytes(data)
    return _up_to_16(data) if len(data) <= 16 else _up_to_240(data) if len(data) <= 240 else _long(data)


def xxh3(data):
    """The hash of bytes, an int."""
    return _fast(data) if _fast else xxh3_numpy(data)
