#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong on purpose: killed, drained, reloaded, fed damaged images, while mail flows. Uses
the laboratory of tests/e2e. As root.

    tests/fault/run.py [WORD...]     only tests whose group/name contains a word
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import framework
import t_drain
import t_images
import t_kill
import t_reload
import t_take_over

sys.exit(framework.main([t_kill, t_reload, t_take_over, t_drain, t_images]))
