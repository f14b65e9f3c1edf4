# SPDX-License-Identifier: BSD-3-Clause
"""The built programs carry the hardening that the build file asks for; read with readelf, since a
flag in a build file proves nothing about the binary."""

import json
import os
import subprocess


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


def programs(tree):
    """Executables that users run: those of the build outside tests/."""
    code, out = run("meson", "introspect", "--targets", tree.build)
    if code != 0:
        return []
    found = []
    for t in json.loads(out):
        place = os.path.relpath(t["defined_in"], tree.top)
        if t["type"] == "executable" and not place.startswith("tests"):
            found += [f for f in t["filename"] if os.path.exists(f)]
    return found


def hardened(tree):
    names = programs(tree)
    if not names:
        return [f"no built program under {os.path.basename(tree.build)}/"]
    bad = []
    for path in names:
        name = os.path.basename(path)
        _, head = run("readelf", "-hldW", path)
        _, symbols = run("readelf", "-W", "--dyn-syms", path)
        if "Type:                              DYN" not in head or "PIE" not in head:
            bad.append(f"{name}: not position-independent")
        if "GNU_RELRO" not in head or ("BIND_NOW" not in head and " NOW" not in head):
            bad.append(f"{name}: relocations stay writable (RELRO and NOW)")
        stack = [l for l in head.splitlines() if "GNU_STACK" in l]
        if not stack or "E" in stack[0].split()[-2]:
            bad.append(f"{name}: executable stack")
        if "__stack_chk_fail" not in symbols:
            bad.append(f"{name}: no stack protector")
        if "_chk@" not in symbols:
            bad.append(f"{name}: no fortified calls")
        if "TEXTREL" in head:
            bad.append(f"{name}: text relocations")
    return bad


def options(tree):
    code, out = run("meson", "introspect", "--buildoptions", tree.build)
    if code != 0:
        return ["the build does not describe itself"]
    values = {o["name"]: o["value"] for o in json.loads(out)}
    want = {"werror": True, "warning_level": "3", "b_pie": True, "b_ndebug": "false"}
    return [f"{k} is {values.get(k)!r}, not {v!r}" for k, v in want.items() if values.get(k) != v]


CHECKS = [
    ("warnings are errors", options),
    ("programs are hardened", hardened),
]
