#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""End to end: real clients, the appliance, a real Postfix, in namespaces of their own. As root.

    tests/e2e/run.py [WORD...]     only tests whose group/name contains a word
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import framework
import t_access
import t_bodies
import t_clients
import t_crowd
import t_direct
import t_dns
import t_engineer
import t_explain
import t_flood
import t_grey
import t_hello
import t_hostile
import t_lists
import t_loss
import t_manager
import t_patterns
import t_memory
import t_seeing
import t_servers
import t_shape
import t_smuggle
import t_sources
import t_starttls
import t_trying
import t_waves
import t_workers

# in this order; one a line
sys.exit(framework.main([
    t_direct,
    t_access,
    t_clients,
    t_bodies,
    t_sources,
    t_hello,
    t_shape,
    t_smuggle,
    t_starttls,
    t_hostile,
    t_engineer,
    t_flood,
    t_grey,
    t_manager,
    t_patterns,
    t_memory,
    t_seeing,
    t_lists,
    t_trying,
    t_servers,
    t_dns,
    t_explain,
    t_crowd,
    t_waves,
    t_workers,
    t_loss,
]))
