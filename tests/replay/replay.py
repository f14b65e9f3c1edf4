#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replays captures and asserts the verdicts that a tester would see.

usage: replay.py POSTERN_COMPILE POSTERN_REPLAY

tests/captures (made by this project) is always there; a corpus of foreign captures is used where
one lies beside the checkout (shared/corpus/pcap): each must replay to its end, the same table twice.
"""
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CAPTURES = os.path.join(HERE, "..", "captures")
CORPUS = os.path.join(HERE, "..", "..", "..", "shared", "corpus", "pcap")
COMPILE, REPLAY = sys.argv[1:3]

# capture: (messages passed on, last code, verdict, reason) of its one session
EXPECTED = {
    "good-v4": (1, 221, None, "none"),
    "good-v6": (1, 221, None, "none"),
    "pipelined": (3, 221, None, "none"),
    "words": (1, 221, None, None),
    "other-domain": (0, 221, None, None),
    "listed-source": (0, 521, "refuse", "listed"),
}
results = []


def check(name, good, why=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}", flush=True)
    if not good:
        print(f"# {why}")


def replay(image, *args, stdin=None):
    done = subprocess.run([REPLAY, "--image", image, *args], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def own_captures(image):
    for name, (messages, code, verdict, reason) in EXPECTED.items():
        path = os.path.join(CAPTURES, name + ".pcap")
        status, out, err = replay(image, "--port", "2525", "--json", path)
        rows = [json.loads(line) for line in out.splitlines()]
        if status != 0 or len(rows) != 1:
            check(f"{name} is one session", False, f"exit {status}, {len(rows)} rows: {err}")
            continue
        row = rows[0]
        good = row["messages"] == messages and row["code"] == code
        good = good and (verdict is None or row["verdict"] == verdict)
        good = good and (reason is None or row["reason"] == reason)
        check(f"{name}: {messages} passed on, last code {code}", good, json.dumps(row))


def wrong_use(image, folder):
    broken = os.path.join(folder, "broken.pcap")
    with open(broken, "wb") as f:
        f.write(b"this is no capture")
    status, _, err = replay(image, broken)
    check("no capture: exit 1, the file is named", status == 1 and "broken.pcap" in err, err)
    status, _, err = replay(image, os.path.join(folder, "absent.pcap"))
    check("absent capture: exit 1, the file is named", status == 1 and "absent.pcap" in err, err)
    with open(image, "rb") as f:
        half = f.read()
    cut = os.path.join(folder, "half.image")
    with open(cut, "wb") as f:
        f.write(half[:len(half) // 2])
    status, _, err = replay(cut, os.path.join(CAPTURES, "good-v4.pcap"))
    check("half-written policy: exit 1, the file is named", status == 1 and "half.image" in err, err)
    status, _, err = replay(image)
    check("no capture named: exit 2 and the usage", status == 2 and "usage:" in err, err)
    good = os.path.join(CAPTURES, "good-v4.pcap")
    with open(good, "rb") as f:
        data = f.read()
    with open(broken, "wb") as f:
        f.write(data[:len(data) - 30])
    status, out, err = replay(image, "--port", "2525", broken)
    check("capture cut in a packet: exit 1, said where", status == 1 and "broken.pcap" in err, out + err)


DNS = """
dns:
  recursors: [{address: 127.0.0.1}]
  lists:
    - {name: bl, zone: bl.example, family: both, action: refuse}
    - {name: wl, zone: wl.example, family: both, kind: white, action: pass}
checks:
  host_missing: {state: enforce, action: refuse}
  host_unconfirmed: {state: enforce, action: refuse}
  sender_null_mx: {state: enforce, action: refuse}
  sender_is_mx: {state: enforce, action: refuse}
  spf_fail: {state: enforce, action: refuse}
