#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real mail through net_tap ports, with huge pages and without. DPDK makes the TAP interfaces as the
appliance starts; here they are put into a bridge with the veth ends of the laboratory. As root.

A bridge keeps for its own kernel what is addressed to the MAC of one of its members, and DPDK gives
the interface the MAC of its port: the interface gets another one, the port keeps its own.

    tests/e2e/net_tap.py [WORD...]     only tests whose group/name contains a word
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import clients
import framework
import mail
from framework import bound
from lab import until
from target import Appliance

PORTS = [{"name": "outside", "device": "net_tap0,iface=tap0", "mtu": 1500},
         {"name": "inside", "device": "net_tap1,iface=tap1", "mtu": 1500}]
NR_HUGEPAGES = "/proc/sys/vm/nr_hugepages"
MEMORY_MIB = 512


class Bridged(Appliance):
    """Each TAP in a bridge with one veth end, in the appliance's namespace."""

    def __init__(self):
        super().__init__({"host": {"ports": PORTS}}, start=False, name="tap")
        for n, wire in enumerate(("outside", "inside")):
            self.lab.sh(f"ip -n $LAB_APP link add br{n} type bridge mcast_snooping 0 && "
                        f"ip -n $LAB_APP link set {wire} master br{n} arp off && "
                        f"ip -n $LAB_APP link set br{n} up arp off")

    def start_with(self, eal):
        self.compile({"host": {"ports": PORTS, "eal": eal}})
        ready = os.path.join(self.state, "dataplane.sock")
        if os.path.exists(ready):
            os.unlink(ready)
        self.start_again()
        # from here on DPDK leaves the interfaces alone; it waits for the gateways to be reachable
        until("the control socket", 20, lambda: os.path.exists(ready) or self.process.poll() is not None)
        for n in (0, 1):
            self.lab.sh(f"ip -n $LAB_APP link set tap{n} address 02:00:00:00:99:0{n} && "
                        f"ip -n $LAB_APP link set tap{n} master br{n} up")
        self.wait_ready(20)

    def close_process(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.process = None

    def mail_passes(self, name):
        messages = mail.batch(name, 60) + [mail.Message(f"{name}-large", b"a long line of text\r\n" * 50000)]
        outcome = clients.deliver_all(self.lab, self, messages, at_once=10, bound_s=60)
        until("delivery", 30, lambda: mail.arrived_all(self.lab, self.names, outcome.accepted), 0.1)
        assert mail.audit(self.lab, self.names, outcome.accepted) == 0
        counted = self.counters()
        assert counted["shell_rx_frames"] > 600 and counted["shell_tx_refused"] == 0, counted
        assert self.terminate(20) == 0
        self.process = None


def setup():
    return Bridged()


@bound(120)
def test_mail_without_huge_pages(a):
    a.start_with(["--no-huge", "-m", str(MEMORY_MIB), "--no-pci"])
    a.mail_passes("tap-small")


@bound(120)
def test_mail_with_huge_pages(a):
    """Reserves what is missing and gives back what was there."""
    with open(NR_HUGEPAGES) as f:
        before = f.read().strip()
    with open("/proc/meminfo") as f:
        info = dict(re.findall(r"^(\w+):\s+(\d+)", f.read(), re.M))
    missing = MEMORY_MIB * 1024 // int(info["Hugepagesize"]) - int(info["HugePages_Free"])
    try:
        if missing > 0:
            with open(NR_HUGEPAGES, "w") as f:
                f.write(str(int(before) + missing))
        a.start_with(["-m", str(MEMORY_MIB), "--no-pci"])
        with open(f"/proc/{a.process.pid}/smaps_rollup") as f:
            used = int(re.search(r"Private_Hugetlb:\s+(\d+)", f.read()).group(1)) // 1024
        assert used >= 32, f"only {used} MiB of its memory are huge pages"
        a.mail_passes("tap-huge")
    finally:
        a.close_process()
        with open(NR_HUGEPAGES, "w") as f:
            f.write(before)
    with open(NR_HUGEPAGES) as f:
        assert f.read().strip() == before


if __name__ == "__main__":
    __name__ = "net_tap"  # the group of the tests' names
    sys.exit(framework.main([sys.modules["__main__"]]))
