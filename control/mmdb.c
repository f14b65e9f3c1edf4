/* SPDX-License-Identifier: BSD-3-Clause */
/* Country and ASN sets (mmdb.h). */
#include "mmdb.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	MMDB_s db;
	const struct mmdb_wanted *wanted;
	int (*take)(void *arg, const struct inet_range *range);
	void *arg;
	bool has_country, has_asn; /* some record has */
	uint32_t v4_start;         /* where the IPv4 addresses hang in an IPv6 tree */
	char *why;
};

/* Both makers' names of the field: nested, and flat. */
static const char *const country_paths[][3] = { { "country", "iso_code", NULL },
	{ "country_code", NULL, NULL }, { "country", NULL, NULL } };
static const char *const asn_paths[][3] = { { "autonomous_system_number", NULL, NULL },
	{ "asn", NULL, NULL } };

static bool field(MMDB_entry_s *entry, const char *const path[3], MMDB_entry_data_s *ret)
{
	return MMDB_aget_value(entry, ret, path) == MMDB_SUCCESS && ret->has_data;
}

static bool country_fits(struct walk *w, MMDB_entry_s *entry)
{
	MMDB_entry_data_s data;
	for (size_t i = 0; i < sizeof(country_paths) / sizeof(country_paths[0]); i++) {
		if (!field(entry, country_paths[i], &data) ||
		    data.type != MMDB_DATA_TYPE_UTF8_STRING)
			continue;
		w->has_country = true;
		for (size_t k = 0; k < w->wanted->n_countries; k++)
			if (data.data_size == strlen(w->wanted->countries[k]) &&
			    memcmp(data.utf8_string, w->wanted->countries[k], data.data_size) == 0)
				return true;
		return false;
	}
	return false;
}

static bool asn_of(const MMDB_entry_data_s *data, uint32_t *ret)
{
	char text[16];
	switch (data->type) {
	case MMDB_DATA_TYPE_UINT16: *ret = data->uint16; return true;
	case MMDB_DATA_TYPE_UINT32: *ret = data->uint32; return true;
	case MMDB_DATA_TYPE_UTF8_STRING: /* "AS64500" */
		if (data->data_size < 3 || data->data_size >= sizeof(text) ||
		    memcmp(data->utf8_string, "AS", 2) != 0)
			return false;
		memcpy(text, data->utf8_string + 2, data->data_size - 2);
		text[data->data_size - 2] = '\0';
		*ret = (uint32_t)strtoul(text, NULL, 10);
		return true;
	default: return false;
	}
}

static bool asn_fits(struct walk *w, MMDB_entry_s *entry)
{
	MMDB_entry_data_s data;
	uint32_t asn;
	for (size_t i = 0; i < sizeof(asn_paths) / sizeof(asn_paths[0]); i++) {
		if (!field(entry, asn_paths[i], &data) || !asn_of(&data, &asn))
			continue;
		w->has_asn = true;
		for (size_t k = 0; k < w->wanted->n_asns; k++)
			if (asn == w->wanted->asns[k])
				return true;
		return false;
	}
	return false;
}

/* `bits` are those of the tree: IPv4 lies at ::/96 of an IPv6 tree. */
static int take_prefix(struct walk *w, const uint8_t at[16], unsigned depth)
{
	struct inet_net net = { .prefix_len = (uint8_t)depth };
	bool v4 = w->db.metadata.ip_version == 4;
	memcpy(net.addr, at, 16);
	if (!v4 && depth >= 96 && memcmp(at, (const uint8_t[12]){ 0 }, 12) == 0) {
		v4 = true;
		net.prefix_len = (uint8_t)(depth - 96);
	} else if (v4) {
		memcpy(net.addr + 12, at, 4);
	}
	if (v4) {
		memset(net.addr, 0, 10);
		memset(net.addr + 10, 0xff, 2);
	}
	struct inet_range range = inet_net_range(&net);
	return w->take(w->arg, &range);
}

