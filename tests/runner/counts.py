#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a refused and of a relayed session, counted by callgrind, against
bench/baseline.json. Time and chance are virtual in bench-counts, so a count repeats exactly on one
build; it moves with the compiler, hence the tolerance. A count that falls below it fails too: the
baseline is then out of date and a later loss would hide in the gap.

    tests/runner/counts.py [--record]     writes what it counted as the new baseline
"""

import json
import os
import re
import subprocess
import sys
import tempfile

TOP = os.environ.get("POSTERN_TOP", os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
BUILD = os.environ.get("POSTERN_BUILD", os.path.join(TOP, "build"))
BASELINE = os.path.join(TOP, "bench", "baseline.json")
PROGRAM = os.path.join(BUILD, "bench", "bench-counts")
# sessions of the long and of the short run: what start-up costs falls out of the difference
KINDS = {"refused": (400, 200), "relayed": (60, 20)}
TOLERANCE = 0.05


def collected(kind, n, folder):
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--toggle-collect=worker_turn",
         f"--callgrind-out-file={folder}/out", PROGRAM, kind, str(n)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", timeout=280)
    m = re.search(r"Collected\s*:\s*(\d+)", done.stdout)
    if done.returncode != 0 or not m or int(m.group(1)) == 0:
        raise RuntimeError(f"{kind} {n}: exit {done.returncode}: {done.stdout[-600:]}")
    return int(m.group(1))


def per_session(kind):
    many, few = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="postern-counts-") as folder:
        return round((collected(kind, many, folder) - collected(kind, few, folder)) / (many - few))


def main():
    record = "--record" in sys.argv[1:]
    try:
        with open(BASELINE) as f:
            baseline = json.load(f)
    except FileNotFoundError:
        baseline = {}
    print(f"1..{len(KINDS)}")
    bad = 0
    for i, kind in enumerate(KINDS, 1):
        why = ""
        try:
            now = per_session(kind)
            was = baseline.get("instructions_per_session", {}).get(kind)
            print(f"{kind}: {now} instructions a session"
                  + (f", baseline {was} ({(now / was - 1) * 100:+.1f} %)" if was else ""))
            if record:
                baseline.setdefault("instructions_per_session", {})[kind] = now
            elif not was:
                why = "bench/baseline.json has no such count; --record writes it"
            elif abs(now / was - 1) > TOLERANCE:
                why = (f"{now} is more than {TOLERANCE:.0%} off {was}; if that is meant, --record "
                       "and say why in the commit")
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
            why = str(e)
        bad += bool(why)
        print(f"{'not ok' if why else 'ok'} {i} - instructions of a {kind} session", flush=True)
        for line in why.split("\n"):
            if line:
                print(f"# {line}")
    if record and not bad:
        with open(BASELINE, "w") as f:
            json.dump(baseline, f, indent=1, sort_keys=True)
            f.write("\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
