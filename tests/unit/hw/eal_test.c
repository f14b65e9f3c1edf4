/* SPDX-License-Identifier: BSD-3-Clause */
/* Device names become EAL arguments; what is missing is said before DPDK starts. */
#include "hw_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void join(const struct eal_args *args, char *ret_text, size_t size)
{
	size_t at = 0;

	ret_text[0] = '\0';
	for (unsigned i = 0; i < args->n && at < size; i++)
		at += (size_t)snprintf(ret_text + at, size - at, "%s ", args->v[i]);
}

static void make(const char *const *eal, unsigned n_eal, const char *device, uint16_t mtu,
    uint16_t queues, char *ret_text, size_t size)
{
	const struct hw_port_request port = { "outside", device, mtu, queues };
	struct eal_args args;
	char *error = NULL;

	assert_int_equal(hw_eal_args("x", eal, n_eal, &port, 1, 1, &args, &error), 0);
	join(&args, ret_text, size);
	hw_eal_args_free(&args);
}

static void virtual_device_becomes_vdev(void **state)
{
	const char *eal[] = { "--no-huge", "-m", "512" };
	char text[1024];

	(void)state;
	make(eal, 3, "net_af_packet0,iface=x", 1500, 2, text, sizeof(text));
	assert_non_null(strstr(text, "--vdev=net_af_packet0,iface=x,qpairs=2,framesz=2048"));
	assert_non_null(strstr(text, "--no-pci "));
	assert_non_null(strstr(text, "--file-prefix=postern"));
	assert_null(strstr(text, "--in-memory"));
	assert_non_null(strstr(text, "--no-huge -m 512 "));
	make(eal, 3, "net_af_packet0,iface=x", 9000, 1, text, sizeof(text));
	assert_non_null(strstr(text, "framesz=16384,blocksz=16384"));
	make(eal, 3, "net_af_xdp0,iface=x", 1500, 4, text, sizeof(text));
	assert_non_null(strstr(text, "--vdev=net_af_xdp0,iface=x,queue_count=4 "));
}

static void pci_device_is_allowed(void **state)
{
	char text[1024];

	(void)state;
	make(NULL, 0, "0000:03:00.0", 1500, 1, text, sizeof(text));
	assert_non_null(strstr(text, "-a0000:03:00.0 "));
	assert_null(strstr(text, "--no-pci"));
	assert_non_null(strstr(text, "--in-memory "));
}

static void the_operators_own_words_win(void **state)
{
	const char *eal[] = { "-l0,1", "--vdev=net_ring0", "--file-prefix=mine", "--no-telemetry" };
	char text[1024];

	(void)state;
	make(eal, 4, "net_ring0", 1500, 1, text, sizeof(text));
	assert_string_equal(
	    text, "x --no-pci -l0,1 --vdev=net_ring0 --file-prefix=mine --no-telemetry ");
}

static void device_arguments_are_read(void **state)
{
	char value[16];

	(void)state;
	assert_true(
	    hw_device_arg("net_af_xdp0,start_queue=1,iface=eth0", "iface", value, sizeof(value)));
	assert_string_equal(value, "eth0");
	assert_false(hw_device_arg("net_af_xdp0,xiface=eth0", "iface", value, sizeof(value)));
	assert_true(hw_device_is_pci("03:00.0"));
	assert_true(hw_device_is_pci("0000:03:00.1,arg=1"));
	assert_false(hw_device_is_pci("net_ring0"));
	assert_false(hw_device_is_pci("0000:03:00.0x"));
}

static void precheck(const char *device, int rc, const char *words)
{
	const char *eal[] = { "--no-huge" };
	const struct hw_port_request port = { "outside", device, 1500, 1 };
	char *error = NULL;

	assert_int_equal(hw_eal_precheck(eal, 1, &port, 1, &error), rc);
	assert_non_null(error);
	if (!strstr(error, words))
		fail_msg("\"%s\" does not say \"%s\"", error, words);
	assert_non_null(strstr(error, "port outside"));
	free(error);
}

static void what_is_missing_is_said(void **state)
{
	(void)state;
	precheck(
	    "net_af_packet0,iface=nosuchiface", -ENODEV, "no network interface \"nosuchiface\"");
	precheck("net_af_packet0", -EINVAL, "add \",iface=NAME\"");
	precheck("ffff:ff:1f.7", -ENODEV, "no PCI device ffff:ff:1f.7");
	precheck("eth9", -EINVAL, "neither a PCI address");
}

static void too_many_workers_is_said(void **state)
{
	const struct hw_port_request port = { "outside", "net_ring0", 1500, 1 };
	struct eal_args args;
	char *error = NULL;

	(void)state;
	assert_int_equal(hw_eal_args("x", NULL, 0, &port, 1, 5000, &args, &error), -ERANGE);
	assert_non_null(strstr(error, "host.workers is 5000"));
	free(error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(virtual_device_becomes_vdev),
		cmocka_unit_test(pci_device_is_allowed),
		cmocka_unit_test(the_operators_own_words_win),
		cmocka_unit_test(device_arguments_are_read),
		cmocka_unit_test(what_is_missing_is_said),
		cmocka_unit_test(too_many_workers_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
