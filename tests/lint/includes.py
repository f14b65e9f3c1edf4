# SPDX-License-Identifier: BSD-3-Clause
"""Who may include whom. The build enforces the same by giving each library only the public headers
it may see; this check reads the #include lines, so it also sees what a generous build would let by,
and names the rule that is broken.
"""

import os
import re

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
FOLDERS = ("tcpstack", "filters", "dataplane", "control", "hw", "bench", "tests")

# folder -> public headers of others it may include: (folder, header or * for all published)
MAY = {
    "tcpstack": [],
    "filters": [],
    "dataplane": [("tcpstack", "*"), ("filters", "*"), ("hw", "*")],
    "control": [("filters", "*"), ("dataplane", "stats.h")],
    "hw": [("tcpstack", "frame.h")],
    "bench": [(f, "*") for f in FOLDERS],
    "tests": [(f, "*") for f in FOLDERS],
}

LIBC = set("""
assert.h ctype.h errno.h fcntl.h inttypes.h limits.h math.h setjmp.h signal.h stdalign.h stdarg.h
stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h strings.h time.h unistd.h semaphore.h
endian.h byteswap.h sys/types.h sys/mman.h sys/random.h sys/stat.h sys/uio.h arpa/inet.h
netinet/in.h immintrin.h emmintrin.h smmintrin.h wmmintrin.h tmmintrin.h nmmintrin.h x86intrin.h
cpuid.h arm_neon.h pthread.h sched.h dirent.h getopt.h sys/eventfd.h sys/epoll.h poll.h
sys/ioctl.h net/if.h sys/socket.h sys/syscall.h sys/vfs.h sys/statfs.h linux/magic.h sys/time.h
sys/resource.h sys/prctl.h sys/wait.h
""".split())
LIBC_ONLY = ("tcpstack", "filters")  # and hw with rte_*.h
NEVER_IN_PURE = re.compile(r"^(sys/socket|sys/epoll|sys/time|poll|time|pthread|signal)\.h$")

# header pattern -> the only files that may include it, and why
CONFINED = [
    (r"rte_.*\.h", r"hw/|bench/|tests/unit/hw/", "DPDK is known to hw/ alone"),
    (r"urcu.*", r"dataplane/publish\.[ch]$", "only publish.* knows RCU"),
    (r"ares.*\.h", r"dataplane/resolver\.[ch]$", "only resolver.* knows c-ares"),
    (r"libpsl\.h", r"dataplane/(resolver_jobs|replay_answers)\.c$",
     "only the resolver knows public suffixes, and who answers in its place"),
    (r"lmdb\.h", r"dataplane/store\.[ch]$", "only store.* knows LMDB"),
    (r"hs(/.*|_.*)?\.h", r"filters/pattern|control/compile|bench/patterns|tests/unit/filters/pattern|tests/property/oracle", "only patterns and their compiler know Hyperscan"),
    (r"pcre2.*\.h", r"filters/pattern_confirm\.c$", "only the confirmation of patterns knows PCRE2"),
    (r"microhttpd\.h", r"control/metrics_http\.c$", "only metrics_http.c knows libmicrohttpd"),
    (r"maxminddb.*\.h", r"control/mmdb\.[ch]$", "only mmdb.* knows MaxMind DB files"),
    (r"cmocka\.h", r"tests/", "cmocka belongs to tests"),
    (r"pcap.*", r"dataplane/replay|bench/|tests/", "captures belong to the replay shell"),
]

# As a unit test, a fuzz target that builds hostile input for one folder may know its inside.
FUZZ_INSIDE = {"tests/fuzz/stack_fuzz.c": "tcpstack"}


def published(tree):
    """folder -> headers it publishes, read from the `publish` calls of the build files."""
    result = {f: set() for f in FOLDERS}
    for folder in FOLDERS:
        name = f"{folder}/meson.build"
        if name not in tree.files:
            continue
        for call in re.findall(r"run_command\(publish,(.*?)\)\s*$", tree.text(name), re.S | re.M):
            words = re.findall(r"'([^']*)'", call)
            if len(words) > 2:
                result[folder].update(w for w in words[2:] if w.endswith((".h", ".def")))
    return result


def include_lines(tree):
    names = [n for n in tree.files if n.endswith((".c", ".h", ".def")) and n.split("/")[0] in FOLDERS]
    for name in names:
        text = tree.text(name)
        for m in INCLUDE.finditer(text):
            yield name, text.count("\n", 0, m.start(2)) + 1, m.group(1) == "<", m.group(2)


def exists(tree, path):
    return os.path.normpath(path) in tree.files


def folder_rule(tree):
    public = published(tree)
    bad = []
    for name, line, angle, header in include_lines(tree):
        if angle:
            continue
        folder = name.split("/")[0]
        where = f"{name}:{line}"
        if header.startswith("../") or "/../" in header:
            bad.append(f"{where}: {header}: a path upward evades the rule")
            continue
        first = header.split("/")[0]
        if first in FOLDERS and "/" in header and first != "tests":
            rest = header[len(first) + 1:]
            if first == folder:
                bad.append(f"{where}: {header}: own headers are included as \"{rest}\"")
            elif not any(f == first and h in ("*", rest) for f, h in MAY[folder]):
                bad.append(f"{where}: {folder}/ may not include {header}")
            elif rest not in public[first]:
                bad.append(f"{where}: {header} is private to {first}/")
            continue
        if header == "postern_version.h":
            continue
        own = exists(tree, f"{os.path.dirname(name)}/{header}") or exists(tree, f"{folder}/{header}")
        unit = re.match(r"tests/unit/(\w+)/", name)
        inside = unit.group(1) if unit else FUZZ_INSIDE.get(name)
        if inside and exists(tree, f"{inside}/{header}"):
            own = True
        if folder == "tests" and not own:
            own = any(n.startswith("tests/") and n.endswith("/" + header) for n in tree.files)
        if not own:
            bad.append(f"{where}: \"{header}\" is no header of {folder}/")
    return bad


def confined(tree):
    bad = []
    for name, line, angle, header in include_lines(tree):
        for pattern, files, why in CONFINED:
            if re.fullmatch(pattern, header) and angle and not re.match(files, name):
                bad.append(f"{name}:{line}: <{header}>: {why}")
    return bad


def libc_only(tree):
    bad = []
    for name, line, angle, header in include_lines(tree):
        folder = name.split("/")[0]
        if not angle or folder not in LIBC_ONLY + ("hw",):
            continue
        if folder == "hw" and re.match(r"(rte_|linux/)", header):
            continue
        if folder == "filters" and name.startswith("filters/pattern") and header.startswith(("hs", "pcre2")):
            continue
        if header not in LIBC:
            bad.append(f"{name}:{line}: <{header}>: {folder}/ has libc alone")
        elif folder in LIBC_ONLY and NEVER_IN_PURE.match(header):
            bad.append(f"{name}:{line}: <{header}>: {folder}/ knows no clock, thread or socket")
    return bad


def seen_anything(tree):
    """A reader that reads nothing would pass everything."""
    n = sum(1 for _ in include_lines(tree))
    p = published(tree)
    return [] if n > 20 and p["tcpstack"] and p["filters"] else ["no #include lines or publications found"]


CHECKS = [
    ("include lines and publications are found", seen_anything),
    ("folders include only what they may", folder_rule),
    ("library headers stay confined", confined),
    ("tcpstack and filters need libc alone, hw DPDK", libc_only),
]
