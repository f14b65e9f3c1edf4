# SPDX-License-Identifier: BSD-3-Clause
"""Damaged, half-written and foreign policy images: a clear error and exit 1, never a crash, and never
a policy made of rubbish."""

import os
import random
import subprocess

from framework import bound
from image import Image
from target import DATAPLANE, Appliance

CRASHES = (-4, -6, -7, -8, -11, 132, 134, 135, 136, 139)


def setup():
    return Appliance(start=False, name="fault")


def refused(a, data, what):
    """Starts the dataplane on these bytes as its image; its words."""
    path = a.path("damaged.img")
    with open(path, "wb") as f:
        f.write(data)
    argv = ["ip", "netns", "exec", a.lab.app] + a.arguments("damaged.img", a.path("state-damaged"))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=20, cwd=a.lab.dir)
    words = done.stdout.decode("utf-8", "replace")
    assert done.returncode not in CRASHES, f"{what}: crashed ({done.returncode}): {words[-300:]}"
    assert done.returncode == 1, f"{what}: exit {done.returncode}, not 1: {words[-300:]}"
    assert "damaged.img" in words, f"{what}: does not name the file: {words[-300:]}"
    return words


def image(a):
    with open(a.path("policy.img"), "rb") as f:
        return f.read()


@bound(60)
def test_truncated(a):
    data = image(a)
    for n in (0, 1, 7, 64, len(data) // 2, len(data) - 1):
        refused(a, data[:n], f"cut to {n} bytes")


@bound(120)
def test_flipped_bits(a):
    """A hash guards the manifest and every part: no flipped bit gets by, wherever it is."""
    data = image(a)
    rng = random.Random(521)
    ranges = Image(a.path("policy.img")).guarded()
    for i in range(30):
        first, length = ranges[i % len(ranges)]
        at = first + rng.randrange(length)
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        refused(a, bytes(flipped), f"bit flipped at byte {at} of {len(data)}")


@bound(60)
def test_foreign(a):
    with open(DATAPLANE, "rb") as f:
        refused(a, f.read(100000), "an ELF file")
    refused(a, b"version: 1\n" * 100, "a configuration")
    refused(a, random.Random(1).randbytes(65536), "noise")


@bound(30)
def test_missing(a):
    if os.path.exists(a.path("damaged.img")):
        os.unlink(a.path("damaged.img"))
    argv = ["ip", "netns", "exec", a.lab.app] + a.arguments("damaged.img", a.path("state-damaged"))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=20, cwd=a.lab.dir)
    assert done.returncode == 1 and b"damaged.img" in done.stdout, (done.returncode, done.stdout[-300:])

