#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What an operator reads when the appliance cannot start: one row per mistake, each with exit 1 within
a bound and a sentence that names what, where and what to do. As root: rows are acted out in the
laboratory of tests/e2e, with the programs as they are installed.

    tests/script/start_up.py [WORD...]     only tests whose group/name contains a word
"""

import os

import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import framework
from framework import bound
from lab import LabError, until
from target import DATAPLANE, DEFAULT, V4, V6, Appliance

BOUND_S = 20
OUTSIDE, INSIDE = DEFAULT["host"]["ports"]
NO_HUGE = DEFAULT["host"]["eal"]


def ports(outside=None, inside=None):
    return [dict(OUTSIDE, **(outside or {})), dict(INSIDE, **(inside or {}))]


# name, change of the `host` section, shell before, shell after, words of the sentence
ROWS = (
    ("wrong interface name", {"ports": ports({"device": "net_af_packet0,iface=outsid"})}, "", "",
     ('port outside (net_af_packet0,iface=outsid)', 'no network interface "outsid"', "`ip link` lists")),
    ("interface down", {}, "ip -n $LAB_APP link set inside down",
     "ip -n $LAB_APP link set inside up arp off",
     ("port inside", '"inside" is down', "`ip link set inside up`")),
    ("missing PCI port", {"ports": ports({"device": "0000:7f:1f.7"})}, "", "",
     ("port outside (0000:7f:1f.7)", "no PCI device 0000:7f:1f.7", "`hw/check` lists")),
    ("a device DPDK has no word for", {"ports": ports({"device": "eth1"})}, "", "",
     ("port outside", '"eth1" is neither a PCI address', "net_af_packet0,iface=eth1")),
    ("no interface named", {"ports": ports({"device": "net_af_packet0"})}, "", "",
     ("port outside", "names no network interface", 'add ",iface=NAME"')),
    ("the same device twice", {"ports": ports(None, {"device": "net_af_packet0,iface=inside"})}, "", "",
     ("ports outside and inside", "same device", "number virtual devices apart")),
    ("more workers than cores", {"workers": 32}, "", "",
     ("host.workers is 32", "cores", "lower host.workers")),
    ("more queues than the interface has",
     {"workers": 2, "ports": ports({"device": "net_af_xdp0,iface=outside"})}, "", "",
     ("port outside", "2 queue pairs are wanted", '"outside" has 1 for AF_XDP', "lower queues")),
    ("MTU that the interface does not carry", {"ports": ports({"mtu": 9000})},
     "", "", ("port outside", "mtu 9000 is wanted", '"outside" has 1500',
                    "`ip link set outside mtu 9000`", "host.ports[].mtu")),
    ("no memory for packet buffers", {"eal": ["--no-huge", "-m", "8", "--no-pci"]}, "", "",
     ("no memory for", "packet buffers", "-m in host.eal")),
    ("IPv4 address in use", {}, f"ip -n $LAB_NET addr add {V4}/24 dev wire",
     f"ip -n $LAB_NET addr del {V4}/24 dev wire",
     (f"address {V4} is in use on this link by", ":", "host.interfaces")),
    ("IPv6 address in use", {}, f"ip -n $LAB_NET addr add {V6}/64 dev wire nodad",
     f"ip -n $LAB_NET addr del {V6}/64 dev wire",
     (f"address {V6} is in use on this link by", "host.interfaces")),
    ("IPv4 address toward the backends in use", {},
     "ip -n $LAB_MAIL addr add 198.51.100.2/24 dev wire",
     "ip -n $LAB_MAIL addr del 198.51.100.2/24 dev wire",
     ("address 198.51.100.2 is in use on this link by", "host.interfaces")),
    ("silent IPv4 gateway", {"routes": [{"to": "default", "via": "192.0.2.77"},
                                        {"to": "default", "via": "2001:db8:1::1"}]}, "", "",
     ("gateway 192.0.2.77 on port outside", "ARP", "host.routes", "--gateway-wait 0")),
    ("silent IPv6 gateway", {"routes": [{"to": "default", "via": "192.0.2.1"},
                                        {"to": "default", "via": "2001:db8:1::77"}]}, "", "",
     ("gateway 2001:db8:1::77 on port outside", "neighbour discovery", "host.routes")),
    ("cable out", {}, "ip -n $LAB_NET link set wire down", "ip -n $LAB_NET link set wire up",
     ("gateway 192.0.2.1 on port outside, 2001:db8:1::1 on port outside", "cable")),
)


class Bench(Appliance):
    def __init__(self):
        super().__init__(servers=(), start=False, name="startup")

    def try_to_start(self, extra=(), image="policy.img", before=(), state=None):
        """Runs it to its end, which must come; exit status, words, seconds."""
        argv = ["ip", "netns", "exec", self.lab.app, *before] + self.arguments(image, state) + list(extra)
        began = time.monotonic()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=BOUND_S, cwd=self.lab.dir)
        return done.returncode, done.stdout.decode("utf-8", "replace"), time.monotonic() - began


def setup():
    return Bench()


def refuses(a, words, **how):
    code, said, seconds = a.try_to_start(**how)
    assert code == 1, f"exit {code} after {seconds:.1f} s: {said[-600:]}"
    lines = [l for l in said.splitlines() if l.startswith("postern-dataplane: ")]
    assert any(all(w in l for w in words) for l in lines), f"no line says {words}: {said[-900:]}"
    assert not os.path.exists(os.path.join(a.state, "stats")), "it left its statistics behind"


def of_row(row):
    name, change, before, after, words = row

    @bound(BOUND_S + 20)
    def test(a):
        a.compile({"host": change})
        if before:
            a.lab.sh(before)
        try:
            refuses(a, words, extra=("--gateway-wait", "3"))
        finally:
            if after:
                a.lab.sh(after)

    test.__name__ = "test_" + name.replace(" ", "_")
    return test


for r in ROWS:
    t = of_row(r)
    globals()[t.__name__] = t


def test_more_queues_than_workers(a):
    """The compiler says it already, with the place."""
    try:
        a.compile({"host": {"ports": ports({"queues": 3})}})
    except LabError as e:
        assert "appliance.yaml:" in str(e) and "queues" in str(e) and "worker" in str(e), e
    else:
        refuses(a, ("port outside", "3 queue pairs are wanted", "host.workers"))


def test_no_huge_pages(a):
    """On a host that has none free, acted out by a /proc/meminfo of our own."""
    a.compile({"host": {"eal": ["-m", "512", "--no-pci"]}})
    with open("/proc/meminfo") as f, open(a.path("meminfo"), "w") as to:
        for line in f:
            to.write("HugePages_Free:        0\n" if line.startswith("HugePages_Free") else line)
    refuses(a, ("no free huge pages", "`sysctl vm.nr_hugepages=512`", "--no-huge"),
            before=("sh", "-c", f'mount --bind {a.path("meminfo")} /proc/meminfo && exec "$@"', "sh"))


def test_no_memory_for_tables(a):
    with open(DATAPLANE, "rb") as f:
        if b"__asan_init" in f.read():
            raise framework.Skip("AddressSanitizer's shadow does not fit below any limit")
    a.compile({"host": {"buffer_mib": 4096}})
    refuses(a, ("worker 0 could not be made", "host.buffer_mib (4096)", "more memory"),
            before=("prlimit", "--as=4000000000"))


def test_state_directory_missing(a):
    a.compile()
    blocker = a.path("a-file")
    with open(blocker, "w"):
        pass
    argv = [DATAPLANE, "--image", a.path("policy.img"), "--state", blocker + "/state", "--run", a.state]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=BOUND_S, text=True)
    assert done.returncode == 1 and blocker in done.stdout and "--state" in done.stdout, done.stdout


# ---- images (tests/fault/t_images.py damages them bit by bit; here is what is said) ----

def test_image_missing(a):
    refuses(a, (a.path("none.img"), "No such file"), image="none.img")


def test_nothing_committed_yet(a):
    code, said, _ = a.try_to_start(image=None, state=a.path("empty-state"))
    assert code == 1 and "nothing has been committed yet" in said and "postern-compile" in said, said


def test_image_cut_in_half(a):
    a.compile()
    with open(a.path("policy.img"), "rb") as f, open(a.path("half.img"), "wb") as to:
        data = f.read()
        to.write(data[:len(data) // 2])
    refuses(a, (a.path("half.img"),), image="half.img")


def test_image_of_a_foreign_layout(a):
    a.compile()
    with open(a.path("policy.img"), "rb") as f, open(a.path("foreign.img"), "wb") as to:
        data = bytearray(f.read())
        data[8] ^= 0x55  # the layout's number stands behind the magic (image.py)
        to.write(data)
    refuses(a, (a.path("foreign.img"),), image="foreign.img")


# ---- what is no reason to stop ----

def greeted(a):
    with a.lab.connect(a.ns, a.v4, a.port, timeout_s=1) as s:
        return s.recv(3) == b"220"


def answers(a):
    try:
        return greeted(a)
    except OSError:
        return False


@bound(60)
def test_no_client_is_answered_before_the_gateway_is(a):
    """A client on our own link gets nothing while a gateway is silent, and the banner once it speaks."""
    late = "2001:db8:1::77"
    a.compile({"host": {"routes": [{"to": "default", "via": "192.0.2.1"},
                                   {"to": "default", "via": late}]}})
    process = a.lab.start(a.lab.app, a.arguments() + ["--gateway-wait", "30"], "late.log")
    try:
        until("its socket", 15, lambda: os.path.exists(os.path.join(a.state, "dataplane.sock")))
        heard = [answers(a) for _ in range(2)]  # a second each
        assert heard == [False, False] and process.poll() is None, heard
        a.lab.sh(f"ip -n $LAB_NET addr add {late}/64 dev wire nodad")
        until("the banner", 10, lambda: answers(a), 0.1)
    finally:
        process.terminate()
        process.wait(15)
        a.lab.sh(f"ip -n $LAB_NET addr del {late}/64 dev wire", check=False)
    assert process.returncode == 0, process.returncode


@bound(60)
def test_gateway_wait_0_starts_without(a):
    a.compile({"host": {"routes": [{"to": "default", "via": "192.0.2.77"}]}})
    process = a.lab.start(a.lab.app, a.arguments() + ["--gateway-wait", "0"], "without.log")
    try:
        until("the banner", 10, lambda: answers(a), 0.1)
        until("the event", 10, lambda: any("192.0.2.77" in e["text"] for e in a.events("gateway-silent")))
    finally:
        process.terminate()
        process.wait(15)
    assert process.returncode == 0, process.returncode


def test_wrong_usage_is_exit_2(a):
    for words in (["--gateway-wait", "soon"], ["--drain-timeout", "-1"], ["--nonsense"], ["stray"]):
        done = subprocess.run([DATAPLANE] + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=BOUND_S)
        assert done.returncode == 2 and done.stdout, (words, done.returncode, done.stdout)


if __name__ == "__main__":
    __name__ = "start_up"  # the group of the tests' names
    sys.exit(framework.main([sys.modules["__main__"]]))