"""
CLIENT, CLIENT6 = "192.0.2.101", "2001:db8:1::101"
FINE = """# recorded answers, a line each
listed {0} nowhere
host {0} mail.example.net
sender example.net exists
spf {0} example.net pass
"""
# lines behind the fine ones: (messages, verdict, reason) of good-v4's session
ANSWERED = {
    "nothing against it": ("", 1, "none"),
    "a list names it": ("listed {0} bl", 0, "dns-listed"),
    "by the rule's name, among others": ("listed {0} elsewhere,dns.bl", 0, "dns-listed"),
    "a list that the policy lacks": ("listed {0} elsewhere", 1, "none"),
    "a white list, too": ("listed {0} bl,wl", 1, "allowed"),
    "the later line holds": ("listed {0} bl\nlisted {0} nowhere", 1, "none"),
    "another client": ("listed 192.0.2.102 bl", 1, "none"),
    "no name": ("host {0} none", 0, "host-name"),
    "a name that does not lead back": ("host {0} unconfirmed", 0, "host-name"),
    "a sender without mail": ("sender Example.NET null-mx", 0, "sender-null-mx"),
    "the sender's exchange": ("sender example.net mx {0}", 0, "none"),
    "another's exchange": ("sender example.net mx 192.0.2.102", 1, "none"),
    "SPF": ("spf {0} example.net fail", 0, "spf-fail"),
    "SPF of another domain": ("spf {0} example.com fail", 1, "none"),
    "the event log": ('{{"event":"session","client":"{0}","mail":"sender@example.net","facts":'
                      '{{"host":"confirmed","host_name":"mail.example.net","sender":"exists","spf":"pass",'
                      '"dns":["dns.bl"]}}}}', 0, "dns-listed"),
    "SPF by the event log": ('{{"event":"session","client":"{0}","mail":"sender@example.net","facts":'
                             '{{"host":"confirmed","host_name":"mail.example.net","spf":"fail"}}}}', 0, "spf-fail"),
    "other events": ('{{"event":"backend-up","text":"mail1"}}', 1, "none"),
}
WRONG = ["listed", "host 192.0.2.101", "host 192.0.2.300 none", "sender example.net maybe", "resolve it for me",
         "spf 192.0.2.101 example.net perhaps", "listed 192.0.2.1 bl more", '{"event": "session"', "x" * 70000]


def name_service(folder):
    image, path = os.path.join(folder, "dns.image"), os.path.join(folder, "dns.yaml")
    answers = os.path.join(folder, "answers")
    with open(os.path.join(HERE, "policy.yaml"), encoding="ascii") as f:
        text = f.read()
    with open(path, "w", encoding="ascii") as f:
        f.write(text + DNS)
    done = subprocess.run([COMPILE, "-o", image, path], stderr=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
    check("a policy with name service compiles", done.returncode == 0, done.stderr.decode())

    def one(lines, client=CLIENT, capture="good-v4"):
        with open(answers, "w", encoding="ascii") as f:
            f.write((FINE + lines + "\n").format(client))
        status, out, err = replay(image, "--port", "2525", "--json", "--answers", answers,
                                  os.path.join(CAPTURES, capture + ".pcap"))
        row = json.loads(out) if status == 0 else {}
        return status, row, f"exit {status}: {row} {err}", err

    for name, (lines, messages, reason) in ANSWERED.items():
        status, row, why, err = one(lines)
        check(f"recorded answers: {name}", status == 0 and row["messages"] == messages and row["reason"] == reason
              and not err, why)
    status, row, why, err = one("listed {0} bl", CLIENT6, "good-v6")
    check("recorded answers: an IPv6 client", status == 0 and row["reason"] == "dns-listed" and not err, why)
    capture = os.path.join(CAPTURES, "good-v4.pcap")
    status, out, err = replay(image, "--port", "2525", "--json", capture)
    check("without answers all four questions fail, and are counted",
          status == 0 and json.loads(out)["messages"] == 1 and "4 questions" in err and "--answers" in err, out + err)
    with open(answers, "w", encoding="ascii") as f:
        f.write(f"host {CLIENT} mail.example.net\nlisted {CLIENT} nowhere\n")
    status, out, err = replay(image, "--port", "2525", "--answers", answers, capture)
    check("what is missing is counted", status == 0 and "2 questions" in err and answers in err, out + err)
    for line in WRONG:
        with open(answers, "w", encoding="ascii") as f:
            f.write("# one\n" + line + "\n")
        status, out, err = replay(image, "--answers", answers, capture)
        check(f"wrong line `{line[:30]}`: exit 1, named", status == 1 and f"{answers}:2: " in err and not out,
              f"exit {status}: {err}")
    status, _, err = replay(image, "--answers", os.path.join(folder, "absent"), capture)
    check("absent answers: exit 1, the file is named", status == 1 and "absent" in err, err)


def corpus(image):
    files = sorted(glob.glob(os.path.join(CORPUS, "*")))
    if not files:
        print(f"ok {len(results) + 1} - corpus # SKIP no corpus beside the checkout")
        results.append(True)
        return
    for path in files:
        data = None
        if path.endswith(".gz"):
            with gzip.open(path) as f:
                data = f.read()
        args = ("--json", "-" if data else path)
        first = replay(image, *args, stdin=data)
        again = replay(image, *args, stdin=data)
        check(f"corpus {os.path.basename(path)}: to its end, twice the same",
              first[0] == 0 and first[1] == again[1], f"exit {first[0]}: {first[2]}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "policy.image")
        done = subprocess.run([COMPILE, "-o", image, os.path.join(HERE, "policy.yaml")],
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
        check("the policy compiles", done.returncode == 0, done.stderr.decode())
        if done.returncode == 0:
            own_captures(image)
            wrong_use(image, folder)
            name_service(folder)
            corpus(image)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
