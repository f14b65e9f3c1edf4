# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory of hw/lab.sh for Python: namespaces, mail servers, sockets inside a namespace.

Sockets are made by a thread that visits the namespace for as long as the call lasts (setns is per
thread and a socket keeps the namespace it was made in), so a thousand clients need no thousand
processes.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    pass


def until(what, bound_s, condition, every_s=0.02):
    """Waits for condition() to be true; gives its value back. Never longer than bound_s."""
    end = time.monotonic() + bound_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {bound_s} s")
        time.sleep(every_s)


class Lab:
    def __init__(self, name="e2e", bridged=False):
        self.processes = []
        self.server = subprocess.Popen(
            ["bash", os.path.join(TOP, "tests", "e2e", "lab_server.sh"), name], cwd=TOP, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        words = self.server.stdout.readline().split()
        if len(words) != 4:
            raise LabError("hw/lab.sh does not start")
        self.dir, self.net, self.app, self.mail = words
        self.own = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.fds = {}
        try:
            self.sh("lab_bridged_wires" if bridged else "lab_wires")
        except LabError:
            self.close()
            raise

    def sh(self, command, check=True):
        """Runs one line of bash where lab.sh's functions are; its output, or LabError."""
        self.server.stdin.write(command.replace("\n", " ") + "\n")
        self.server.stdin.flush()
        code = self.server.stdout.readline().strip()
        with open(os.path.join(self.dir, ".out"), errors="replace") as f:
            out = f.read()
        if check and code != "0":
            raise LabError(f"{command}: {code}: {out[-800:]}")
        return out

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
                p.wait()
        for fd in self.fds.values():
            os.close(fd)
        self.fds = {}
        if self.server.poll() is None:
            self.server.stdin.close()
            self.server.wait(60)
        os.close(self.own)

    # ---- inside a namespace ----

    @contextlib.contextmanager
    def inside(self, ns):
        if ns not in self.fds:
            self.fds[ns] = os.open(f"/run/netns/{ns}", os.O_RDONLY)
        if libc.setns(self.fds[ns], CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(self.own, CLONE_NEWNET)

    def socket(self, ns, dst, src=None):
        """A TCP socket of the namespace, bound to src where given, not yet connected."""
        family = socket.AF_INET6 if ":" in dst else socket.AF_INET
        with self.inside(ns):
            s = socket.socket(family, socket.SOCK_STREAM)
        if src:
            s.bind((src, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def connect(self, ns, dst, port, src=None, timeout_s=20):
        s = self.socket(ns, dst, src)
        s.settimeout(timeout_s)
        try:
            s.connect((dst, port))
        except OSError:
            s.close()
            raise
        return s

    def run(self, ns, argv, timeout_s=60, check=True, data=None):
        done = subprocess.run(["ip", "netns", "exec", ns] + argv, timeout=timeout_s, cwd=self.dir,
                              input=data, stdin=subprocess.DEVNULL if data is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = done.stdout.decode("utf-8", "replace")
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(argv)[:120]}: exit {done.returncode}: {out[-800:]}")
        return done.returncode, out

    def start(self, ns, argv, log, env=None):
        """A process in the namespace; ended with the laboratory at the latest."""
        with open(os.path.join(self.dir, log), "ab") as f:
            p = subprocess.Popen(["ip", "netns", "exec", ns] + argv, cwd=self.dir, env=env,
                                 stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)
        self.processes.append(p)
        return p

    def client_addresses(self, *addresses):
        self.sh("lab_client_addresses " + " ".join(addresses))

    # ---- mail servers ----

    def postfix(self, name, *addresses):
        self.sh(f"lab_postfix {name} {' '.join(addresses)}")

    def maildir(self, name):
        base = os.path.join(self.dir, name, "mail", "inbox")
        found = []
        for sub in ("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                found += [os.path.join(base, sub, f) for f in os.listdir(os.path.join(base, sub))]
        return found

    def queued(self, name):
        return int(self.sh(f"lab_queue_count {name}").strip())

    def maillog(self, name):
        try:
            with open(os.path.join(self.dir, name, "maillog"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""
