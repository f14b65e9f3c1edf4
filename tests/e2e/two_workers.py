#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two workers on two queue pairs of memif ports: every client's frames reach one worker only.

postern-load (another process) is the internet and the mail servers; it puts frames onto the queue
pairs in turn, so that about half of them arrive at the worker they do not belong to and must be
brought over. What is asserted is what an operator sees: every message accepted, and in the events
each client address on one worker. Prints `w0 N, w1 M, wrong worker 0`.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("POSTERN_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build"))
SESSIONS = 2000

CONFIG = """
version: 1
host:
  workers: 2
  eal: [--no-huge, -m, "768", --no-pci, --file-prefix=two-workers-{pid}]
  ports:
    - {{name: outside, device: "net_memif0,role=server,id=0,socket={dir}/memif.sock,socket-abstract=no,rsize=11"}}
    - {{name: inside, device: "net_memif1,role=server,id=1,socket={dir}/memif.sock,socket-abstract=no,rsize=11"}}
  interfaces:
    - {{port: outside, addresses: [192.0.2.25/24, "2001:db8:1::25/64"]}}
    - {{port: inside, backends_only: true, addresses: [198.51.100.2/24, "2001:db8:2::2/64"]}}
smtp: {{hostname: mx.example.org}}
listeners:
  - {{name: mx, address: any, port: 25}}
pools:
  - name: main
    hello: proxy-v2
    servers:
      - {{name: mail1, address: 198.51.100.10, port: 25, max_connections: 1000}}
      - {{name: mail2, address: "2001:db8:2::11", port: 25, max_connections: 1000}}
domains:
  - {{domain: example.org, pool: main}}
"""


class Failed(Exception):
    pass


def until(seconds, what, condition):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.05)
    raise Failed(f"{what}: not within {seconds} s")


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()[-2000:]


def session_events(path):
    rows = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.endswith("\n"):
                row = json.loads(line)
                if row.get("event") == "session":
                    rows.append(row)
    return rows


def run(folder):
    program = lambda *p: os.path.join(BUILD, *p)
    config, image, events = (os.path.join(folder, n) for n in ("two.yaml", "two.image", "events.jsonl"))
    with open(config, "w", encoding="ascii") as f:
        f.write(CONFIG.format(dir=folder, pid=os.getpid()))
    subprocess.run([program("control", "postern-compile"), "-o", image, config], check=True)
    log = os.path.join(folder, "dataplane.log")
    with open(log, "w", encoding="utf-8") as out:
        dataplane = subprocess.Popen([program("dataplane", "postern-dataplane"), "--image", image, "--run", folder,
                                      "--state", folder, "--events", events], stdout=out, stderr=out)
    try:
        until(20, f"dataplane up ({log})",
              lambda: os.path.exists(os.path.join(folder, "dataplane.sock")) or dataplane.poll() is not None)
        if dataplane.poll() is not None:
            raise Failed(f"dataplane ended with {dataplane.returncode}: {tail(log)}")
        port = "net_memif{0},role=client,id={0},socket=" + folder + "/memif.sock,socket-abstract=no,rsize=11"
        load = subprocess.run([program("bench", "postern-load"), "--outside", port.format(0), "--inside", port.format(1),
                               "--eal", "--no-huge", "--eal", "-m", "--eal", "512", "--eal", "--no-pci",
                               "--eal", f"--file-prefix=two-load-{os.getpid()}", "--queues", "2", "--sessions",
                               str(SESSIONS), "--at-once", "40", "--seconds", "60", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
        said = json.loads(load.stdout.splitlines()[-1]) if load.stdout.strip() else {}
        if load.returncode != 0:
            raise Failed(f"postern-load: exit {load.returncode}: {said} {load.stderr[-800:]} {tail(log)}")
        until(10, "an event per session", lambda: len(session_events(events)) >= SESSIONS)
    finally:
        dataplane.send_signal(signal.SIGTERM)
        try:
            dataplane.wait(20)
        except subprocess.TimeoutExpired:
            dataplane.kill()
            dataplane.wait()
    workers = {}
    counts = [0, 0]
    for row in session_events(events):
        counts[row["worker"]] += 1
        workers.setdefault(row["client"], set()).add(row["worker"])
    wrong = sum(1 for seen in workers.values() if len(seen) > 1)
    print(f"# {said}")
    print(f"w0 {counts[0]}, w1 {counts[1]}, wrong worker {wrong}")
    if not (counts[0] and counts[1]) or wrong or dataplane.returncode != 0:
        raise Failed(f"dataplane's exit {dataplane.returncode}; clients on both workers: {wrong}")


def main():
    print("1..1")
    with tempfile.TemporaryDirectory(prefix="postern-two-") as folder:
        try:
            run(folder)
            print("ok 1 - two workers, each client on one of them")
            return 0
        except (Failed, subprocess.SubprocessError, OSError, ValueError) as e:
            print("not ok 1 - two workers, each client on one of them")
            print("# " + str(e).replace("\n", "\n# "))
            return 1


if __name__ == "__main__":
    sys.exit(main())
