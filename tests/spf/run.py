#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The RFC 7208 test suite (openspf.org, release 2014.04) against filters/spf.

    tests/spf/run.py [-v] [WORD...]     only tests whose scenario/name contains a word; -v: every question

The suite is the one in the documentation of Debian's package python3-spf; $SPF_SUITE names another
file. It is not copied here, and where it is missing that is a failure. The DNS is played from each
scenario's zone data by the rules that come with the suite: what is said of SPF holds for TXT unless
the name has a TXT of its own, `TXT: NONE` is none at all, and a name with TIMEOUT times out for every
type that nothing was given for. Prints TAP, then `N passed, N skipped`.
"""

import gzip
import ipaddress
import os
import re
import subprocess
import sys

TOP = os.environ.get("POSTERN_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("POSTERN_BUILD") or os.path.join(TOP, "build")
PROGRAM = os.path.join(BUILD, "tests", "spf", "spf_ask")
SUITE = os.environ.get("SPF_SUITE", "/usr/share/doc/python3-spf/rfc7208-tests.yml.gz")
RECEIVER = "receiver.example"
NOW_S = 1_700_000_000
ALIASES_MAX = 8
QUESTIONS_MAX = 123  # SPF_QUESTIONS_MAX
N_TESTS = 203        # of release 2014.04; fewer would be another file, or half of one


def fatal(sentence):
    print(f"tests/spf/run.py: {sentence}", file=sys.stderr)
    sys.exit(1)


def read_suite():
    try:
        import yaml
    except ImportError:
        fatal("The Python module yaml is missing: install python3-yaml (tests/packages.txt).")
    try:
        opener = gzip.open if SUITE.endswith(".gz") else open
        with opener(SUITE, "rb") as f:
            scenarios = list(yaml.safe_load_all(f))
    except FileNotFoundError:
        fatal(f"{SUITE} is missing: it is part of the package python3-spf (tests/packages.txt); where "
              "dpkg is told to leave documentation out, SPF_SUITE can name the file.")
    except (OSError, EOFError, yaml.YAMLError) as e:
        fatal(f"{SUITE} cannot be read: {e}")
    n = sum(len(s["tests"]) for s in scenarios)
    if n < N_TESTS:
        fatal(f"{SUITE} holds {n} tests, not {N_TESTS}: it is not the suite of release 2014.04.")
    return scenarios


def octets(text):
    return text.encode("utf-8")


class Zone:
    """(name, type) -> records as bytes; names that time out"""

    def __init__(self, data):
        self.records, self.timeouts, self.names = {}, set(), set()
        for name, entries in data.items():
            name = name.lower().rstrip(".")
            self.names.add(name)
            has_txt = any(isinstance(e, dict) and "TXT" in e for e in entries)
            for entry in entries:
                if entry == "TIMEOUT":
                    self.timeouts.add(name)
                    continue
                for kind, value in entry.items():
                    if kind == "SPF":
                        if has_txt:
                            continue
                        kind = "TXT"
                    if value == "NONE":
                        continue
                    self.records.setdefault((name, kind), []).append(self.octets(kind, value))

    @staticmethod
    def octets(kind, value):
        if kind in ("A", "AAAA"):
            return ipaddress.ip_address(value).packed
        if kind == "MX":
            return octets(value[1])
        if kind == "TXT":
            return b"".join(octets(s) for s in ([value] if isinstance(value, str) else value))
        return octets(value)

    def ask(self, name, kind):
        """(status, records); aliases followed"""
        name = name.lower()
        for _ in range(ALIASES_MAX):
            found = self.records.get((name, kind))
            if found:
                return "ok", found
            if name in self.timeouts:
                return "timeout", []
            alias = self.records.get((name, "CNAME"))
            if not alias:
                return ("nodata" if name in self.names else "nxdomain"), []
            name = alias[0].decode().lower().rstrip(".")
        return "servfail", []


class Machine:
    def __init__(self):
        try:
            self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as e:
            fatal(f"{PROGRAM} does not run: {e.strerror}. Build first.")

    def say(self, *words):
        line = " ".join((w.hex() or "-") if isinstance(w, bytes) else str(w) for w in words) + "\n"
        try:
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline().decode().split()
        if not line:
            raise AssertionError(f"spf_ask ends with {self.process.wait()}")
        return line

    def check(self, test, zone, trace):
        address = ipaddress.ip_address(test["host"])
        packed = address.packed
        client = packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed
        line = self.say("start", client, octets(test["helo"]), octets(test["mailfrom"] or ""),
                        octets(RECEIVER), NOW_S)
        asked = 0
        while line[0] == "ask":
            asked += 1
            if asked > QUESTIONS_MAX:
                raise AssertionError(f"more than {QUESTIONS_MAX} questions")
            name = text(line[3])
            status, records = zone.ask(name, line[2])
            trace.append(f"{line[2]} {name}: {status} {len(records)}")
            line = self.say("answer", line[1], status, *records)
        trace.append(" ".join(line[:2] + line[5:]))
        return line[1], text(line[4])

    def end(self):
        self.process.stdin.close()
        return self.process.wait(10)


def text(word):
    return "" if word == "-" else bytes.fromhex(word).decode("latin-1")


def complaint(test, result, explanation):
    wanted = test["result"] if isinstance(test["result"], list) else [test["result"]]
    if result not in wanted:
        return f"got {result}, wanted {' or '.join(wanted)} (RFC 7208 {test.get('spec')})"
    if "explanation" in test and (explanation or "DEFAULT") != test["explanation"]:
        return f"explained {explanation or 'DEFAULT'!r}, wanted {test['explanation']!r}"
    return ""


def main():
    verbose = "-v" in sys.argv[1:]
    words = [w for w in sys.argv[1:] if w != "-v"]
    cases = []
    for scenario in read_suite():
        zone = Zone(scenario["zonedata"])
        slug = re.sub(r"[^a-z0-9]+", "-", scenario["description"].lower()).strip("-")
        cases += [(f"{slug}/{name}", test, zone) for name, test in scenario["tests"].items()]
    if words:
        cases = [c for c in cases if any(w in c[0] for w in words)]
    if not cases:
        fatal("no test has such a name.")
    machine = Machine()
    failed = 0
    for i, (name, test, zone) in enumerate(cases, 1):
        trace = []
        try:
            why = complaint(test, *machine.check(test, zone, trace))
        except AssertionError as e:
            why = str(e)
            machine = Machine()
        failed += bool(why)
        print(f"{'not ok' if why else 'ok'} {i} - {name}", flush=True)
        for line in ([why] if why else []) + (trace if verbose or why else []):
            print(f"# {line}")
    if machine.end() != 0:
        fatal("spf_ask did not end well.")
    print(f"{len(cases) - failed} passed, {f'{failed} failed, ' if failed else ''}0 skipped", flush=True)
    print(f"1..{len(cases)}", flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
