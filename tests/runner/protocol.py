#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A row per requirement with its test, and how that test did in this run; ends `without test: N`.

Reads the tables (any row whose first cell is a requirement; the tests are what stands in backticks
in the cells after it, `*` for any run of characters) and build/test-results.json, which tests/run writes. A requirement is without
test when no row names one, when a named test did not run, or when it did not pass.
"""

import fnmatch
import fnmatch
import json
import os
import re
import sys

import requirements

TOP = os.environ.get("POSTERN_TOP", os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
TABLES = ("tests/smtp/README.md", "tests/unit/tcpstack/README.md", "tests/unit/filters/README.md",
          "tests/dns/README.md")


def key(text):
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def read_tables():
    """requirement -> names of tests, of all tables"""
    rows = {}
    for name in TABLES:
        try:
            with open(os.path.join(TOP, name)) as f:
                lines = f.read().split("\n")
        except FileNotFoundError:
            print(f"{name} is missing")
            continue
        for line in lines:
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if line.lstrip().startswith("|") and len(cells) > 1:
                tests = re.findall(r"`([^`\s]+)`", " ".join(cells[1:]))
                rows.setdefault(key(cells[0]), []).extend(tests)
    return rows


def read_results():
    """name and every tail of it -> state; a failure of any run of the test counts"""
    states = {}
    try:
        with open(os.path.join(TOP, "build", "test-results.json")) as f:
            parts = json.load(f)
    except FileNotFoundError:
        parts = {}
    for results in parts.values():
        for name, state in results.items():
            pieces = name.split("/")
            for i in range(len(pieces)):
                tail = "/".join(pieces[i:])
                if states.get(tail) != "failed":
                    states[tail] = state
    return states


def expand(tests, states):
    """`smtp_data/*` stands for what ran under such a name; for itself where nothing did"""
    return [n for t in tests
            for n in (sorted(fnmatch.filter(states, t)) if "*" in t else []) or [t]]


def meant(named, states):
    """The tests that a name with `*` stands for; itself where there is none."""
    if "*" not in named:
        return [named]
    return sorted(fnmatch.filter(states, named)) or [named]


def main():
    rows, states = read_tables(), read_results()
    lines, without = [], 0

    def requirement(label, words, need_both):
        nonlocal without
        tests = expand(rows.get(key(label), []), states)
        known = [t for t in tests if t in states]
        bad = [t for t in tests if states.get(t) != "passed"]
        why = ""
        if not tests:
            why = "no test is named"
        elif bad:
            why = "; ".join(f"{t}: {states.get(t, 'did not run')}" for t in bad[:3])
        elif need_both and not ({"v4", "v6"} <= {m for t in tests
                                                 for m in re.findall(r"v[46]", t)}):
            why = "not for IPv4 and IPv6 both"
        without += bool(why)
        shown = ", ".join(known[:2]) + (f" and {len(known) - 2} more" if len(known) > 2 else "")
        print(f"{label:36} {words[:58]:58} {why or shown}")
        lines.append((label, why))

    for label, words in requirements.PROTOCOL:
        requirement(label, words, False)
    for case in requirements.TCP_CASES:
        requirement(case, "", case not in requirements.ONE_FAMILY)
    for state in requirements.STATES:
        for event in requirements.EVENTS:
            requirement(f"{state} x {event}", "", True)
    print(f"1..{len(lines)}")
    for i, (label, why) in enumerate(lines, 1):
        print(f"{'not ok' if why else 'ok'} {i} - {label}" + (f"\n# {why}" if why else ""))
    print(f"without test: {without}", flush=True)
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
