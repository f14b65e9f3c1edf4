#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The whole import of SpamAssassin's rules in a running appliance (t_spamassassin.py); apart from
tests/e2e/run.py since import and compilation take minutes of a slow machine. As root."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import framework
import t_spamassassin

sys.exit(framework.main([t_spamassassin]))
