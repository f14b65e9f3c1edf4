/* SPDX-License-Identifier: BSD-3-Clause */
/* Between ctl_lists*.c: run-time lists and bans on the command line. */
#ifndef POSTERN_CONTROL_CTL_LISTS_H
#define POSTERN_CONTROL_CTL_LISTS_H

#include "ctl.h"

/* Every entry of list.show or ban.show, page by page. Takes params. Returns the exit code. */
typedef void ctl_entry(void *arg, json_t *entry);
int ctl_each_entry(
    const struct ctl *ctl, const char *method, json_t *params, ctl_entry *each, void *arg);

int ctl_list_import(const struct ctl *ctl, int argc, char **argv);
int ctl_list_export(const struct ctl *ctl, int argc, char **argv);

#endif
