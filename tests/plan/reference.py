"""An independent Python implementation of a plan's recipes from the headers: Philox4x32-10, the draws, their order."""

import math

MASK32, MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
PASS_ORDER, CROP, MIX = 1, 2, 3


def philox(key, counter):
    c0, c1, c2, c3 = counter
    k0, k1 = key & MASK32, key >> 32
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & MASK32, (a >> 32) ^ c3 ^ k1, a & MASK32
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return [c0, c1, c2, c3]


class Stream:
    def __init__(self, seed, purpose, major, minor=0):
        self.key = seed ^ (purpose * 0x9E3779B97F4A7C15 & MASK64)
        self.place = (major, minor & MASK32, minor >> 32)
        self.next, self.block = 0, []

    def bits(self):
        if not self.block:
            self.block = philox(self.key, (self.next, *self.place))
            self.next += 1
        return self.block.pop(0)

    def uniform(self, low=0.0, high=1.0):
        first, second = self.bits() >> 5, self.bits() >> 6
        return low + (high - low) * ((first * 2**26 + second) / 2**53)

    def below(self, n):
        while True:
            draw = self.bits() << 32 | self.bits()
            if draw < 2**64 - 2**64 % n:
                return draw % n

    def normal(self):
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())

    def gamma(self, shape):  # Marsaglia and Tsang 2000
        if shape < 1:
            boost = (1 - self.uniform()) ** (1 / shape)
            return self.gamma(shape + 1) * boost
        d = shape - 1 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            x = self.normal()
            if 1 + c * x <= 0:
                continue
            v = (1 + c * x) * (1 + c * x) * (1 + c * x)
            if math.log(1 - self.uniform()) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v

    def beta(self, a, b):
        x, y = self.gamma(a), self.gamma(b)
        return x / (x + y)


def pass_order(seed, which, images):
    order, stream = list(range(images)), Stream(seed, PASS_ORDER, which)
    for n in range(images, 1, -1):
        other = stream.below(n)
        order[n - 1], order[other] = order[other], order[n - 1]
    return order


def crop(seed, which, position, height, width, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3), flip=0.5):
    """(top, left, height, width, flip)"""
    stream, found = Stream(seed, CROP, which, position), None
    for _ in range(10):
        target = height * width * stream.uniform(*area)
        aspect = math.exp(stream.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = stream.below(height - h + 1)
            found = (top, stream.below(width - w + 1), h, w)
            break
    if found is None:
        h, w = height, width
        if width / height < ratio[0]:
            h = round(w / ratio[0])
        elif width / height > ratio[1]:
            w = round(h * ratio[1])
        found = ((height - h) // 2, (width - w) // 2, h, w)
    return (*found, int(stream.uniform() < flip))


def mix(seed, which, position, group, size, probability=1.0, switch=0.5, alphas=(0.8, 1.0)):
    """(mix, partner, lambda, top, left, bottom, right)"""
    stream, none = Stream(seed, MIX, which, position), (0,) * 7
    if stream.uniform() >= probability:
        return none
    cut = stream.uniform() < switch
    share, box = stream.beta(alphas[cut], alphas[cut]), (0,) * 4
    if cut:
        half = int(size * math.sqrt(1 - share)) // 2
        y, x = stream.below(size), stream.below(size)
        box = (max(y - half, 0), max(x - half, 0), min(y + half, size), min(x + half, size))
        share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / size**2
    lam = round(share * 65536)
    if lam == 65536:
        return none
    return (2 if cut else 1, group - 1 - position % group, lam, *box)
