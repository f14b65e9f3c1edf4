# SPDX-License-Identifier: BSD-3-Clause
"""Name servers of a test and the driver that asks them. Everything listens on loopback addresses of
the namespace that run.py made: rbldnsd with the lists, unbound as recursor over it and over a zone
file, and a forwarder in Python for what no real server does on purpose: to be slow.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

BUILD = os.environ.get("POSTERN_BUILD") or os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")
LISTS_AT = ("127.0.0.5", 5353)
RECURSOR, SECOND, DEAD, SLOW = "127.0.0.10", "127.0.0.11", "127.0.0.12", "127.0.0.13"
SPAM, DYNAMIC, BAD_ADMIN, BACKSCATTER, WHITE, COUNTRY = range(6)
V4, V6, BOTH = 1, 2, 3
PROBE_BOTH, PROBE_UNLISTED, PROBE_NONE = range(3)
FOUND, NONE, FAILED, UNCONFIRMED, NULL_MX = range(5)

SOA = "$SOA 60 ns.example admin.ns.example 0 600 300 86400 60\n$TTL 60\n"
EVERYTHING = "".join(f"{i}.0.0.0/8\n" for i in range(1, 256))
ZONES = {
    # name: (rbldnsd's kind of data, text); test points as RFC 5782 5 has them
    "bl.example": ("ip4set", SOA + ":127.0.0.2:listed\n127.0.0.2\n192.0.2.7 :127.0.0.4:\n"
                   "192.0.2.8 :127.0.0.10:\n203.0.113.0/24\n"),
    "only4.example": ("generic", SOA + "2.0.0.127 A 127.0.0.2\n7.2.0.192 A 127.0.0.2\n"),
    "one.example": ("ip4set", SOA + ":127.0.0.2:\n127.0.0.2\n203.0.113.77\n"),
    "bl6.example": ("ip6trie", SOA + ":127.0.0.2:listed\n::ffff:7f00:2/128\n2001:db8:bad::/48\n"),
    "white.example": ("ip4set", SOA + ":127.0.5.2:\n127.0.0.2\n192.0.2.20\n"),
    "empty.example": ("ip4set", SOA + ":127.0.0.2:\n192.0.2.7\n"),
    "all.example": ("ip4set", SOA + ":127.0.0.2:\n" + EVERYTHING),
    "closed.example": ("ip4set", SOA + ":127.255.255.254:\n" + EVERYTHING),
    "sold.example": ("ip4set", SOA + ":192.0.2.80:\n" + EVERYTHING),
    # every network has its country, and there are no test points
    "country.example": ("ip4set", SOA + ":127.0.0.49:\n192.0.2.0/24\n"),
    "turns.example": ("ip4set", SOA + ":127.0.0.2:\n127.0.0.2\n192.0.2.7\n"),
}

ZONE_FILE = """$ORIGIN example.
$TTL 60
@ IN SOA ns admin.ns 1 600 300 86400 60
@ IN NS ns
ns IN A 127.0.0.10
mail.honest IN A 192.0.2.20
mail.honest IN AAAA 2001:db8::20
liar IN A 192.0.2.99
honest IN MX 10 mail.honest
honest IN TXT "v=spf1 mx -all"
bare IN A 192.0.2.30
null IN MX 0 .
texts IN TXT "only this"
include IN TXT "v=spf1 include:honest.example ~all"
""" + "".join(f'big IN TXT "{i:03d} {"x" * 180}"\n' for i in range(20)) + \
    'big IN TXT "v=spf1 ip4:192.0.2.40 -all"\n' + \
    "".join(f"many IN A 198.51.{i // 250}.{i % 250 + 1}\n" for i in range(200)) + \
    "many IN A 192.0.2.50\n"

REVERSE = """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 60
@ IN SOA ns.example. admin.ns.example. 1 600 300 86400 60
@ IN NS ns.example.
20 IN PTR mail.honest.example.
21 IN PTR liar.example.
22 IN PTR nowhere.example.
50 IN PTR many.example.
""" + "".join(f"23 IN PTR l{i}.example.\n" for i in range(30)) + "23 IN PTR mail.honest.example.\n"

REVERSE6 = """$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
$TTL 60
@ IN SOA ns.example. admin.ns.example. 1 600 300 86400 60
@ IN NS ns.example.
0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 IN PTR mail.honest.example.
"""


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise RuntimeError(f"{name} is not installed (tests/packages.txt)")
    return found


class Servers:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-dns-")
        os.chmod(self.dir, 0o755)
        self.running = {}
        self.stoppers = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name) + ".new", "w") as f:
            f.write(text)
        os.rename(self.path(name) + ".new", self.path(name))

    def start(self, name, args):
        with open(self.path(f"{name}.log"), "ab") as log:
            self.running[name] = subprocess.Popen(args, stdout=log, stderr=log,
                                                  stdin=subprocess.DEVNULL)

    def lists(self):
        for zone, (kind, text) in ZONES.items():
            self.write(zone, text)
        self.start("rbldnsd", [program("rbldnsd"), "-n", "-r", self.dir, "-u", "nobody:nogroup", "-c", "1s",
                               "-b", "/".join(map(str, LISTS_AT)),
                               *[f"{zone}:{kind}:{zone}" for zone, (kind, _) in ZONES.items()]])
        wait_for(lambda: answers(LISTS_AT, "2.0.0.127.bl.example"), "rbldnsd answers")

    def recursor(self, addr, name, most_ttl_s=86400):
        self.write("example.zone", ZONE_FILE)
        self.write("reverse.zone", REVERSE)
        self.write("reverse6.zone", REVERSE6)
        stubs = "".join(f'stub-zone:\n name: "{zone}"\n stub-addr: {LISTS_AT[0]}@{LISTS_AT[1]}\n'
                        for zone in ZONES)
        auth = "".join(f'auth-zone:\n name: "{origin}"\n zonefile: "{self.path(file)}"\n'
                       " for-upstream: yes\n for-downstream: no\n fallback-enabled: no\n"
                       for origin, file in (("example.", "example.zone"),
                                            ("2.0.192.in-addr.arpa.", "reverse.zone"),
                                            ("8.b.d.0.1.0.0.2.ip6.arpa.", "reverse6.zone")))
        self.write(f"{name}.conf", f"""server:
 interface: {addr}
 port: 53
 do-daemonize: no
 chroot: ""
 username: ""
 directory: "{self.dir}"
 pidfile: ""
 use-syslog: no
 logfile: ""
 num-threads: 1
 cache-max-ttl: {most_ttl_s}
 cache-max-negative-ttl: {most_ttl_s}
 module-config: "iterator"
 do-not-query-localhost: no
 access-control: 0.0.0.0/0 allow
 access-control: ::/0 allow
 local-zone: "2.0.192.in-addr.arpa." nodefault
 local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." nodefault
 unblock-lan-zones: yes
 local-zone: "silent.example." deny
 stub-zone:
 name: "."
 stub-addr: 127.0.0.99@9
{stubs}{auth}remote-control:
 control-enable: no
