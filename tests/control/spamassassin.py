#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`posternctl patterns import` of the rules in Debian's spamassassin package.

Prints TAP. The sums asserted are those of trying each expression by itself, tags not put in (1,367
compile, 211 more as candidates, 13 never, of 1,591): at least as many must be usable, and at most
as many refused.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POSTERN_BUILD") or os.path.join(TOP, "build")
RULES = "/usr/share/spamassassin"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
BOUND_S = 1500  # on one core of a slow machine


def checks(result, text):
    rules = [line for line in text.split("\n") if line and not line.startswith("#")]
    gtube = [line for line in rules if " name=GTUBE " in line]
    yield "exit and a clean stderr", (result.returncode, result.stderr) == (0, "")
    numbers = json.loads(result.stdout)
    for key in ("compiled", "confirm", "refused", "expressions"):
        print(f"# {key} {numbers[key]}")
    print(f"# metas {numbers['metas']} written {numbers['written']}")
    yield "every expression is counted once", (
        numbers["expressions"] == 1591
        and numbers["compiled"] + numbers["confirm"] + numbers["refused"] == 1591)
    yield "at most 13 are refused, each named", (
        numbers["refused"] <= 13 and len(numbers["refusals"]) == numbers["refused"]
        and all(r["file"] and r["line"] and r["rule"] and r["why"] for r in numbers["refusals"]))
    yield "at least 1,350 need no confirmation", numbers["compiled"] >= 1350
    yield "at least 200 metas are carried over", numbers["metas"]["carried"] >= 200
    yield "GTUBE is there with its score and matches", len(gtube) == 2 and all(
        " score=1000.00 " in line and re.search(re.search(r":/(.*)/ name", line).group(1), GTUBE)
        for line in gtube)
    yield "every line is written", len(rules) >= numbers["written"]["expressions"]


def main():
    bad = 0
    with tempfile.TemporaryDirectory(prefix="postern-import-") as folder:
        out = os.path.join(folder, "sa.patterns")
        result = subprocess.run(
            [os.path.join(BUILD, "control", "posternctl"), "--json", "patterns", "import", RULES, "--out", out],
            capture_output=True, text=True, timeout=BOUND_S)
        with open(out, encoding="latin-1", newline="\n") as f:
            text = f.read()
        n = 0
        for n, (what, good) in enumerate(checks(result, text), 1):
            print(f"{'ok' if good else 'not ok'} {n} - {what}")
            bad += not good
        print(f"1..{n}")
        if not bad and os.access(BUILD, os.W_OK):  # for tests/e2e/t_spamassassin.py
            shutil.copyfile(out, os.path.join(BUILD, "spamassassin.patterns"))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
