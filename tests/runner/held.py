#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A million clients in the tarpit of postern-dataplane itself, over memif: postern-load is the internet
on the other end, in a process of its own. IPv4 and IPv6 by turns, each through a real handshake; each is
fed a byte every ten seconds, 2,000 of them on a faster list, and acknowledges it; each byte and its time
are checked; at last messages pass beside them. Memory is what the kernel says of the process
(/proc/PID/smaps_rollup, huge pages among it). Then the same of the bare function, family by family. Prints
TAP."""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POSTERN_BUILD", os.path.join(TOP, "build"))
CLIENTS = 1000000
FAST = 2000
FAST_MS = 1000
PACE_MS = 10000
LINE = "220-m.example"
LIMIT = 64            # bytes of resident memory a client (DESIGN)
LATE_MS = 500         # median; the machine may be busy with other things, and is only asked for the order
LOST = 0.1            # who got no byte in two paces lost two of them on the way: a part of what was lost
SESSIONS = 200
WARM = 2000

CONFIG = """
version: 1
host:
  workers: 1
  eal: [{eal}, -m, "512", --no-pci]
  max_tarpit: 1000000
  ports:
    - {{name: outside, device: "net_memif0,role=server,id=0,socket={dir}/memif.sock,socket-abstract=no,rsize=14"}}
    - {{name: inside, device: "net_memif1,role=server,id=1,socket={dir}/memif.sock,socket-abstract=no,rsize=11"}}
  interfaces:
    - {{port: outside, addresses: [192.0.2.25/24, "2001:db8:1::25/64"]}}
    - {{port: inside, backends_only: true, addresses: [198.51.100.2/24, "2001:db8:2::2/64"]}}
  routes:
    - {{to: default, via: 192.0.2.100}}
    - {{to: default, via: "2001:db8:1::100"}}
smtp: {{hostname: m.example}}
listeners:
  - {{name: mx, address: any, port: 25}}
lists:
  - {{name: slow, action: tarpit, tarpit_pace_ms: {pace}, entries: [198.18.0.0/15, "2001:db8:c00::/40"]}}
  - {{name: fast, action: tarpit, tarpit_pace_ms: {fast}, entries: [203.0.113.0/25, "2001:db8:d00::/40"]}}
pools:
  - name: main
    hello: proxy-v2
    servers:
      - {{name: mail1, address: 198.51.100.10, port: 25, max_connections: 1000}}
domains:
  - {{domain: example.org, pool: main}}
"""


class Failed(Exception):
    pass


class Tap:
    def __init__(self, n):
        self.n = self.bad = 0
        print(f"1..{n}")

    def point(self, good, what, *notes):
        self.n += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {what}")
        for note in notes:
            for line in str(note).split("\n"):
                print(f"# {line}", flush=True)


def resident(pid):
    """Bytes: pages of the process's own and shared ones, huge ones among them."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        found = dict(re.findall(r"^(\w+): +(\d+) kB", f.read(), re.M))
    return 1024 * sum(int(found.get(k, 0)) for k in ("Rss", "Shared_Hugetlb", "Private_Hugetlb"))


def counters(folder):
    done = subprocess.run([os.path.join(BUILD, "control", "posternctl"), "--run", folder, "--json", "stats"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=20, check=True)
    return {c["name"]: c["total"] for c in json.loads(done.stdout)["counters"]}


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()[-2000:]


def first():
    """Before what else this machine does: packets do not wait. A wish; of the whole session only where
    it is ours alone (tests/run gives each part one)."""
    try:
        os.nice(-15)
        if os.getsid(0) == os.getpid():
            with open("/proc/self/autogroup", "w", encoding="ascii") as f:
                f.write("-15")
    except OSError:
        pass


@contextlib.contextmanager
def huge_pages(wanted):
    """As many more as are wanted, where that is possible; given back afterwards. Yields whether so."""
    def setting(value=None):
        with open("/proc/sys/vm/nr_hugepages", "r" if value is None else "w", encoding="ascii") as f:
            return int(f.read()) if value is None else f.write(str(value))

    had = None
    try:
        had = setting()
        setting(had + wanted)
        with open("/proc/meminfo", encoding="ascii") as f:
            there = int(re.search(r"HugePages_Free: +(\d+)", f.read())[1]) >= wanted
    except OSError:
        there = False
    try:
        yield there
    finally:
        if had is not None and os.geteuid() == 0:
            setting(had)


class Dataplane:
    def __init__(self, folder, huge):
        self.folder, self.log = folder, os.path.join(folder, "dataplane.log")
        config, image = os.path.join(folder, "held.yaml"), os.path.join(folder, "held.image")
        eal = "--in-memory" if huge else f"--no-huge, --file-prefix=held-{os.getpid()}"
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(dir=folder, eal=eal, pace=PACE_MS, fast=FAST_MS))
        subprocess.run([os.path.join(BUILD, "control", "postern-compile"), "-o", image, config], check=True)
        with open(self.log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "dataplane", "postern-dataplane"), "--image", image, "--run", folder, "--state", folder,
                 "--events", os.path.join(folder, "events.jsonl"), "--gateway-wait", "0"], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out)

    def up(self, bound_s=30):
        limit = time.monotonic() + bound_s
        while not os.path.exists(os.path.join(self.folder, "dataplane.sock")):
            if self.process.poll() is not None or time.monotonic() > limit:
                raise Failed(f"postern-dataplane did not come up: {tail(self.log)}")
            time.sleep(0.05)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


