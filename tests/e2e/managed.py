# SPDX-License-Identifier: BSD-3-Clause
"""The appliance with its manager: what the groups that use posternctl start and ask."""

import json
import os
import socket
import subprocess

from lab import until
from target import BUILD, CTL, DEFAULT, Appliance, merged

MANAGER = os.path.join(BUILD, "control", "postern-manager")


class Managed(Appliance):
    manager = None

    @classmethod
    def started(cls, *args, **kwargs):
        """Both processes running, and the policy that the manager read in force; nothing of them left
        if one does not start."""
        a = cls(*args, **kwargs)
        try:
            a.start_manager()
            until("the first load's end", 20, lambda: a.told("status")["manager"]["loading"] is None, 0.1)
        except BaseException:
            a.close()
            raise
        return a

    def start_manager(self, *words):
        os.makedirs(self.path("manager-state"), exist_ok=True)
        self.manager = self.lab.start(self.lab.app, [
            MANAGER, "--config", self.path("appliance.yaml"), "--run", self.state, "--state",
            self.path("manager-state"), *words], "manager.log")
        until("the manager's answer", 10, lambda: self.ctl("status")[0] == 0, 0.1)

    def ctl(self, *words):
        done = subprocess.run([CTL, "--run", self.state, *words], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        return done.returncode, done.stdout

    def asked(self, *words):
        """What posternctl prints; it must succeed."""
        code, text = self.ctl(*words)
        assert code == 0, f"posternctl {' '.join(words)}: {code}: {text}"
        return text

    def told(self, *words):
        return json.loads(self.asked("--json", *words))

    def rpc(self, method, params=None):
        """The result of one method of the control socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(os.path.join(self.state, "control.sock"))
            s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                  "params": params or {}}).encode() + b"\n")
            answer = json.loads(s.makefile("rb").readline())
        assert "result" in answer, f"{method}: {answer}"
        return answer["result"]

    def load(self, *words):
        """Again while the manager is still busy with another load (exit 5), as the answer asks for."""
        until("the manager free for a load", 20,
              lambda: setattr(self, "loaded", self.ctl("load", *words)) or self.loaded[0] != 5, 0.2)
        return self.loaded

    def configuration(self, change, name="other.yaml"):
        with open(self.path(name), "w") as f:
            json.dump(merged(DEFAULT, change), f, indent=1)
        return self.path(name)

    def close(self):
        if self.manager and self.manager.poll() is None:
            self.manager.terminate()
            self.manager.wait(10)
        super().close()
