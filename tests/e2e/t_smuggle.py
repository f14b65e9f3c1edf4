# SPDX-License-Identifier: BSD-3-Clause
"""SMTP smuggling (CVE-2023-51764 and its kin): whatever looks like an end of data to somebody is
delivered as one message or refused, never as two. The Postfix behind takes bare line feeds for line
ends, which makes it the victim of the attack were we to pass it on."""

import clients
import mail
from lab import until
from target import Appliance, merged

FALSE_ENDS = [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r",
              b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n\n.\r\n",
              b"\r\n.\n\r\n", b"\n\r.\r\n"]


def attack(i, false_end, mode):
    smuggled = mail.Message(f"smuggled-{mode}-{i}", b"you should not read this\r\n",
                            sender="ceo@example.org")
    envelope = b"MAIL FROM:<ceo@example.org>\r\nRCPT TO:<user@example.org>\r\nDATA\r\n"
    outer = mail.Message(f"outer-{mode}-{i}", b"")
    body = b"harmless" + false_end + envelope + smuggled.wire
    return outer, smuggled, outer.content + body


def setup():
    a = Appliance(start=False)
    try:
        # a backend as it was before December 2023
        a.lab.sh(f"postconf -c {a.lab.dir}/mail1/etc -e smtpd_forbid_bare_newline=no "
                 f"smtpd_forbid_unauth_pipelining=no && lab_mail postfix -c {a.lab.dir}/mail1/etc reload")
        a.start()
    except BaseException:
        a.close()
        raise
    return a


def use(a, mode):
    if a.process.poll() is None:
        a.terminate()
    a.compile(merged({}, {"smtp": {"bare_newline": mode}, "limits": {"errors": 1000}}))
    a.start()


def run(a, mode):
    """Each attack by both families; [(outer, smuggled, codes heard)]"""
    heard = []
    for i, false_end in enumerate(FALSE_ENDS):
        outer, smuggled, data = attack(i, false_end, mode)
        codes = []
        with clients.Dialog(a.lab, a, bool(i % 2), timeout_s=10) as d:
            d.hello()
            d.envelope(outer)
            d.want(354, "DATA")
            d.send(data)
            try:
                codes.append(d.reply()[0])
                d.send("QUIT\r\n")
                while True:
                    codes.append(d.reply()[0])
            except (clients.Closed, OSError):
                pass
        heard.append((outer, smuggled, codes))
    # a message that comes after all of them, so that nothing is still under way
    last = mail.Message(f"last-{mode}", b"the end\r\n")
    clients.deliver_all(a.lab, a, [last], at_once=1, bound_s=20)
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [last.ident]))
    until("an empty queue", 20, lambda: all(a.lab.queued(n) == 0 for n in a.names))
    return heard, mail.Arrived(a.lab, a.names)


def name(i):
    return repr(FALSE_ENDS[i])


def test_attack_works_without_us(a):
    """Straight at Postfix the bare line feeds do end a message: the attack is real."""
    class Straight:
        ns, v4, v6, port = a.lab.mail, "198.51.100.10", "2001:db8:2::10", 2525
    outer, smuggled, data = attack(0, FALSE_ENDS[0], "straight")
    with clients.Dialog(a.lab, Straight) as d:
        d.hello()
        d.envelope(outer)
        d.want(354, "DATA")
        d.send(data)
        d.want(250)
        until("the smuggled message", 20, lambda: mail.arrived_all(a.lab, a.names, [smuggled.ident]))


def test_reject(a):
    heard, got = run(a, "reject")
    for i, (outer, smuggled, codes) in enumerate(heard):
        assert smuggled.ident not in got.count, f"{name(i)} smuggled a message"
        if codes[0] == 250:
            assert got.count.get(outer.ident) == 1, f"{name(i)}: 250 and nothing there"
        else:
            assert 500 <= codes[0] <= 599 and outer.ident not in got.count, f"{name(i)}: {codes}"
        assert codes.count(250) <= 1, f"{name(i)}: {codes}"
    plain = heard[0]
    assert plain[2][0] == 550, f"bare LF under reject: {plain[2]}"


def test_normalize(a):
    use(a, "normalize")
    heard, got = run(a, "normalize")
    for i, (outer, smuggled, codes) in enumerate(heard):
        assert smuggled.ident not in got.count, f"{name(i)} smuggled a message"
        assert codes.count(250) <= 1, f"{name(i)}: {codes}"
        if codes[0] == 250:
            assert got.count.get(outer.ident) == 1, f"{name(i)}: {got.count.get(outer.ident)} copies"
    assert heard[0][2][0] == 250, f"bare LF under normalize: {heard[0][2]}"


def test_disconnect(a):
    use(a, "disconnect")
    heard, got = run(a, "disconnect")
    for i, (outer, smuggled, codes) in enumerate(heard):
        assert smuggled.ident not in got.count, f"{name(i)} smuggled a message"
        assert codes.count(250) <= 1, f"{name(i)}: {codes}"
    assert heard[0][2] == [521], f"bare LF under disconnect: {heard[0][2]}"
