#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The resolver against real name servers (rbldnsd, unbound) in a network namespace of its own, in
which nothing else is: listed and unlisted, lying, dead, slow, truncating, flooded. As root.

    tests/dns/run.py [WORD...]     only tests whose group/name contains a word
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INSIDE = "POSTERN_DNS_NAMESPACE"
if os.environ.get(INSIDE) != "1":
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "2001:db8::53/128", "dev", "lo"], check=True)
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import framework
import t_answers
import t_belief
import t_trouble

sys.exit(framework.main([t_answers, t_belief, t_trouble]))
