# SPDX-License-Identifier: BSD-3-Clause
"""Functions that no file calls, and those that the pure parts do not call: a clock, a socket."""

import re

ANYWHERE = ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "atoi", "atol", "system",
            "popen", "alloca", "tmpnam", "mktemp")
PURE = ("clock_gettime", "gettimeofday", "time", "localtime", "nanosleep", "usleep", "sleep",
        "__rdtsc", "__rdtscp", "rdtsc", "socket", "bind", "listen", "accept", "recv", "send", "sendto",
        "recvfrom", "poll", "select", "epoll_wait", "open", "fopen", "read", "write", "printf",
        "fprintf", "pthread_create", "pthread_mutex_lock", "getrandom", "rand", "random")
# Allocation per packet is forbidden by review; here only what no pure file has a use for.


def calls(tree, names, words):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(map(re.escape, words)) + r")\s*\(")
    bad = []
    for name in names:
        code = tree.code(name)
        for m in pattern.finditer(code):
            line = code.count("\n", 0, m.start()) + 1
            bad.append(f"{name}:{line}: {m.group(1)}()")
    return bad


def brain(tree):
    """The C files of dataplane/ that the build puts into the library without I/O (`dataplane_lib`)."""
    name = "dataplane/meson.build"
    m = re.search(r"dataplane_lib\s*=\s*static_library\('[^']*',\s*\[?(.*?)\]?\s*,\s*\w+:",
                  tree.text(name), re.S)
    return [f"dataplane/{s}" for s in re.findall(r"'([\w./-]+\.c)'", m.group(1))] if m else []


def pure_files(tree):
    pure = [n for n in tree.files if n.endswith(".c") and n.startswith(("tcpstack/", "filters/"))]
    return pure + [n for n in brain(tree) if n in tree.files]


def anywhere(tree):
    return calls(tree, tree.c_files(), ANYWHERE)


def pure(tree):
    # image writers and readers of filters/ work on memory; nothing in these folders opens a file
    return calls(tree, pure_files(tree), PURE)


def brain_found(tree):
    return [] if brain(tree) else ["dataplane/meson.build: no `dataplane_lib = static_library(...)`; "
                                   "the brain's files could not be checked"]


def assert_effects(tree):
    """assert() stays in every build; a changing expression in it is still a trap for readers."""
    pattern = re.compile(r"\bassert\(([^;]*?)\);", re.S)
    bad = []
    for name in tree.c_files():
        code = tree.code(name)
        for m in pattern.finditer(code):
            if re.search(r"\+\+|--|(?<![=!<>+\-*/|&])=(?!=)", m.group(1)):
                bad.append(f"{name}:{code.count(chr(10), 0, m.start()) + 1}: assert() with a side effect")
    return bad


CHECKS = [
    ("no function that overruns or executes", anywhere),
    ("the brain's files are known", brain_found),
    ("no clock, socket or file in the pure parts", pure),
    ("no side effect in an assert", assert_effects),
]
