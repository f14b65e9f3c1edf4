# SPDX-License-Identifier: BSD-3-Clause
"""A phishing wave against a running appliance: the same words from many networks are noticed, shown, told
of as an event, and answered by a ban of where they came from."""

import json

import clients
from lab import until
from managed import Managed

SOURCES = [f"2001:db8:bad:{n:x}::1" for n in range(0x60, 0x68)]
CHANGE = {"waves": {"networks": 5}}
LURE = ("Subject: Your mailbox is full\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        "<p>Dear user {n}, your mailbox has reached its storage limit and will be closed today. To keep "
        "your=20messages please <a href=3D\"http://phish{n}.example/login\">confirm your account</a> with the "
        "name and the secret word that you use to read mail. If you do not confirm within the day all "
        "messages will be lost. Case {n}.</p>\r\n.\r\n")


def setup():
    return Managed.started(CHANGE, clients=SOURCES)


def send(a, n):
    with clients.Dialog(a.lab, a, True, SOURCES[n]) as d:
        d.hello()
        d.want(250, f"MAIL FROM:<it{n}@help.example>")
        d.want(250, "RCPT TO:<user@example.org>")
        d.want(354, "DATA")
        d.send(LURE.format(n=n))
        d.want(250)


def waves(a, *words):
    code, out = a.ctl("--json", "waves", *words)
    assert code == 0, out
    return json.loads(out)


def test_a_wave_is_noticed(a):
    for n in range(3):
        send(a, n)
    until("three messages in one wave", 5,
          lambda: [w["networks"] for w in waves(a)["waves"]] == [3], 0.1)
    for n in range(3, 6):
        send(a, n)
    until("the wave in its table", 5, lambda: waves(a)["waves"][0]["networks"] == 6, 0.1)
    code, out = a.ctl("waves")
    assert code == 0 and "Your mailbox is full" in out, out


def test_it_is_shown_with_its_sources(a):
    wave = waves(a)["waves"][0]
    code, out = a.ctl("waves", "show", str(wave["id"]))
    assert code == 0 and SOURCES[0] in out and "6 from 6 networks" in out, out
    code, out = a.ctl("waves", "show", "99999")
    assert code == 1 and "no wave 99999" in out, out
    code, out = a.ctl("waves", "show", "first")
    assert code == 2 and "posternctl waves" in out, out


def test_one_command_bans_its_sources(a):
    wave = waves(a)["waves"][0]
    code, out = a.ctl("waves", "ban", str(wave["id"]), "--for", "10m")
    assert code == 0 and "6 addresses banned" in out, out
    with clients.Dialog(a.lab, a, True, SOURCES[0]) as d:
        d.want(521)
    with clients.Dialog(a.lab, a, True, SOURCES[7]) as d:
        d.want(220)


def test_one_command_refuses_its_content(a):
    """Each message names another host, so the subject is what they share. From a network that is not
    banned: the words are refused, others are not."""
    id = str(waves(a)["waves"][0]["id"])
    code, out = a.ctl("waves", "pattern", id, "--try")
    assert code == 0 and "matches 6 of the wave's 6 messages, and 0 of other mail" in out, out
    assert a.told("pattern", "show")["patterns"] == []
    code, out = a.ctl("waves", "pattern", id, "--for", "10m")
    assert code == 0 and f"pattern WAVE{id} is in force" in out and "subject:/^Your mailbox is full" in out, out
    one = a.told("pattern", "show")["patterns"]
    assert [p["name"] for p in one] == [f"WAVE{id}"] and one[0]["reason"] == f"wave {id}", one
    assert final(a, LURE.format(n=7)) == 550
    assert final(a, LURE.format(n=7).replace("Your mailbox", "Our mailbox")) == 250
    a.asked("pattern", "del", f"WAVE{id}")
    assert final(a, LURE.format(n=7)) == 250
    code, out = a.ctl("waves", "pattern", id, "--by", "host", "--action", "refuse")
    assert code == 0 and r"url:/(?:^|\.)(?:phish0\.example|" in out and "matches 4 of" in out, out
    assert final(a, LURE.format(n=1)) == 550
    assert final(a, LURE.format(n=7)) == 250
    a.asked("pattern", "del", f"WAVE{id}")
    code, out = a.ctl("waves", "pattern", id, "--by", "sender")
    assert code == 2 and "host or subject" in out, out


def final(a, text):
    with clients.Dialog(a.lab, a, True, SOURCES[7]) as d:
        d.hello()
        d.want(250, "MAIL FROM:<it@help.example>")
        d.want(250, "RCPT TO:<user@example.org>")
        d.want(354, "DATA")
        d.send(text)
        return d.reply()[0]
