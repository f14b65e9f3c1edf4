# SPDX-License-Identifier: BSD-3-Clause
"""Patterns end to end: SpamAssassin's GTUBE and sample mails through a real Postfix, bodies in
encodings and chunks, what is found behind the inspection window, patterns added in an emergency,
pattern sets changed under load, and candidates that PCRE2 confirms, refutes or is not done with."""

import base64
import json
import os
import quopri
import re
import shutil
import threading
import time

import clients
from framework import bound
from lab import until
from managed import Managed

RULES = "/usr/share/spamassassin"
SAMPLES = "/usr/share/doc/spamassassin/examples"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
PATTERNS = f'''
body:"{GTUBE}"                name=GTUBE action=refuse
body:/jackpot/i               name=JACKPOT action=refuse
subject:/weighty words/i      name=WEIGHTY score=7
url:/(^|\\.)spam\\.example$/  name=BAD_HOST action=refuse
subject:/^(\\w+) \\1$/i         name=TWICE action=refuse confirm
body:/(?<!un)subscribe here/  name=SUBSCRIBE action=refuse confirm
body:/^(z+)+(?<!z)/m          name=ENDLESS action=refuse confirm
body:/perhaps bad/            name=TRYING action=refuse
body:/curious/                name=CURIOUS action=mark
helo:/^evil\\./               name=BAD_HELO action=refuse
envelope:/^from:.*@bad\\.example$/ name=BAD_SENDER action=refuse
envelope:/^to:trap@/          name=BAD_RCPT action=refuse score=1
'''
TWICE = "Subject: bargain bargain\n\nx\n"
ENDLESS = "Subject: x\n\n" + "z" * 100 + "\n"


def setup():
    a = Managed.started()
    try:
        with open(a.path("test.patterns"), "w") as f:
            f.write(PATTERNS)
        code, out = load(a)
        assert code == 0, out
    except BaseException:
        a.close()
        raise
    return a


def load(a, mark=0, **patterns):
    return a.ctl("load", a.configuration(
        {"patterns": {"files": [a.path("test.patterns")], **patterns},
         "smtp": {"inspection_window": 16384}, "score": {"refuse": 500, "mark": mark}}))


def send(a, text, chunks=None, **how):
    """The final reply to a message; text has LF line ends. chunks: sizes of BDAT."""
    wire = text.replace("\r\n", "\n").replace("\n", "\r\n").encode("latin-1")
    with clients.Dialog(a.lab, a, timeout_s=20, **how) as d:
        d.hello()
        d.want(250, "MAIL FROM:<sender@client.example>")
        d.want(250, "RCPT TO:<user@example.org>")
        if chunks:
            while True:
                piece, wire = wire[:chunks], wire[chunks:]
                d.send(b"BDAT %d%s\r\n" % (len(piece), b"" if wire else b" LAST") + piece)
                reply = d.reply()
                if not wire or reply[0] != 250:
                    return reply
        d.want(354, "DATA")
        stuffed = wire.replace(b"\r\n.", b"\r\n..")
        d.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return d.reply()


def sample(name):
    """As an SMTP client sends it: without the mbox line in front."""
    with open(os.path.join(SAMPLES, name), encoding="latin-1") as f:
        text = f.read()
    return text.split("\n", 1)[1] if text.startswith("From ") else text


def delivered(a):
    """How many messages the mail server has, once what it took before is there."""
    until("earlier mail to be delivered", 10, lambda: a.lab.queued("mail1") == 0)
    return len(a.lab.maildir("mail1"))


def refused_and_gone(a, text, **how):
    before = delivered(a)
    code, words = send(a, text, **how)
    assert code == 550 and "5.7.1 Message refused by content" in words, words
    time.sleep(0.3)
    assert len(a.lab.maildir("mail1")) + a.lab.queued("mail1") == before


@bound(60)
def test_samples_of_spamassassin(a):
    refused_and_gone(a, sample("sample-spam.txt"))
    before = delivered(a)
    code, words = send(a, sample("sample-nonspam.txt"))
    assert code == 250, words
    until("the good one", 10, lambda: len(a.lab.maildir("mail1")) == before + 1)


