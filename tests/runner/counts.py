#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a refused and of a relayed session, counted by callgrind, against
bench/baseline.json. Time and chance are virtual in bench-counts, so a count repeats exactly on one
build; it moves with the compiler, hence the tolerance. A count that falls below it asks for a new
baseline, in whose gap a later loss would hide. Some loops are chosen by what the CPU has: the baseline
names that, and on another kind of CPU nothing is compared. valgrind shows AVX2 at most.

    tests/runner/counts.py [--renew]     writes what it counted as the new baseline
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
KINDS = {"refused": (3200, 400), "relayed": (200, 20)}
TOLERANCE = 0.03
FEATURES = ("popcnt", "bmi1", "avx2")  # what __builtin_cpu_supports() is asked for, as valgrind has it


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


def cpu():
    with open("/proc/cpuinfo") as f:
        flags = re.search(r"^flags\s*:(.*)$", f.read(), re.M)
    return [x for x in FEATURES if flags and x in flags.group(1).split()]


def main():
    record = "--renew" in sys.argv[1:] or "--record" in sys.argv[1:]
    try:
        with open(BASELINE) as f:
            baseline = json.load(f)
    except FileNotFoundError:
        baseline = {}
    print(f"1..{len(KINDS)}")
    bad = 0
    same_cpu = baseline.get("cpu", cpu()) == cpu()
    if record:
        baseline["cpu"] = cpu()
    for i, kind in enumerate(KINDS, 1):
        why = skip = ""
        try:
            now = per_session(kind)
            was = baseline.get("instructions_per_session", {}).get(kind)
            print(f"{kind}: {now} instructions a session"
                  + (f", baseline {was} ({(now / was - 1) * 100:+.1f} %)" if was else ""))
            if record:
                baseline.setdefault("instructions_per_session", {})[kind] = now
            elif not was:
                why = "bench/baseline.json has no such count; --renew writes it"
            elif not same_cpu:
                skip = f" # SKIP the baseline is of a CPU with {baseline['cpu']}, this one has {cpu()}"
            elif now / was - 1 > TOLERANCE:
                why = (f"{now} is more than {TOLERANCE:.0%} above {was}; if that is meant, --renew "
                       "and say why in the commit")
            elif now / was - 1 < -TOLERANCE:
                print(f"{kind}: better than the baseline; tests/runner/counts.py --renew keeps it so")
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
            why = str(e)
        bad += bool(why)
        print(f"{'not ok' if why else 'ok'} {i} - instructions of a {kind} session{skip}", flush=True)
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
