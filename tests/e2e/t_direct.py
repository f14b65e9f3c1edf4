# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory itself, clients straight at Postfix: what fails here is no fault of the appliance,
and an audit that cannot find a fault proves nothing.
"""

import os

import clients
import mail
from lab import Lab, until


class Direct:
    """Clients in Postfix's own namespace."""

    def __init__(self, name="mail1"):
        self.lab = Lab("direct")
        try:
            self.lab.postfix(name, "198.51.100.10", "2001:db8:2::10")
        except BaseException:
            self.lab.close()
            raise
        self.names = [name]
        self.ns, self.v4, self.v6, self.port = self.lab.mail, "198.51.100.10", "2001:db8:2::10", 2525

    def close(self):
        self.lab.close()


def setup():
    return Direct()


def test_messages_arrive_whole_and_once(d):
    messages = mail.batch("direct", 100)
    outcome = clients.deliver_all(d.lab, d, messages, at_once=20)
    until("delivery", 20, lambda: mail.arrived_all(d.lab, d.names, outcome.accepted))
    assert mail.audit(d.lab, d.names, outcome.accepted) == 0


def expect_complaint(d, word, accepted):
    try:
        mail.audit(d.lab, d.names, accepted)
    except AssertionError as e:
        assert word in str(e), e
        return
    raise AssertionError(f"the audit did not see a message {word}")


def test_audit_sees_a_lost_message(d):
    expect_complaint(d, "lost", ["direct-0", "never-sent"])


def test_audit_sees_a_doubled_message(d):
    path = mail.Arrived(d.lab, d.names).where["direct-1"][0][1]
    twin = path + ".twin"
    os.link(path, twin)
    try:
        expect_complaint(d, "doubled", ["direct-1"])
    finally:
        os.unlink(twin)


def test_audit_sees_an_altered_message(d):
    path = mail.Arrived(d.lab, d.names).where["direct-2"][0][1]
    with open(path, "rb") as f:
        whole = f.read()
    with open(path, "wb") as f:
        f.write(whole[:-2] + b"y\n")
    try:
        expect_complaint(d, "altered", ["direct-2"])
    finally:
        with open(path, "wb") as f:
            f.write(whole)