@bound(60)
def test_whatever_the_encoding(a):
    head = "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain\n"
    coded = base64.encodebytes(f"hello\n{GTUBE}\n".encode()).decode()
    refused_and_gone(a, head + "Content-Transfer-Encoding: base64\n\n" + coded)
    coded = quopri.encodestring(b"you won the jack=pot".replace(b"=", b"")).decode()
    refused_and_gone(a, head + "Content-Transfer-Encoding: quoted-printable\n\n" +
                     coded.replace("jackpot", "jac=\nk=70ot"))
    words = "=?UTF-8?B?" + base64.b64encode(b"weighty words").decode() + "?="
    code, reply = send(a, f"Subject: {words}\n\nx\n")
    assert code == 550 and "reputation" in reply, reply
    refused_and_gone(a, "Subject: x\n\nsee http://www.SPAM.example/path today\n")


@bound(60)
def test_behind_the_window(a):
    """The appliance has passed most of it on when the pattern comes: nothing is delivered."""
    filler = "nothing of note in this line\n" * 3000
    refused_and_gone(a, "Subject: x\n\n" + filler + "the jackpot\n" + filler)
    refused_and_gone(a, "Subject: x\n\n" + filler + "the jackpot")
    refused_and_gone(a, "Subject: x\n\n" + filler + "the jackpot\n", chunks=10000)
    assert send(a, "Subject: x\n\n" + filler)[0] == 250
    assert send(a, "Subject: x\n\n" + filler, chunks=10000)[0] == 250


@bound(60)
def test_helo_and_envelope(a):
    """Each in its own phase, without DATA; the message for those that are left is delivered."""
    before = delivered(a)
    with clients.Dialog(a.lab, a, timeout_s=20) as d:
        d.hello("evil.example")
        d.want(250, "MAIL FROM:<sender@client.example>")
        assert "5.7.1 Refused by policy" in d.want(550, "RCPT TO:<user@example.org>")
        d.want(250, "EHLO client.example")
        assert "5.7.1 Refused by policy" in d.want(550, "MAIL FROM:<x@bad.example>")
        d.want(250, "MAIL FROM:<sender@client.example>")
        d.want(250, "RCPT TO:<user@example.org>")
        assert "5.7.1 Refused by policy" in d.want(550, "RCPT TO:<trap@example.org>")
        d.want(354, "DATA")
        d.send(b"Subject: x\r\n\r\nfine\r\n.\r\n")
        assert d.reply()[0] == 250
        d.want(221, "QUIT")
    until("the one that was left", 10, lambda: len(a.lab.maildir("mail1")) == before + 1)
    until("the event", 5, lambda: [e for e in a.events("session") if e.get("reason") == "pattern_envelope"],
          0.1)
    told = [e for e in a.events("session") if e.get("reason") == "pattern_envelope"][-1]
    assert told["phase"] == "rcpt" and "patterns.BAD_RCPT" in told["rules"], told
    rules = {r["name"]: r for r in json.loads(a.ctl("--json", "rule", "list")[1])["rules"]}
    for name in ("BAD_HELO", "BAD_SENDER", "BAD_RCPT"):
        assert rules[f"patterns.{name}"]["hits"] == 1, rules[f"patterns.{name}"]


@bound(60)
def test_told_though_it_passed(a):
    """What a pattern in shadow would have refused, and a mark found too late for the header."""
    before = delivered(a)
    code, out = load(a, shadow=["TRYING"])
    assert code == 0, out
    assert send(a, "Subject: x\n\nperhaps bad\n")[0] == 250
    until("its event", 5, lambda: a.told("impact", "patterns.TRYING", "--since", "1h")["shadow"] == 1, 0.2)
    assert send(a, "Subject: x\n\n" + "nothing of note in this line\n" * 3000 + "curious\n")[0] == 250
    until("its event", 5, lambda: [e for e in a.events("session") if e.get("marks_late") == 1 and
                                   e.get("reason") == "mark_late" and e["rules"] == ["patterns.CURIOUS"]], 0.2)
    assert a.counters()["messages_mark_late"] == 1
    assert send(a, "Subject: x\n\ncurious\n")[0] == 250
    until("all three", 10, lambda: len(a.lab.maildir("mail1")) == before + 3)
    assert a.counters()["messages_mark_late"] == 1 and a.counters()["messages_marked"] >= 1
    code, out = load(a)
    assert code == 0, out
    refused_and_gone(a, "Subject: x\n\nperhaps bad\n")


