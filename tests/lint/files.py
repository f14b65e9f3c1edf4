# SPDX-License-Identifier: BSD-3-Clause
"""What every file and folder owes: a licence line, a bounded length, a README, no loose ends."""

import re

LONG, TOO_LONG = 600, 1000
SOURCE = (".c", ".h", ".def", ".py", ".sh", "meson.build", "meson_options.txt")
# Put together so that this file does not find itself.
LOOSE_ENDS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
MACHINE = re.compile("|".join((r"(?<![\w.~-])/wo" + r"rk/", r"/tm" + r"p/b-", r"(?<![\w.])/ro" + r"ot/",
                               r"py" + r"env", r"ccac" + r"he", r"land\.s" + r"h\b")))


def sources(tree):
    scripts = set(tree.scripts("sh", "bash", "python3"))
    return [n for n in tree.files if n.endswith(SOURCE) or n in scripts]


def licence(tree):
    bad = []
    for name in sources(tree):
        if not any("SPDX-License-Identifier: BSD-3-Clause" in line
                   for line in tree.text(name).split("\n")[:2]):
            bad.append(f"{name}:1: no line `SPDX-License-Identifier: BSD-3-Clause`")
    return bad


def length(tree):
    bad = []
    for name in sources(tree):
        n = tree.text(name).count("\n")
        if n > TOO_LONG:
            bad.append(f"{name}: {n} lines hold two things (at most {TOO_LONG})")
        elif n > LONG:
            tree.note(f"{name}: {n} lines want a second look")
    return bad


def loose_ends(tree):
    return [f"{name}:{i}: {line.strip()[:80]}" for name in tree.files if tree.is_text(name)
            for i, line in enumerate(tree.text(name).split("\n"), 1) if LOOSE_ENDS.search(line)]


def machine_paths(tree):
    return [f"{name}:{i}: names a path or tool of one machine: {line.strip()[:80]}"
            for name in tree.files if tree.is_text(name)
            for i, line in enumerate(tree.text(name).split("\n"), 1) if MACHINE.search(line)]


def readmes(tree):
    folders = sorted({n.split("/")[0] for n in tree.files if "/" in n and not n.startswith(".")})
    bad = []
    for folder in folders:
        name = f"{folder}/README.md"
        if name not in tree.files:
            bad.append(f"{folder}/: no README.md")
        elif tree.text(name).count("\n") < 5:
            bad.append(f"{name}: says nothing yet")
    return bad


def whitespace(tree):
    bad = []
    for name in sources(tree):
        text = tree.text(name)
        if "\r" in text:
            bad.append(f"{name}: carriage returns")
        if text and not text.endswith("\n"):
            bad.append(f"{name}: no newline at the end")
        bad += [f"{name}:{i}: blanks at the end of the line"
                for i, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
    return bad


def tests_exist(tree):
    """A unit test has the name of the file it tests."""
    bad = []
    for name in tree.files:
        m = re.match(r"tests/unit/(\w+)/(\w+)_test\.c$", name)
        if m and not re.search(rf"'{m.group(2)}'", tree.text(f"{m.group(1)}/meson.build")):
            bad.append(f"{name}: not in {m.group(1)}_tests of {m.group(1)}/meson.build: it never runs")
    return bad


CHECKS = [
    ("each source names its licence", licence),
    ("no file is too long", length),
    ("no loose ends", loose_ends),
    ("no path of one machine", machine_paths),
    ("each folder has its page", readmes),
    ("no stray blanks", whitespace),
    ("each unit test is built", tests_exist),
]