""".replace(' stub-zone:\n name: "."\n', 'stub-zone:\n name: "."\n'))
        self.start(name, [program("unbound"), "-d", "-c", self.path(f"{name}.conf")])
        wait_for(lambda: answers((addr, 53), "mail.honest.example"), f"{name} answers")

    def stop(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def slow(self, delay_s, to=RECURSOR, at=SLOW):
        """A forwarder that holds every answer back; its delay may be changed."""
        forwarder = Slow(at, to, delay_s)
        self.stoppers.append(forwarder.stop)
        return forwarder

    def close(self):
        for stop in self.stoppers:
            stop()
        for name in list(self.running):
            self.stop(name)
        shutil.rmtree(self.dir, ignore_errors=True)


class Slow:
    def __init__(self, at, to, delay_s):
        self.delay_s, self.over = delay_s, False
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind((at, 53))
        self.to = (to, 53)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        back, waiting = {}, []
        while not self.over:
            for s in select.select([self.front, *back], [], [], 0.01)[0]:
                if s is self.front:
                    data, client = s.recvfrom(4096)
                    if len(back) > 400:
                        continue
                    up = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    up.sendto(data, self.to)
                    back[up] = client
                else:
                    waiting.append((time.monotonic() + self.delay_s, s.recv(4096), back.pop(s)))
                    s.close()
            now = time.monotonic()
            for when, data, client in [w for w in waiting if w[0] <= now]:
                self.front.sendto(data, client)
            waiting = [w for w in waiting if w[0] > now]
        self.front.close()

    def stop(self):
        self.over = True
        self.thread.join()


def answers(at, name):
    """Does a server answer a question for A at all?"""
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"".join(
        bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        try:
            s.sendto(query, at)
            return len(s.recv(4096)) > 12
        except OSError:
            return False


def wait_for(condition, what, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Driver:
    """tests/dns/driver.c: one line in, JSON lines out."""

    def __init__(self, *settings, recursors=(RECURSOR,)):
        self.events = []
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests", "dns", "dns-driver"),
             *[f"recursor={r}@53" for r in recursors], *settings],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self, key):
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"the driver has ended with {self.process.wait()}")
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif key in message:
                return message

    def last(self):
        while True:
            message = self.hear("answer")
            if not message["more"]:
                return message

    def lists(self, addr, ms=2000):
        self.say(f"lists {addr} {ms}")
        return self.last()

    def host(self, addr, ms=2000):
        self.say(f"host {addr} {ms}")
        return self.last()

    def sender(self, addr, domain):
        self.say(f"sender {addr} {domain}")
        return self.last()

    def spf(self, addr, helo, mail, ms=5000):
        self.say(f"spf {addr} {helo} {mail} {ms}")
        return self.last()

    def flood(self, n, ms, how="all", addr="198.18.0.0"):
        self.say(f"flood {n} {ms} {how} {addr}")
        return self.hear("flood")

    def report(self):
        self.say("report")
        return self.hear("report")

    def list(self, name):
        return self.report()["lists"][name]

    def until(self, name, **want):
        """Waits for what the report says of a list."""
        def there():
            got = self.list(name)
            return got if all(got[k] == v for k, v in want.items()) else None
        try:
            return wait_for(there, f"{name}: {want}", 15)
        except AssertionError as e:
            raise AssertionError(f"{e}; it says {self.list(name)}") from None

    def event(self, kind, words):
        self.report()
        return [e for e in self.events if e["event"] == kind and words in e["text"]]

    def close(self):
        """Ends well, whatever was under way."""
        self.process.stdin.close()
        rest = self.process.stdout.read()
        code = self.process.wait()
        assert code == 0 and '"ended"' in rest, f"the driver ended with {code}"


def listing(name, zone=None, kind=SPAM, late=0, families=V4, timeout_ms=1000, answers=()):
    return "list=" + ",".join(map(str, (name, zone or f"{name}.example", kind, late, families,
                                        timeout_ms, *answers)))
