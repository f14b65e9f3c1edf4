# SPDX-License-Identifier: BSD-3-Clause
"""Test results as TAP lines (testanything.org), the one format every part speaks."""

import re

LINE = re.compile(r"^\s*(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*)$")


class Result:
    """One test: its name, how it went, and the lines that belong to it."""

    def __init__(self, name, state, notes=""):
        self.name, self.state, self.notes = name, state, notes


def parse_line(line):
    """A Result for a TAP result line, else None."""
    m = LINE.match(line)
    if not m:
        return None
    name, _, directive = m.group(3).partition("#")
    if directive.strip().upper().startswith("SKIP"):
        # cmocka prints `not ok 3 # SKIP name`
        rest = directive.strip()[4:].strip()
        return Result(name.strip() or rest, "skipped", rest)
    return Result(name.strip(), "failed" if m.group(1) else "passed")


def parse(text):
    """All results of a TAP text; comment lines go to the result before them."""
    results = []
    for line in text.splitlines():
        r = parse_line(line)
        if r:
            results.append(r)
        elif results and line.startswith("#"):
            results[-1].notes += line[1:].strip() + "\n"
    return results