def load(folder, *options):
    """Its exit status and words, and the dataplane's counters a moment before its end."""
    port = "net_memif{0},role=client,id={0},socket=" + folder + "/memif.sock,socket-abstract=no,rsize={1}"
    command = [os.path.join(BUILD, "bench", "postern-load"), "--outside", port.format(0, 14), "--inside",
               port.format(1, 11), "--eal", "--no-huge", "--eal", "-m", "--eal", "512", "--eal", "--no-pci", "--eal",
               f"--file-prefix=held-load-{os.getpid()}", "--json", *options]
    now = {}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, \
         subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process:
        try:
            while process.poll() is None:
                now = counters(folder)
                time.sleep(0.5)
        finally:
            if process.poll() is None:
                process.kill()
        out.seek(0)
        said = out.read()
    if not now or not said.rstrip().endswith("}"):
        raise Failed(f"postern-load: exit {process.returncode}: {said[-800:]}")
    return process.returncode, json.loads(said.rstrip().splitlines()[-1]), now


def live(tap, folder, huge):
    dataplane = Dataplane(folder, huge)
    try:
        dataplane.up()
        # what sessions use is touched first, as on an appliance that has been up for a while
        load(folder, "--sessions", str(WARM), "--at-once", str(WARM // 2), "--size", "1000", "--seconds", "20")
        before = resident(dataplane.process.pid)
        status, said, now = load(folder, "--hold", str(CLIENTS), "--hold-fast", str(FAST), "--hold-pace", str(PACE_MS),
                                 "--hold-fast-pace", str(FAST_MS), "--hold-text", LINE, "--hold-seconds", "21",
                                 "--sessions", str(SESSIONS), "--at-once", "4", "--seconds", "80")
        after = resident(dataplane.process.pid)
    finally:
        code = dataplane.end()
    each = (after - before) / CLIENTS
    lost = now["shell_tx_refused"], said["unsent"]
    paced = said["late_ms"]
    tap.point(said["held"] == CLIENTS and now["tarpit_held"] == CLIENTS and said["gone"] == 0,
              f"{now['tarpit_held']} clients held over memif ({'huge' if huge else 'small'} pages)",
              f"all after {said['held_after_s']:.1f} s; {said['retried']} frames sent again, {said['gone']} gone")
    tap.point(0 < each <= LIMIT, f"{each:.1f} bytes a client, everything that grew counted",
              f"resident {before >> 20} MiB before the first, {after >> 20} MiB with all")
    tap.point(said["wrong"] == 0 and said["whole"] == FAST,
              f"each byte the right one, the whole text heard by {said['whole']} of {FAST} on the faster list",
              f"{said['fed']} bytes fed")
    tap.point(said["unfed"] <= LOST * sum(lost) and all(0 < paced[k][0] <= LATE_MS for k in paced),
              f"{said['fed_in_window']} bytes in time, {said['unfed']} clients without one",
              *(f"{k}: beyond the pace by {v[0]} ms (median), {v[1]} (99 %), {v[2]} (worst)" for k, v in paced.items()),
              f"lost before the wire: {lost[0]} frames of ours, {lost[1]} of theirs; a byte one turn later "
              f"{said['skipped']}, twice {said['again']}")
    tap.point(status == 0 and said["accepted"] == SESSIONS and not said["altered"] and code == 0,
              f"{said['accepted']} messages of {SESSIONS} sessions beside them", f"dataplane's exit {code}")


def function(tap):
    for family, option in (("IPv4", []), ("IPv6", ["-6"])):
        done = subprocess.run([os.path.join(BUILD, "bench", "bench-tarpit"), "--json", "--clients", str(CLIENTS), *option],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
        value = json.loads(done.stdout)["value"] if done.returncode == 0 else None
        tap.point(value is not None and 20 < value <= LIMIT, f"{CLIENTS} held by the function alone over {family}",
                  f"{value} bytes each; {done.stderr.strip()}" if value else done.stderr.strip())


def main():
    tap = Tap(7)
    first()
    with tempfile.TemporaryDirectory(prefix="postern-held-") as folder, huge_pages(300) as huge:
        try:
            live(tap, folder, huge)
        except (Failed, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
            while tap.n < 5:
                tap.point(False, "held over memif", repr(e) if isinstance(e, KeyError) else e)
    function(tap)
    return 1 if tap.bad else 0


if __name__ == "__main__":
    sys.exit(main())
