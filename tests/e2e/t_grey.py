# SPDX-License-Identifier: BSD-3-Clause
"""The greylist against a real sending MTA: a Postfix that is told 450, waits and comes back; and what
was learned is there after a restart and after kill -9."""

import os

import clients
from framework import bound
from lab import until
from target import V4, Appliance

GREY = {"state": "enforce", "delay_s": 2, "retry_window_s": 600, "capacity": 10000, "white_after": 3,
        "exempt": ["urgent@example.org"]}


class Grey(Appliance):
    def records(self, **query):
        return self.ask("grey.show", query)["records"]

    def sender_postfix(self):
        """A Postfix in the clients' namespace that sends everything to us and retries each second."""
        home, ns = self.path("client"), self.lab.net
        theirs = self.path("mail1")
        self.lab.sh(f"mkdir -p {home}/etc {home}/queue {home}/data && chown postfix {home}/data")
        with open(f"{theirs}/etc/main.cf") as f:
            main = f.read().replace(theirs, home)
        drop = ("myhostname", "inet_interfaces", "default_transport", "relayhost", "virtual_mailbox_domains")
        main = "\n".join(l for l in main.splitlines() if l.split(" ")[0] not in drop)
        with open(f"{home}/etc/main.cf", "w") as f:
            f.write(main + f"\nmyhostname = client.example\ninet_interfaces = loopback-only\n"
                    f"virtual_mailbox_domains =\nrelayhost = [{V4}]:25\nqueue_run_delay = 1s\n"
                    "minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n")
        with open(f"{theirs}/etc/master.cf") as f:
            rows = [l for l in f.read().splitlines() if " inet " not in l]
        with open(f"{home}/etc/master.cf", "w") as f:
            f.write("\n".join(rows) + "\n")
        self.lab.run(ns, ["postfix", "-c", f"{home}/etc", "start"])
        self.lab.sh(f"LAB_POSTFIX+=({home})")

    def send(self, sender, rcpt):
        home = self.path("client")
        self.lab.run(self.lab.net, ["env", f"MAIL_CONFIG={home}/etc", "sendmail", "-f", sender, rcpt],
                     data=b"Subject: greylist\n\nhello\n")


def setup():
    a = Grey({"greylist": GREY})
    a.sender_postfix()
    return a


def rcpt_code(a, sender, rcpt):
    with clients.Dialog(a.lab, a, timeout_s=15) as d:
        d.hello()
        d.want(250, f"MAIL FROM:<{sender}>")
        return d.cmd(f"RCPT TO:<{rcpt}>")[0]


@bound(60)
def test_a_real_mta_comes_back(a):
    a.send("first@client.example", "user@example.org")
    until("the mail", 40, lambda: len(a.lab.maildir("mail1")) == 1, 0.2)
    with open(os.path.join(a.path("client"), "maillog"), errors="replace") as f:
        log = f.read()
    assert "450 4.7.1" in log, log[-2000:]
    until("the record", 5, lambda: {r["state"] for r in a.records(text="first@")} == {"accepted"})
    record = a.records(text="first@")[0]
    assert (record["pool"], record["rcpt"]) == ("192.0.2.0/24", "user@example.org"), record


@bound(30)
def test_known_at_once(a):
    assert rcpt_code(a, "first@client.example", "user@example.org") == 250
    assert rcpt_code(a, "other@client.example", "user@example.org") == 450
    assert rcpt_code(a, "other@client.example", "urgent@example.org") == 250


@bound(60)
def test_kill_and_restart_forget_nothing(a):
    assert rcpt_code(a, "tried@client.example", "user@example.org") == 450
    until("it is on disk", 5, lambda: len(a.records(text="tried@")) == 1)
    a.kill()
    a.start()
    assert rcpt_code(a, "first@client.example", "user@example.org") == 250
    until("the delay is over", 10,
          lambda: rcpt_code(a, "tried@client.example", "user@example.org") == 250, 0.5)
    assert a.terminate() == 0
    a.start()
    assert rcpt_code(a, "first@client.example", "user@example.org") == 250
    assert rcpt_code(a, "never@client.example", "user@example.org") == 450


@bound(30)
def test_operators_change_it(a):
    added = a.ask("grey.add", {"pool": "192.0.2.0/24", "state": "white"})["record"]
    assert added["is_pool"] and added["state"] == "white", added
    assert rcpt_code(a, "anybody@client.example", "user@example.org") == 250
    page = a.ask("grey.export")
    assert any(r["key"] == added["key"] for r in page["records"]), page
    assert a.ask("grey.del", {"pool": "192.0.2.0/24"})["record"]["key"] == added["key"]
    assert rcpt_code(a, "nobody@client.example", "user@example.org") == 450
    got = a.ask("grey.import", {"records": page["records"], "key_id": page["key_id"]})
    assert got["added"] == len(page["records"]) and got["skipped"] == 0, got
    assert rcpt_code(a, "nobody@client.example", "user@example.org") == 250
    stats = a.ask("grey.stats")
    assert stats["entries"]["white"] >= 1 and stats["failed_commits"] == 0, stats
