# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of control/ have in common: a folder of its own for each, the programs, a client by
hand, and the other end of dataplane.sock.
"""

import atexit
import fcntl
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.environ.get("POSTERN_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POSTERN_BUILD") or os.path.join(TOP, "build")
EXAMPLE = os.path.join(TOP, "control", "examples", "appliance.yaml")
WAIT_S = 10
LIST_FILE = 'file: ""                     # beside this file'  # of the list "blocked"


def program(name, user=None):
    """The program's path. Another user gets a copy: the checkout may lie in a private home."""
    built = os.path.join(BUILD, "control", name)
    if user is None:
        return built
    copy = os.path.join(public_folder(), name)
    if not os.path.exists(copy):
        shutil.copy(built, copy)
    return copy


@functools.cache
def public_folder():
    path = tempfile.mkdtemp(prefix="postern-programs-")
    os.chmod(path, 0o755)
    atexit.register(shutil.rmtree, path)
    return path


def run(name, *args, **kwargs):
    return subprocess.run([program(name, kwargs.get("user")), *args], capture_output=True, text=True, timeout=60,
                          **kwargs)


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"got    {got!r}\nwanted {wanted!r}")


def holds(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text!r}")


class Folder:
    """A folder with a copy of the example, removed afterwards."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="postern-control-")
        self.managers = []
        self.config = self.write("appliance.yaml", open(EXAMPLE).read())

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def change(self, old, new, name="appliance.yaml"):
        text = open(EXAMPLE).read()
        assert old in text, old
        return self.write(name, text.replace(old, new, 1))

    def manager(self, *args, **kwargs):
        m = Manager(self, *args, **kwargs)
        self.managers.append(m)
        return m

    def ctl(self, *args, **kwargs):
        return run("posternctl", "--run", os.path.join(self.path, "run"), *args, **kwargs)

    def status(self):
        return json.loads(self.ctl("--json", "status").stdout)["manager"]

    def close(self):
        for m in self.managers:
            m.end(signal.SIGKILL)
        shutil.rmtree(self.path)


class Manager:
    def __init__(self, folder, *args, ready=True, **kwargs):
        self.log = os.path.join(folder.path, f"log{len(folder.managers)}")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [program("postern-manager", kwargs.get("user")), "--config", folder.config, "--run",
                 os.path.join(folder.path, "run"), "--state", os.path.join(folder.path, "state"), *args],
                stderr=log, stdin=subprocess.DEVNULL, **kwargs)
        if ready:
            self.wait_for("serving ")

    def text(self):
        return open(self.log).read()

    def wait_for(self, words, n=1):
        end = time.monotonic() + WAIT_S
        while self.text().count(words) < n:
            if time.monotonic() > end:
                raise AssertionError(f"no {words!r} in the log:\n{self.text()}")
            time.sleep(0.01)

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(WAIT_S)


class Client:
    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(os.path.join(folder.path, "run", "control.sock"))
        self.file = self.socket.makefile("rwb")

    def say(self, data):
        self.file.write(data)
        self.file.flush()

    def hear(self):
        return json.loads(self.file.readline())

    def ask(self, method, **params):
        self.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
        return self.hear()

    def close(self):
        self.file.close()
        self.socket.close()


class Peer:
    """The other end of dataplane.sock, as far as its framing goes: reads a packet with its
    descriptors, answers by hand. The dataplane itself is met in tests/e2e."""

    def __init__(self, folder):
        path = os.path.join(folder.path, "run", "dataplane.sock")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.settimeout(WAIT_S)
        self.listener.bind(path)
        self.listener.listen(4)
        self.held = []
        self.epoch = 0

    def accept(self):
        self.socket, _ = self.listener.accept()
        self.socket.settimeout(WAIT_S)

    def hear(self, method):
        """The parameters, and the content of each descriptor. Alarms, which may come any time, are
        taken on the way."""
        request = {"method": "event"}
        while request["method"] == "event" != method:
            packet, fds, flags, _ = socket.recv_fds(self.socket, 65536, 16)
            request = json.loads(packet)
        same(request["method"], method)
        self.id = request["id"]
        contents = []
        for fd in fds:
            same(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & 15, 15)  # seal, shrink, grow, write
            with os.fdopen(fd, "rb") as file:
                file.seek(0)
                contents.append(file.read())
        return request.get("params"), contents

    def answer(self, result=None, error=None):
        self.socket.send(json.dumps({"id": self.id, **({"error": error} if error else {"result": result})}).encode())

    def hello(self):
        self.hear("hello")
        self.answer({"protocol": 1, "build": "test", "pid": 1, "epoch": self.epoch, "parts": self.held,
                     "needs_restart": False})

    def load(self, restart=()):
        """Takes a policy.load; returns its epoch and how many parts came with it."""
        params, contents = self.hear("policy.load")
        for part in params["parts"]:
            if part["fd"] < 0:
                same(part["sha256"] in self.held, True)
                continue
            content = contents[part["fd"]]
            same((len(content), hashlib.sha256(content).hexdigest()), (part["size"], part["sha256"]))
        self.held = [part["sha256"] for part in params["parts"]]
        self.epoch = params["epoch"]
        self.answer({"epoch": self.epoch, "needs_restart": list(restart)})
        return self.epoch, len(contents)

    def close(self):
        self.socket.close()
        self.listener.close()


class Asked:
    """posternctl under way while the test answers for the dataplane."""

    def __init__(self, folder, *args):
        self.process = subprocess.Popen([program("posternctl"), "--run", os.path.join(folder.path, "run"), *args],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        out = self.process.communicate(timeout=WAIT_S)[0]
        return self.process.returncode, out