@bound(60)
def test_chunks(a):
    refused_and_gone(a, "Subject: x\n\nthe jackpot\n", chunks=7)
    assert send(a, "Subject: x\n\nthe hackpot\n", chunks=7)[0] == 250


@bound(60)
def test_an_emergency(a):
    text = "Subject: urgent wire transfer\n\nx\n"
    assert send(a, text)[0] == 250
    began = time.monotonic()
    code, out = a.ctl("pattern", "add", "subject:/urgent wire/i", "--action", "refuse", "--for", "2h",
                      "--name", "WIRE")
    assert code == 0 and "in force" in out, out
    refused_and_gone(a, text)
    assert time.monotonic() - began < 2.5, "it is to be live within 2 s"
    refused_and_gone(a, "Subject: x\n\njackpot\n")
    code, out = a.ctl("--json", "pattern", "show")
    assert [p["name"] for p in json.loads(out)["patterns"]] == ["WIRE"], out
    # it stays when the dataplane starts anew, and when the manager does
    a.kill()
    a.start(None)
    refused_and_gone(a, text)
    code, out = a.ctl("pattern", "del", "WIRE")
    assert code == 0, out
    assert send(a, text)[0] == 250
    code, out = a.ctl("pattern", "add", "subject:/(unclosed/", "--action", "refuse")
    assert code == 1 and "emergency" in out, out
    # its time ends
    code, out = a.ctl("pattern", "add", "subject:/urgent wire/i", "--action", "refuse", "--for", "3s")
    assert code == 0, out
    refused_and_gone(a, text)
    until("its time to end", 20, lambda: send(a, text)[0] == 250, 0.5)


@bound(60)
def test_a_single_pattern_is_let_off(a):
    """By `rule set`, over the file; its time ends, `set --reset` takes it back."""
    text = "Subject: x\n\nthe jackpot\n"
    refused_and_gone(a, text)
    out = a.asked("rule", "set", "patterns.JACKPOT", "shadow", "--reason", "a newsletter")
    assert "it is in force" in out, out
    assert [r["state"] for r in a.told("rule", "list", "patterns.JACKPOT")["rules"]] == ["shadow"]
    assert send(a, text)[0] == 250
    assert "it is so already" in a.asked("rule", "set", "patterns.JACKPOT", "shadow")
    refused_and_gone(a, f"Subject: x\n\n{GTUBE}\n")
    for words, part in ((("patterns.JACK", "off"), 'no pattern has the name "JACK"'),
                        (("patterns.JACKPOT", "150%"), "allowed: ")):
        code, out = a.ctl("rule", "set", *words)
        assert code == 1 and part in out, out
    a.asked("set", "--reset", "patterns.rule.JACKPOT")
    refused_and_gone(a, text)


@bound(90)
def test_changed_under_load(a):
    """Sets come and go while messages stream: each message has its verdict, none passes unscanned."""
    filler = "nothing of note in this line\n" * 3000
    wrong, done, stop = [], [0], threading.Event()

    def client(bad):
        while not stop.is_set():
            code, words = send(a, "Subject: x\n\n" + filler + ("jackpot\n" if bad else "fine\n"))
            if code != (550 if bad else 250):
                wrong.append(words)
            done[0] += 1

    crowd = [threading.Thread(target=client, args=(i % 2 == 0,)) for i in range(4)]
    for c in crowd:
        c.start()
    try:
        for i in range(8):
            code, out = a.ctl("pattern", "add", f"body:/word{i}/", "--score", "0.1", "--name", f"W{i}")
            assert code == 0, out
    finally:
        stop.set()
        for c in crowd:
            c.join(30)
    for i in range(8):
        a.ctl("pattern", "del", f"W{i}")
    assert not wrong and done[0] > 10, (done, wrong[:3])
    assert a.counters()["messages_unscanned"] == 0


