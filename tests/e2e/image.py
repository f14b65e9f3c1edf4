# SPDX-License-Identifier: BSD-3-Clause
"""A policy image as the tests see it: its parts, and their hand-over to a running dataplane
(filters/image.h, control/README.md)."""

import fcntl
import os
import struct

MAGIC, HEADER, ENTRY, MAX_PARTS = 0x31474D494E545350, "<QIIIIQ", "<II32sQQ", 8
F_ADD_SEALS, ALL_SEALS = 1033, 1 | 2 | 4 | 8


class Image:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        magic, self.layout, self.epoch, n, _, size = struct.unpack_from(HEADER, self.data)
        if magic != MAGIC or size != len(self.data) or n > MAX_PARTS:
            raise ValueError(f"{path} is no image")
        self.parts = []
        for i in range(n):
            at = struct.calcsize(HEADER) + i * struct.calcsize(ENTRY)
            kind, _, sha, offset, length = struct.unpack_from(ENTRY, self.data, at)
            self.parts.append((kind, sha, offset, length))
        self.header_len = struct.calcsize(HEADER) + MAX_PARTS * struct.calcsize(ENTRY) + 32

    def guarded(self):
        """(offset, length) of everything that a hash covers; the rest is padding."""
        return [(0, self.header_len)] + [(o, n) for _, _, o, n in self.parts]

    def hand_over(self, ask, epoch=None):
        """policy.load with every part as a sealed memfd."""
        fds, parts = [], []
        try:
            for kind, sha, offset, length in self.parts:
                fd = os.memfd_create(f"part{kind}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
                fds.append(fd)
                view = memoryview(self.data)[offset:offset + length]
                while view:
                    view = view[os.write(fd, view):]
                fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)
                parts.append({"kind": kind, "sha256": sha.hex(), "size": length, "fd": len(fds) - 1})
            return ask("policy.load", {"epoch": epoch or self.epoch, "parts": parts}, fds)
        finally:
            for fd in fds:
                os.close(fd)
