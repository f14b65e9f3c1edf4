/* SPDX-License-Identifier: BSD-3-Clause */
/* Text for the pages that are made from tables at build time (ctl_man.c, yaml_man.c). */
#ifndef POSTERN_CONTROL_MAN_TEXT_H
#define POSTERN_CONTROL_MAN_TEXT_H

/* To stdout: a leading dot or quote begins a request in man(7); a backslash and a hyphen have
 * meanings. */
void man_put(const char *text);

#endif
