# SPDX-License-Identifier: BSD-3-Clause
"""The appliance in the laboratory: its configuration, its process, what it tells.

The configuration is a Python dict written as JSON, which is YAML; it starts from DEFAULT and a test
names only what it changes.
"""

import copy
import json
import os
import signal
import socket
import subprocess
import time

import clients
import mail
from image import Image
from lab import TOP, Lab, LabError, until

BUILD = os.environ.get("POSTERN_BUILD", os.path.join(TOP, "build"))
COMPILE = os.path.join(BUILD, "control", "postern-compile")
CTL = os.path.join(BUILD, "control", "posternctl")
DATAPLANE = os.path.join(BUILD, "dataplane", "postern-dataplane")
V4, V6 = "192.0.2.25", "2001:db8:1::25"
MAIL1 = ("198.51.100.10", "2001:db8:2::10")
MAIL2 = ("198.51.100.11", "2001:db8:2::11")

DEFAULT = {
    "version": 1,
    "host": {
        "workers": 1,
        "eal": ["--no-huge", "-m", "512", "--no-pci"],
        "max_connections": 8192,
        "buffer_mib": 64,
        "max_tarpit": 4096,
        "syn_ring": 4096,
        "ports": [
            {"name": "outside", "device": "net_af_packet0,iface=outside", "mtu": 1500},
            {"name": "inside", "device": "net_af_packet1,iface=inside", "mtu": 1500},
        ],
        "interfaces": [
            {"port": "outside", "addresses": [V4 + "/24", V6 + "/64"]},
            {"port": "inside", "backends_only": True,
             "addresses": ["198.51.100.2/24", "2001:db8:2::2/64"]},
        ],
        "routes": [{"to": "default", "via": "192.0.2.1"}, {"to": "default", "via": "2001:db8:1::1"}],
    },
    "smtp": {"hostname": "mx.example.org"},
    "limits": {"message_size": 62914560, "connections": 5000, "prefix_connections": 5000,
               "connection_rate": 100000, "messages": 10000},
    "listeners": [{"name": "mx", "address": "any", "port": 25}],
    "pools": [{
        "name": "main",
        "hello": "proxy-v2",
        "check_interval_ms": 1000,
        "servers": [{"name": "mail1", "address": MAIL1[0], "port": 25, "max_connections": 100}],
    }],
    "domains": [{"domain": "example.org", "pool": "main", "subdomains": False}],
    "lists": [],
}


