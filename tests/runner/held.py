#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A million clients held by the tarpit, each through a real handshake and session: the process's
resident memory says what one costs (DESIGN: at most 64 bytes, index included). Prints TAP."""
import json
import os
import subprocess
import sys

CLIENTS = 1000000
LIMIT = 64


def main():
    build = os.environ.get("POSTERN_BUILD", "build")
    bad = 0
    print("1..2")
    for number, (family, option) in enumerate((("IPv4", []), ("IPv6", ["-6"])), 1):
        done = subprocess.run([os.path.join(build, "bench", "bench-tarpit"), "--json", "--clients", str(CLIENTS), *option],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
        value = json.loads(done.stdout)["value"] if done.returncode == 0 else None
        good = value is not None and 20 < value <= LIMIT
        bad += not good
        print(f"{'ok' if good else 'not ok'} {number} - {CLIENTS} held over {family}")
        print(f"# {value} bytes each; {done.stderr.strip()}" if value else f"# {done.stderr.strip()}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
