# SPDX-License-Identifier: BSD-3-Clause
"""Runs groups of end-to-end tests and prints TAP.

A group is a module: `setup()` brings up a laboratory and gives back a context with a method close();
each function test_* takes the context, in the order they stand in the file. A test fails by raising.
Each has a bound (attribute bound_s, 60 s else), kept by an alarm. A group whose setup fails has all
its tests failed; what a group made is removed whatever happens.
"""

import signal
import sys
import time
import traceback

BOUND_S = 60


class Skip(Exception):
    pass


class TooLong(Exception):
    pass


def bound(seconds):
    def mark(function):
        function.bound_s = seconds
        return function
    return mark


def alarm(signum, frame):
    raise TooLong("the test's bound has passed")


def ended(signum, frame):
    sys.exit(128 + signum)


def tests_of(module):
    return [(n, f) for n, f in vars(module).items() if n.startswith("test_") and callable(f)]


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def line(self, name, error=None, skip=None):
        self.n += 1
        self.failed += error is not None
        print(f"{'not ok' if error is not None else 'ok'} {self.n} - {name}"
              + (f" # SKIP {skip}" if skip else ""), flush=True)
        if error:
            for text in str(error).rstrip().split("\n")[-40:]:
                print(f"# {text}", flush=True)


def describe(e):
    """The exception in words, and where in the tests it came from."""
    places = [f for f in traceback.extract_tb(e.__traceback__) if "/tests/" in f.filename]
    where = "".join(f"\nat {f.filename.rsplit('/', 2)[-2]}/{f.filename.rsplit('/', 1)[-1]}:{f.lineno}: "
                    f"{f.line}" for f in places[-4:])
    return f"{type(e).__name__}: {e}{where}"


def run_group(module, words, tap):
    group = module.__name__
    chosen = [(n, f) for n, f in tests_of(module)
              if not words or any(w in f"{group}/{n}" for w in words)]
    if not chosen:
        return
    context = None
    try:
        signal.alarm(getattr(module, "SETUP_S", 90))
        context = module.setup()
        signal.alarm(0)
    except BaseException as e:
        signal.alarm(0)
        if isinstance(e, (SystemExit, KeyboardInterrupt)):
            raise
        for i, (name, _) in enumerate(chosen):
            tap.line(f"{group}/{name}", f"setup: {describe(e)}" if i == 0 else "setup failed")
        return
    try:
        for name, function in chosen:
            start = time.monotonic()
            error = skip = None
            try:
                signal.alarm(getattr(function, "bound_s", BOUND_S))
                function(context)
                after = getattr(context, "after_test", None)
                if after:
                    after()
            except Skip as e:
                skip = str(e)
            except Exception as e:
                error = describe(e)
            finally:
                signal.alarm(0)
            if error:
                hint = getattr(context, "hint", None)
                error += "\n" + hint() if hint else ""
            print(f"# {group}/{name}: {time.monotonic() - start:.1f} s", flush=True)
            tap.line(f"{group}/{name}", error, skip)
            if error and hasattr(context, "mend"):
                try:
                    context.mend()
                except Exception as e:
                    print(f"# {group}: cannot go on: {describe(e)}", flush=True)
    finally:
        signal.alarm(0)
        context.close()


def main(modules):
    """argv: words; only tests whose group/name contains one of them run."""
    words = sys.argv[1:]
    signal.signal(signal.SIGALRM, alarm)
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, ended)
    tap = Tap()
    for module in modules:
        run_group(module, words, tap)
    print(f"1..{tap.n}", flush=True)
    return 1 if tap.failed or not tap.n else 0