def merged(base, change):
    """Dicts merge key by key; everything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in (change or {}).items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class Appliance:
    """A laboratory with mail servers and the appliance in front of them."""

    def __init__(self, change=None, servers=(("mail1",) + MAIL1,), bridged=False, clients=(),
                 start=True, name="e2e"):
        for program in (COMPILE, DATAPLANE):
            if not os.access(program, os.X_OK):
                raise LabError(f"{os.path.relpath(program, TOP)} is not built")
        self.change = change
        self.lab = Lab(name, bridged)
        self.ns, self.v4, self.v6, self.port = self.lab.net, V4, V6, 25
        self.process = None
        self.epoch = 0
        try:
            if clients:
                self.lab.client_addresses(*clients)
            self.names = [s[0] for s in servers]
            for s in servers:
                self.lab.postfix(*s)
            self.compile(change)
            if start:
                self.start()
        except BaseException:
            self.lab.close()
            raise

    # ---- policy ----

    @property
    def state(self):
        return os.path.join(self.lab.dir, "state")

    def path(self, name):
        return os.path.join(self.lab.dir, name)

    def compile(self, change=None, out="policy.img"):
        """Writes the configuration and compiles it to an image file."""
        config = self.path("appliance.yaml")
        with open(config, "w") as f:
            json.dump(merged(DEFAULT, change), f, indent=1)
        self.epoch += 1
        done = subprocess.run([COMPILE, "--epoch", str(self.epoch), "-o", self.path(out), config],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, cwd=self.lab.dir)
        if done.returncode != 0:
            raise LabError(f"postern-compile: exit {done.returncode}: {done.stdout[-800:]}")
        return self.path(out)

    # ---- process ----

    def arguments(self, image="policy.img", state=None):
        """The dataplane's command line; image None: the one it wrote itself."""
        state = state or self.state
        os.makedirs(state, exist_ok=True)
        argv = [DATAPLANE, "--run", state, "--state", state, "--events", self.path("events.jsonl")]
        return argv + (["--image", self.path(image)] if image else [])

    def start_again(self, image="policy.img"):
        """Starts it and does not wait."""
        self.process = self.lab.start(self.lab.app, self.arguments(image), "dataplane.log")

    def start(self, image="policy.img", ready_s=30):
        self.start_again(image)
        self.wait_ready(ready_s)

    def greeting(self, src):
        """The code that a client with this address is greeted with."""
        with clients.Dialog(self.lab, self, ":" in src, src) as d:
            return d.reply()[0]

    def greets(self):
        """True when both families are greeted."""
        for address in (self.v4, self.v6):
            try:
                with self.lab.connect(self.ns, address, self.port, timeout_s=1) as s:
                    if s.recv(3) != b"220":
                        return False
            except OSError:
                return False
        return True

    def wait_ready(self, bound_s):
        """Until a client sees the banner over both families."""
        def ready():
            if self.process.poll() is not None:
                raise LabError(f"postern-dataplane ended with {self.process.returncode}: {self.log()}")
            return self.greets()
        until("the appliance's banner", bound_s, ready, 0.05)

    def log(self, lines=15):
        try:
            with open(self.path("dataplane.log"), errors="replace") as f:
                return "\n".join(f.read().splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def kill(self):
        """kill -9, waited for."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self, bound_s=30):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(bound_s)

    # ---- its socket and its events ----

    def ask(self, method, params=None, fds=()):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with s:
            s.settimeout(20)
            s.connect(os.path.join(self.state, "dataplane.sock"))
            packet = json.dumps({"id": 1, "method": method, "params": params or {}}).encode()
            socket.send_fds(s, [packet], list(fds))
            answer = json.loads(s.recv(65536))
        if "error" in answer:
            raise LabError(f"{method}: {answer['error']}")
        return answer["result"]

    def reload(self, change=None):
        """Compiles and hands over; returns once workers see it."""
        image = Image(self.compile(change, "next.img"))
        return image.hand_over(self.ask)

    def counters(self):
        """Counters and gauges by name, all workers together; posternctl reads them."""
        done = subprocess.run([CTL, "--run", self.state, "--json", "stats"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, timeout=20, check=True)
        return {c["name"]: c["total"] for c in json.loads(done.stdout)["counters"]}

    def events(self, kind=None):
        found = []
        try:
            with open(self.path("events.jsonl"), errors="replace") as f:
                for line in f:
                    if line.endswith("\n"):
                        e = json.loads(line)
                        if kind is None or e.get("event") == kind:
                            found.append(e)
        except FileNotFoundError:
            pass
        return found

    def audit(self, outcome):
        """mail.audit of what a crowd sent; a double must have been told as an event."""
        doubled = mail.audit(self.lab, self.names, outcome.accepted, outcome.unsure)
        if doubled:
            until("an event per double", 5,
                  lambda: len(self.events("possible-double")) >= doubled)
        return doubled

    # ---- for the framework ----

    def after_test(self):
        if self.process and self.process.poll() is not None:
            raise LabError(f"postern-dataplane ended with {self.process.returncode}: {self.log()}")

    def hint(self):
        state = "" if not self.process or self.process.poll() is None else \
            f"postern-dataplane ended with {self.process.returncode}\n"
        return state + "its log ends:\n" + self.log(8)

    def mend(self):
        """After a failed test: the next one finds a running appliance."""
        if self.process and self.process.poll() is not None:
            self.start()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            end = time.monotonic() + 5
            while self.process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
        self.lab.close()