# ---- confirmation ----


def counted(a, *names):
    counters = a.counters()
    return [counters[n] for n in names]


def at_once(a, n, text, more=()):
    """Replies and seconds of n messages together, and of those of `more` sent while they wait."""
    replies, times = [], []

    def client(words, keep):
        began = time.monotonic()
        keep((send(a, words)[0], time.monotonic() - began))

    crowd = [threading.Thread(target=client, args=(text, replies.append)) for _ in range(n)]
    for c in crowd:
        c.start()
    for words in more:
        client(words, times.append)
    for c in crowd:
        c.join(30)
    return replies, times


@bound(60)
def test_confirmed_and_refuted(a):
    before = counted(a, "patterns_confirmed", "patterns_refuted", "patterns_unconfirmed")
    refused_and_gone(a, TWICE)
    refused_and_gone(a, TWICE, chunks=5)
    words = "=?UTF-8?B?" + base64.b64encode(b"bargain bargain").decode() + "?="
    refused_and_gone(a, f"Subject: {words}\n\nx\n")
    coded = base64.encodebytes(b"please subscribe here\n").decode()
    refused_and_gone(a, f"Subject: x\nContent-Transfer-Encoding: base64\n\n{coded}")
    assert send(a, "Subject: bargain bargains\n\nunsubscribe here\n")[0] == 250
    assert send(a, "Subject: x\n\nunsubscribe here\n", chunks=7)[0] == 250
    after = counted(a, "patterns_confirmed", "patterns_refuted", "patterns_unconfirmed")
    assert [y - x for x, y in zip(before, after)] == [4, 3, 0], (before, after)
    until("the event", 5, lambda: any("patterns.TWICE" in json.dumps(e) for e in a.events("session")), 0.1)


@bound(60)
def test_imported_and_confirmed(a):
    """Rules of SpamAssassin with look-ahead, which Hyperscan alone cannot decide."""
    os.makedirs(a.path("sa"), exist_ok=True)
    shutil.copy(os.path.join(RULES, "20_phrases.cf"), a.path("sa"))
    code, out = a.ctl("patterns", "import", a.path("sa"), "--out", a.path("sa.patterns"))
    assert code == 0 and " confirm 3 " in out, out
    with open(a.path("sa.patterns")) as f:
        rules = {line.split("name=")[1].split()[0] for line in f if " confirm " in line}
    assert rules == {"BODY_ENHANCEMENT", "BODY_ENHANCEMENT2", "DIET_1"}, rules
    code, out = load(a, mark=50, files=[a.path("test.patterns"), a.path("sa.patterns")])
    assert code == 0, out

    def hits(text):
        def told():
            return [e for e in a.events("session") if e["messages"] == 1]

        before = len(told())
        assert send(a, text)[0] == 250
        until("the event", 5, lambda: len(told()) > before, 0.05)
        return rules & set(re.findall(r"patterns\.(\w+)", json.dumps(told()[before:])))

    assert hits("Subject: x\n\nno exercise at all\n") == {"DIET_1"}
    assert hits("Subject: x\n\nno exercise price at all\n") == set()
    assert hits("Subject: x\n\nhow breast cancer cells grow\n") == set()
    assert hits("Subject: grow, say breast\ncells\n\nx\n") == {"BODY_ENHANCEMENT"}
    assert load(a)[0] == 0


