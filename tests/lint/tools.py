# SPDX-License-Identifier: BSD-3-Clause
"""Checkers from the distribution. A missing tool is a complaint, never a pass."""

import os
import re
import shutil
import subprocess

CPPCHECK = [
    "cppcheck", "--quiet", "--std=c11", "--language=c", "--enable=warning,portability",
    "--inline-suppr", "--max-configs=4", "--error-exitcode=0",
    "--template={file}:{line}: {severity} {id}: {message}",
    # each named with its reason
    "--suppress=missingIncludeSystem",        # libc is known to cppcheck by its own tables
    "--suppress=unknownMacro",                # REASON and COUNTER rows
    "--suppress=uninitvar",                   # takes an array filled by memcpy for unset; gcc knows better
    "--suppress=invalidPrintfArgType_uint",   # takes an enum constant for signed; gcc -Wformat=2 judges
    "--suppress=unmatchedSuppression",
    "--suppress=normalCheckLevelMaxBranches",
    "--suppress=toomanyconfigs",
]

SHELLCHECK = [
    "shellcheck", "--shell=bash", "-S", "warning", "-f", "gcc",
    "-e", "SC2154",  # variables that a sourced file sets
    "-e", "SC2034",  # variables that a sourced file reads
    "-e", "SC2010",  # ls | grep over names that the kernel makes
    "-e", "SC2046",  # lists of words split on purpose
]


def missing(tool):
    return None if shutil.which(tool) else [f"{tool} is not installed (tests/packages.txt)"]


def run(tree, argv):
    done = subprocess.run(argv, cwd=tree.top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode, done.stdout


def formatting(tree):
    gone = missing("clang-format")
    if gone:
        return gone
    bad = []
    for name in tree.c_files():
        code, out = run(tree, ["clang-format", "--style=file", "--dry-run", "-Werror", name])
        if code != 0:
            lines = re.findall(rf"^{re.escape(name)}:(\d+):", out, re.M)
            bad.append(f"{name}:{lines[0] if lines else 1}: {len(lines)} places differ from "
                       "`clang-format -i` with the .clang-format here")
    return bad


def cppcheck(tree):
    gone = missing("cppcheck")
    if gone:
        return gone
    names = [n for n in tree.c_files() if n.endswith(".c") and not n.startswith("tests/")]
    argv = CPPCHECK + ["-j", str(min(2, os.cpu_count() or 1))]
    argv += [f"-I{tree.build}/public/{d}" for d in sorted(os.listdir(f"{tree.build}/public"))] \
        if os.path.isdir(f"{tree.build}/public") else []
    code, out = run(tree, argv + names)
    bad = [l for l in out.splitlines() if re.match(r"\S+:\d+: (error|warning|portability)", l)]
    if code != 0 and not bad:
        bad = out.splitlines()[-5:]
    return bad


def shellcheck(tree):
    gone = missing("shellcheck")
    if gone:
        return gone
    scripts = tree.scripts("sh", "bash")
    if not scripts:
        return ["no shell script found"]
    code, out = run(tree, SHELLCHECK + scripts)
    return out.splitlines() if code else []


def python(tree):
    """Every Python file compiles."""
    bad = []
    for name in sorted(set([n for n in tree.files if n.endswith(".py")] + tree.scripts("python3"))):
        try:
            compile(tree.text(name), name, "exec")
        except SyntaxError as e:
            bad.append(f"{name}:{e.lineno}: {e.msg}")
    return bad


CHECKS = [
    ("Python compiles", python),
    ("shellcheck", shellcheck),
    ("clang-format", formatting),
    ("cppcheck", cppcheck),
]