static int leaf(struct walk *w, MMDB_entry_s *entry, const uint8_t at[16], unsigned depth)
{
	bool fits = false;
	if (w->wanted->n_countries != 0)
		fits = country_fits(w, entry);
	if (!fits && w->wanted->n_asns != 0)
		fits = asn_fits(w, entry);
	return fits ? take_prefix(w, at, depth) : 0;
}

static int wrong(struct walk *w, int status)
{
	snprintf(w->why, 256, "is no sound MaxMind DB: %s", MMDB_strerror(status));
	return -EBADMSG;
}

static int descend(struct walk *w, uint32_t number, uint8_t at[16], unsigned depth)
{
	MMDB_search_node_s node;
	unsigned deepest = w->db.metadata.ip_version == 4 ? 32 : 128;
	int status = MMDB_read_node(&w->db, number, &node), ret = 0;
	if (status != MMDB_SUCCESS)
		return wrong(w, status);
	if (depth >= deepest)
		return wrong(w, MMDB_CORRUPT_SEARCH_TREE_ERROR);
	for (unsigned bit = 0; bit < 2 && ret == 0; bit++) {
		uint8_t type = bit == 0 ? node.left_record_type : node.right_record_type;
		uint64_t next = bit == 0 ? node.left_record : node.right_record;
		if (bit == 1)
			at[depth / 8] |= (uint8_t)(0x80 >> depth % 8);
		switch (type) {
		case MMDB_RECORD_TYPE_SEARCH_NODE:
			/* 6to4, Teredo and mapped addresses lead into the IPv4 tree again */
			if (deepest == 128 && next == w->v4_start &&
			    !(depth == 95 && memcmp(at, (const uint8_t[12]){ 0 }, 12) == 0))
				break;
			ret = descend(w, (uint32_t)next, at, depth + 1);
			break;
		case MMDB_RECORD_TYPE_DATA:
			ret = leaf(w, bit == 0 ? &node.left_record_entry : &node.right_record_entry,
			    at, depth + 1);
			break;
		case MMDB_RECORD_TYPE_EMPTY: break;
		default: ret = wrong(w, MMDB_CORRUPT_SEARCH_TREE_ERROR); break;
		}
	}
	at[depth / 8] &= (uint8_t) ~(0x80 >> depth % 8);
	return ret;
}

/* The node behind 96 zero bits; UINT32_MAX: none, no branch leads there. */
static uint32_t v4_start_of(const MMDB_s *db)
{
	uint32_t number = 0;
	MMDB_search_node_s node;
	for (unsigned i = 0; i < 96; i++) {
		if (MMDB_read_node(db, number, &node) != MMDB_SUCCESS ||
		    node.left_record_type != MMDB_RECORD_TYPE_SEARCH_NODE)
			return UINT32_MAX;
		number = (uint32_t)node.left_record;
	}
	return number;
}

int mmdb_read(const char *path, const struct mmdb_wanted *wanted,
    int (*take)(void *arg, const struct inet_range *range), void *arg, char ret_why[256])
{
	struct walk w = { .wanted = wanted, .take = take, .arg = arg, .why = ret_why };
	uint8_t at[16] = { 0 };
	errno = 0;
	int status = MMDB_open(path, MMDB_MODE_MMAP, &w.db), ret;
	if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
		return errno != 0 ? -errno : -EIO;
	if (status == MMDB_OUT_OF_MEMORY_ERROR)
		return -ENOMEM;
	if (status != MMDB_SUCCESS)
		return wrong(&w, status);
	w.v4_start = w.db.metadata.ip_version == 6 ? v4_start_of(&w.db) : UINT32_MAX;
	ret = descend(&w, 0, at, 0);
	if (ret == 0 && wanted->n_countries != 0 && !w.has_country) {
		snprintf(
		    ret_why, 256, "has no field country.iso_code or country_code in its records");
		ret = -EBADMSG;
	} else if (ret == 0 && wanted->n_asns != 0 && !w.has_asn) {
		snprintf(
		    ret_why, 256, "has no field autonomous_system_number or asn in its records");
		ret = -EBADMSG;
	}
	MMDB_close(&w.db);
	return ret;
}