@bound(60)
def test_confirmed_within_the_window_alone(a):
    filler = "nothing of note in this line\n" * 3000
    before = counted(a, "patterns_confirmed", "patterns_unconfirmed")
    refused_and_gone(a, TWICE + filler)
    assert send(a, "Subject: x\n\n" + filler + "subscribe here\n")[0] == 250
    after = counted(a, "patterns_confirmed", "patterns_unconfirmed")
    assert [y - x for x, y in zip(before, after)] == [1, 1], (before, after)


@bound(60)
def test_an_endless_one_holds_nobody_up(a):
    """Each passes, given up by PCRE2; other mail, and other confirmations, go on beside them."""
    began, before = time.monotonic(), counted(a, "patterns_costly")[0]
    assert send(a, ENDLESS)[0] == 250
    assert time.monotonic() - began < 1.5
    assert counted(a, "patterns_costly")[0] == before + 1
    until("the event", 5, lambda: any("patterns.ENDLESS" in json.dumps(e)
                                      for e in a.events("pattern-costly")), 0.1)
    replies, times = at_once(a, 3, ENDLESS, ["Subject: x\n\nx\n"] * 20)
    assert [code for code, _ in replies] == [250] * 3, replies
    assert max(s for _, s in replies) < 1.5, replies
    assert [code for code, _ in times] == [250] * 20 and max(s for _, s in times) < 0.5, times
    assert send(a, TWICE)[0] == 550


@bound(60)
def test_more_than_there_are_jobs(a):
    """Beyond sixteen, and beyond the time they have, messages are judged without PCRE2."""
    assert load(a, confirm_ms=2000)[0] == 0
    before = counted(a, "confirm_full", "messages_unscanned")
    replies, times = at_once(a, 60, ENDLESS, ["Subject: x\n\nx\n"] * 10)
    assert [code for code, _ in replies] == [250] * 60, replies
    assert max(s for _, s in replies) < 4, replies
    assert max(s for _, s in times) < 1, times
    after = counted(a, "confirm_full", "messages_unscanned")
    assert after[0] > before[0] and after[1] == before[1], (before, after)
    assert load(a, confirm_ms=20)[0] == 0
    late = counted(a, "confirm_late")[0]
    replies, _ = at_once(a, 60, ENDLESS)
    assert [code for code, _ in replies] == [250] * 60, replies
    assert counted(a, "confirm_late")[0] > late
    assert load(a, confirm_ms=0)[0] == 0
    asked = counted(a, "patterns_asked")[0]
    assert send(a, TWICE)[0] == 250
    assert counted(a, "patterns_asked")[0] == asked
    assert load(a)[0] == 0
    assert send(a, TWICE)[0] == 550


@bound(90)
def test_swapped_while_confirming(a):
    """Sets come and go while PCRE2 works with them; then the process is told to end, and does."""
    assert load(a, confirm_ms=10000)[0] == 0
    wrong, done, stop = [], [0], threading.Event()

    def client(i):
        texts = ((TWICE, 550), ("Subject: bargain bargains\n\nx\n", 250), (ENDLESS, 250))
        while not stop.is_set():
            text, right = texts[i]
            code, words = send(a, text)
            if code != right:
                wrong.append(words)
            done[0] += 1

    crowd = [threading.Thread(target=client, args=(i % 3,)) for i in range(6)]
    for c in crowd:
        c.start()
    try:
        for i in range(8):
            with open(a.path("test.patterns"), "a") as f:
                f.write(f"body:/word{i}(?!s)/ name=W{i} score=0.1 confirm\n")
            assert load(a, confirm_ms=10000)[0] == 0
    finally:
        stop.set()
        for c in crowd:
            c.join(30)
    assert not wrong and done[0] > 10, (done, wrong[:3])
    assert counted(a, "messages_unscanned") == [0]
    def last():
        try:
            send(a, ENDLESS)
        except (OSError, clients.Closed, AssertionError):
            pass  # 421, where it had not come to DATA

    crowd = [threading.Thread(target=last) for _ in range(16)]
    for c in crowd:
        c.start()
    time.sleep(0.2)
    assert a.terminate() == 0
    for c in crowd:
        c.join(30)
    a.start(None)
    assert send(a, TWICE)[0] == 550
