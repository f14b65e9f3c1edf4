# SPDX-License-Identifier: BSD-3-Clause
"""The two builds that the parts use. Both live in the checkout and are made anew only where stale."""

import os
import subprocess

OPTIONS = {
    "release": ["--buildtype=release"],
    # Without -Db_lundef=false the sanitizers' symbols count as undefined. Level 1: fast enough for
    # 500 simulations, with frames that still tell where.
    "asan": ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1", "-Ddebug=true"],
}
FOLDER = {"release": "build", "asan": "build-asan"}


def environment(top, name, long_run):
    env = dict(os.environ)
    env.update(
        POSTERN_TOP=top,
        POSTERN_BUILD=os.path.join(top, FOLDER.get(name, "build")),
        POSTERN_LONG="1" if long_run else "0",
        ASAN_OPTIONS="abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1",
        UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
    )
    return env


def make(top, name):
    """Sets the build up and builds it. Returns None, or the log of what went wrong."""
    folder = os.path.join(top, FOLDER[name])
    steps = []
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        steps.append(["meson", "setup", folder, top] + OPTIONS[name])
    steps.append(["ninja", "-C", folder])
    for step in steps:
        done = subprocess.run(step, cwd=top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode != 0:
            lines = done.stdout.splitlines()
            wrong = [i for i, l in enumerate(lines) if "error:" in l or "FAILED" in l or "ERROR" in l]
            first = max(0, wrong[0] - 2) if wrong else max(0, len(lines) - 30)
            return "\n".join(lines[first:first + 40])
    return None
