#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replays captures and asserts the verdicts that a tester would see.

usage: replay.py POSTERN_COMPILE POSTERN_REPLAY

tests/captures (made by this project) is always there; a corpus of foreign captures is used where
one lies beside the checkout (shared/corpus/pcap): each must replay to its end, the same table twice.
"""
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CAPTURES = os.path.join(HERE, "..", "captures")
CORPUS = os.path.join(HERE, "..", "..", "..", "shared", "corpus", "pcap")
COMPILE, REPLAY = sys.argv[1:3]

# capture: (messages passed on, last code, verdict, reason) of its one session
EXPECTED = {
    "good-v4": (1, 221, None, "none"),
    "good-v6": (1, 221, None, "none"),
    "pipelined": (3, 221, None, "none"),
    "words": (1, 221, None, None),
    "other-domain": (0, 221, None, None),
    "listed-source": (0, 521, "refuse", "listed"),
}
results = []


def check(name, good, why=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}", flush=True)
    if not good:
        print(f"# {why}")


def replay(image, *args, stdin=None):
    done = subprocess.run([REPLAY, "--image", image, *args], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def own_captures(image):
    for name, (messages, code, verdict, reason) in EXPECTED.items():
        path = os.path.join(CAPTURES, name + ".pcap")
        status, out, err = replay(image, "--port", "2525", "--json", path)
        rows = [json.loads(line) for line in out.splitlines()]
        if status != 0 or len(rows) != 1:
            check(f"{name} is one session", False, f"exit {status}, {len(rows)} rows: {err}")
            continue
        row = rows[0]
        good = row["messages"] == messages and row["code"] == code
        good = good and (verdict is None or row["verdict"] == verdict)
        good = good and (reason is None or row["reason"] == reason)
        check(f"{name}: {messages} passed on, last code {code}", good, json.dumps(row))


def wrong_use(image, folder):
    broken = os.path.join(folder, "broken.pcap")
    with open(broken, "wb") as f:
        f.write(b"this is no capture")
    status, _, err = replay(image, broken)
    check("no capture: exit 1, the file is named", status == 1 and "broken.pcap" in err, err)
    status, _, err = replay(image, os.path.join(folder, "absent.pcap"))
    check("absent capture: exit 1, the file is named", status == 1 and "absent.pcap" in err, err)
    with open(image, "rb") as f:
        half = f.read()
    cut = os.path.join(folder, "half.image")
    with open(cut, "wb") as f:
        f.write(half[:len(half) // 2])
    status, _, err = replay(cut, os.path.join(CAPTURES, "good-v4.pcap"))
    check("half-written policy: exit 1, the file is named", status == 1 and "half.image" in err, err)
    status, _, err = replay(image)
    check("no capture named: exit 2 and the usage", status == 2 and "usage:" in err, err)
    good = os.path.join(CAPTURES, "good-v4.pcap")
    with open(good, "rb") as f:
        data = f.read()
    with open(broken, "wb") as f:
        f.write(data[:len(data) - 30])
    status, out, err = replay(image, "--port", "2525", broken)
    check("capture cut in a packet: exit 1, said where", status == 1 and "broken.pcap" in err, out + err)


def corpus(image):
    files = sorted(glob.glob(os.path.join(CORPUS, "*")))
    if not files:
        print(f"ok {len(results) + 1} - corpus # SKIP no corpus beside the checkout")
        results.append(True)
        return
    for path in files:
        data = None
        if path.endswith(".gz"):
            with gzip.open(path) as f:
                data = f.read()
        args = ("--json", "-" if data else path)
        first = replay(image, *args, stdin=data)
        again = replay(image, *args, stdin=data)
        check(f"corpus {os.path.basename(path)}: to its end, twice the same",
              first[0] == 0 and first[1] == again[1], f"exit {first[0]}: {first[2]}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "policy.image")
        done = subprocess.run([COMPILE, "-o", image, os.path.join(HERE, "policy.yaml")],
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
        check("the policy compiles", done.returncode == 0, done.stderr.decode())
        if done.returncode == 0:
            own_captures(image)
            wrong_use(image, folder)
            corpus(image)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
