# SPDX-License-Identifier: BSD-3-Clause
"""Runs the parts of the table tests/parts and ends with `N passed, N failed`.

A part is a meson suite or a program that prints TAP. What a part cannot find (a tool, a suite, its
own program) is a failure: a test that silently does not run proves nothing. Results by test name go
to build/test-results.json, from where the part `protocol` takes what each requirement's test did.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import build
import tap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(TOP, "build", "test-results.json")
STILL_EVERY_S = 30
FAILURES_SHOWN = 40
NEEDED_BY = {"protocol": ["tcp", "smtp", "unit", "spf", "dns"]}  # runs after these, and has them run


class Part:
    def __init__(self, row):
        self.name, self.run, self.build, self.root, bound, self.what = row.split(None, 5)
        self.bound_s = int(bound)


def read_parts():
    with open(os.path.join(TOP, "tests", "parts")) as f:
        rows = [line.split("#")[0].strip() for line in f]
    return [Part(r) for r in rows if r]


def end_group(process):
    """Ends a part that outlived its bound, with all it started: the group is its own."""
    for sig, wait_s in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sig)
            process.wait(wait_s)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def run_process(argv, env, bound_s, each_line):
    """Runs argv in a process group of its own; True in the second place when the bound cut it."""
    process = subprocess.Popen(argv, cwd=TOP, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    cut = threading.Event()

    def end():
        cut.set()
        end_group(process)

    timer = threading.Timer(bound_s, end)
    timer.start()
    try:
        for line in process.stdout:
            each_line(line.rstrip("\n"))
        process.wait()
    except KeyboardInterrupt:
        end_group(process)
        raise
    finally:
        timer.cancel()
    return process.returncode, cut.is_set()


class Still:
    """Says every half minute that a part is still at work; output to a file stays readable."""

    def __init__(self, name, say):
        self.name, self.say, self.last = name, say, ""
        self.stop = threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stop.wait(STILL_EVERY_S):
            self.say(f"  {self.name}: still running after {time.monotonic() - self.began:.0f} s"
                     + (f" ({self.last})" if self.last else ""))

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.stop.set()
        self.thread.join()


def run_meson(part, env, still, say):
    results = []
    folder = env["POSTERN_BUILD"]
    log = os.path.join(folder, "meson-logs", "testlog.json")
    for suite in part.what[len("meson:"):].split(","):
        if os.path.exists(log):
            os.unlink(log)
        still.last = suite
        lines = []
        code, cut = run_process(
            ["meson", "test", "-C", folder, "--no-rebuild", "--suite", suite, "--print-errorlogs"],
            env, part.bound_s, lines.append)
        rows = []
        if os.path.exists(log):
            with open(log) as f:
                rows = [json.loads(line) for line in f if line.strip()]
        if not rows:
            results.append(tap.Result(f"{suite}: the build has no such tests", "failed",
                                      "\n".join(lines[-5:])))
        for row in rows:
            results += of_meson_row(row)
        if cut:
            results.append(tap.Result(f"{suite}: longer than {part.bound_s} s", "failed"))
        elif code != 0 and all(r.state != "failed" for r in results):
            results.append(tap.Result(f"{suite}: meson test exits {code}", "failed",
                                      "\n".join(lines[-15:])))
    return results


def of_meson_row(row):
    """Single tests of one test program, named program/test."""
    program = row["name"].split(" / ")[-1]
    cases = tap.parse(row.get("stdout", ""))
    good = row["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
    if not cases:
        state = {"OK": "passed", "SKIP": "skipped"}.get(row["result"], "failed")
        text = row.get("stdout", "") + row.get("stderr", "")
        return [tap.Result(program, state, "" if good else "\n".join(text.splitlines()[-25:]))]
    for case in cases:
        case.name = f"{program}/{case.name}"
    if not good and all(c.state != "failed" for c in cases):
        text = row.get("stderr", "") or row.get("stdout", "")
        cases.append(tap.Result(f"{program} ({row['result']})", "failed",
                                "\n".join(text.splitlines()[-25:])))
    return cases


def run_program(part, env, still, say):
    program = part.what.split()
    if not os.access(os.path.join(TOP, program[0]), os.X_OK):
        return [tap.Result(f"{part.name}: there is no program {program[0]}", "failed")]
    results, tail = [], []

    def each_line(line):
        r = tap.parse_line(line)
        if r:
            results.append(r)
            still.last = r.name
            tail.clear()
            if r.state == "failed":
                say(f"  not ok  {r.name}")
        elif line.startswith("#"):
            if results and results[-1].state == "failed":
                say("         " + line[1:])
                results[-1].notes += line[1:].strip() + "\n"
        elif line.startswith("1..") and line[3:].isdigit():
            return
        else:
            tail.append(line)
            del tail[:-30]
            if not line.startswith("TAP version"):
                say("  " + line)

    code, cut = run_process(program, env, part.bound_s, each_line)
    if cut:
        results.append(tap.Result(f"{part.name}: longer than {part.bound_s} s", "failed",
                                  f"last: {still.last}"))
    elif code != 0 and all(r.state != "failed" for r in results):
        results.append(tap.Result(f"{part.name}: {program[0]} exits {code}", "failed",
                                  "\n".join(tail)))
    elif not results:
        results.append(tap.Result(f"{part.name}: {program[0]} ran no test", "failed"))
    return results


def save(part, results):
    os.makedirs(os.path.dirname(RESULTS), exist_ok=True)
    try:
        with open(RESULTS) as f:
            known = json.load(f)
    except (OSError, ValueError):
        known = {}
    known[part.name] = {r.name: r.state for r in results}
    with open(RESULTS, "w") as f:
        json.dump(known, f, indent=1, sort_keys=True)


def choose(parts, names, long_run):
    known = {p.name: p for p in parts}
    unknown = [n for n in names if n not in known]
    if unknown:
        sys.exit(f"tests/run: no part {', '.join(unknown)}; tests/run --list names them")
    if not names:
        return [p for p in parts if p.run == "default" or long_run]
    wanted = set(names)
    for name in names:
        wanted.update(NEEDED_BY.get(name, []))
    return [p for p in parts if p.name in wanted]


def main():
    ap = argparse.ArgumentParser(prog="tests/run", description=__doc__.splitlines()[0])
    ap.add_argument("names", nargs="*", metavar="NAME", help="a part; all of them by default")
    ap.add_argument("--long", action="store_true", help="the long variants too")
    ap.add_argument("--list", action="store_true", help="name the parts and stop")
    ap.add_argument("--json", action="store_true", help="one JSON object a part on standard output; "
                    "progress goes to standard error")
    args = ap.parse_args()
    parts = read_parts()
    if args.list:
        for p in parts:
            print(f"{p.name:12} {p.run:8} {p.build:8} {p.root:5} {p.bound_s:5} s  {p.what}")
        return 0

    def say(text):
        print(text, file=sys.stderr if args.json else sys.stdout, flush=True)

    chosen = choose(parts, args.names, args.long)
    began = time.monotonic()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    broken = {}  # build -> log
    if os.path.exists(RESULTS):
        os.unlink(RESULTS)
    failures = []
    for need in ("release", "asan"):
        if any(p.build == need for p in chosen):
            say(f"[build] {need}")
            start = time.monotonic()
            log = build.make(TOP, need)
            if log is not None:
                broken[need] = log
                counts["failed"] += 1
                failures.append(f"build {need}")
                say(log)
            say(f"[build] {need}: {'FAILED' if log is not None else 'done'}, "
                f"{time.monotonic() - start:.1f} s")
    for part in chosen:
        start = time.monotonic()
        say(f"[{part.name}] {part.what}")
        env = build.environment(TOP, part.build, args.long)
        with Still(part.name, say) as still:
            if part.build in broken:
                results = [tap.Result(f"{part.name}: not run, its build failed", "failed")]
            elif part.root == "root" and os.geteuid() != 0:
                results = [tap.Result(f"{part.name}: needs root", "failed")]
            elif part.what.startswith("meson:"):
                results = run_meson(part, env, still, say)
                for r in results:
                    if r.state == "failed":
                        say(f"  not ok  {r.name}")
                        for line in r.notes.splitlines():
                            say("         " + line)
            else:
                results = run_program(part, env, still, say)
                for r in results:
                    if r.state == "failed" and r.name.startswith(part.name + ":"):
                        say(f"  not ok  {r.name}")
                        for line in r.notes.splitlines():
                            say("         " + line)
        save(part, results)
        n = {s: sum(r.state == s for r in results) for s in counts}
        for s in counts:
            counts[s] += n[s]
        failures += [f"{part.name}: {r.name}" for r in results if r.state == "failed"]
        took_s = time.monotonic() - start
        say(f"[{part.name}] {n['passed']} passed, {n['failed']} failed"
            + (f", {n['skipped']} skipped" if n["skipped"] else "") + f", {took_s:.1f} s")
        if args.json:
            print(json.dumps({"part": part.name, "seconds": round(took_s, 1), **n,
                              "tests": {r.name: r.state for r in results}}), flush=True)
    if failures and len(chosen) > 1:
        say("failed:")
        for f in failures[:FAILURES_SHOWN]:
            say("  " + f)
        if len(failures) > FAILURES_SHOWN:
            say(f"  ... and {len(failures) - FAILURES_SHOWN} more")
    say(f"took {time.monotonic() - began:.0f} s")
    print(f"{counts['passed']} passed, {counts['failed']} failed"
          + (f", {counts['skipped']} skipped" if counts["skipped"] else ""), flush=True)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("tests/run: interrupted", file=sys.stderr)
        sys.exit(130)
