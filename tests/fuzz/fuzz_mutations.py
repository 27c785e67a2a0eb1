"""Damage to the bytes of a file: torn ends, bits, huge numbers, values of other types."""

import re

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
VALUES = ("null", "true", "-1", "0", "1e999", "NaN", "-Infinity", "1.5", "99999999999999999999", "9" * 5000, '"x"', '""',
          "[]", "{}", '[["a"]]', "[" * 20000, '{"a":' * 20000, '"\\u001b[2J\\n"', "0x10", "\x00", "\xe9", "1e308")
TOKEN = re.compile(rb'-?\d+(?:\.\d+)?(?:e-?\d+)?|"[^"\n]*"|\w+')


def mutate(content, rng):
    """`content`, damaged in one of several ways; `rng` is a `random.Random`."""
    how = rng.choice((torn, torn, bits, bits, bits, number, number, cut, repeated, inserted, token, token, token, lines))
    return how(content, rng)


def torn(content, rng):
    return content[:rng.randrange(len(content))]


def bits(content, rng):
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        damaged[place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def number(content, rng):
    """A number of 1 to 8 bytes where structures often have them."""
    size = rng.choice((1, 2, 4, 8))
    value = (rng.choice(NUMBERS) & (1 << 8 * size) - 1).to_bytes(size, rng.choice(("little", "big")))
    start = place(content, rng) // size * size
    return content[:start] + value + content[start + size:]


def cut(content, rng):
    start = place(content, rng)
    return content[:start] + content[start + rng.choice((1, 2, 8, 100)):]


def repeated(content, rng):
    start = place(content, rng)
    part = content[start:start + rng.choice((1, 8, 64, 1000))]
    return content[:start] + part * rng.choice((2, 3, 50)) + content[start + len(part):]


def inserted(content, rng):
    start = place(content, rng)
    return content[:start] + rng.randbytes(rng.choice((1, 4, 8, 50))) + content[start:]


def token(content, rng):
    """Another value in the place of a number, a word or a text."""
    found = list(TOKEN.finditer(content[:100_000]))
    if not found:
        return torn(content, rng)
    chosen = rng.choice(found)
    return content[:chosen.start()] + rng.choice(VALUES).encode("latin-1") + content[chosen.end():]


def lines(content, rng):
    """Two lines change places, or one is left out."""
    parts = content.split(b"\n")
    i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
    if i == j:
        del parts[i]
    else:
        parts[i], parts[j] = parts[j], parts[i]
    return b"\n".join(parts)


def place(content, rng):
    """A position: anywhere, near the start, or near the end, where formats have their headers."""
    near = min(len(content), 200)
    return rng.choice((rng.randrange(len(content)), rng.randrange(near), len(content) - 1 - rng.randrange(near)))
