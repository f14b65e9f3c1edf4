/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints posternctl(1) at build time. */
#include "ctl.h"

#include <stdio.h>

int main(void)
{
	ctl_man();
	return ferror(stdout) != 0;
}
