/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The schema: one row per key with type, range, default, unit and documentation. The reader, the
 * messages, `posternctl help config KEY` and the manual page all come from the same rows.
 *
 * Why not libcyaml: its schema has types and lengths too, but it stops at the first mistake, says
 * neither range nor alternatives, and drops line and column once a value is loaded, so that a
 * missing pool could not be shown where it was written. libyaml, on which it stands, gives the
 * place of every node.
 */
#ifndef POSTERN_CONTROL_SCHEMA_H
#define POSTERN_CONTROL_SCHEMA_H

#include "config.h"

enum schema_type {
	SCHEMA_SECTION, /* a mapping with keys of its own */
	SCHEMA_NUMBER,
	SCHEMA_BOOL,
	SCHEMA_TEXT, /* printable ASCII */
	SCHEMA_NAME, /* letters, digits, - _ . */
	SCHEMA_HOSTNAME,
	SCHEMA_WORD, /* one of a few */
	SCHEMA_ADDRESS,
	SCHEMA_INTERFACE, /* address/length */
	SCHEMA_NETWORK,   /* prefix, no host bits */
	SCHEMA_RANGE,     /* address, prefix or first-last */
	SCHEMA_STATE, /* of a rule: off, shadow, enforce or N%; number: enum schema_state or N */
};

enum schema_flag {
	SCHEMA_MANY = 1u << 0, /* a sequence of these; min and max count its entries */
	SCHEMA_REQUIRED = 1u << 1,
	SCHEMA_POWER_OF_2 = 1u << 2,
	SCHEMA_RESTART = 1u << 3, /* taken at start of the dataplane; inherited by keys below */
};

/* config_value.number of a SCHEMA_STATE; between: percent of clients. */
enum schema_state { STATE_SHADOW = 0, STATE_ENFORCE = 100, STATE_OFF = -1 };

enum { SCHEMA_ENTRY_MAX = 255 }; /* characters of a text in a list of texts */

struct schema_section;

struct schema_key {
	const char *name;
	enum schema_type type;
	unsigned flags;
	size_t offset;    /* of the config_value, config_items or section's struct */
	int64_t min, max; /* number: its range; text: its length; SCHEMA_MANY: entries */
	const char *def;  /* as written in YAML; NULL: nothing */
	const char *unit; /* NULL: none */
	const char *const *words; /* SCHEMA_WORD: all of them; ADDRESS, NETWORK: allowed besides; NULL-ended */
	const struct schema_section *section;
	const char *doc;
};

struct schema_section {
	size_t size; /* of its struct */
	unsigned n_keys;
	const struct schema_key *keys;
};

extern const struct schema_section config_schema; /* config_schema.c */
/* Sections that have a file of their own. */
extern const struct schema_section access_schema, relay_schema;               /* schema_access.c */
extern const struct schema_section checks_schema, score_schema, waves_schema; /* schema_checks.c */
extern const struct schema_section shape_schema;                              /* schema_shape.c */
extern const struct schema_section dns_schema;                                /* schema_dns.c */
extern const struct schema_section patterns_schema; /* schema_patterns.c */
extern const struct schema_section events_schema;   /* schema_events.c */
extern const struct schema_section bans_schema;     /* schema_bans.c */
extern const struct schema_section memory_schema, rate_schema, recipients_schema,
    batv_schema;                                /* schema_memory.c */
extern const struct schema_section grey_schema; /* schema_grey.c */

/* The row of a dotted key ("pools.servers.port"); NULL: none. ret_flags (NULL is allowed) gets the
 * row's flags with those inherited. */
const struct schema_key *schema_find(const char *dotted, unsigned *ret_flags);
/* What a row allows, in words: "a number from 1 to 64". */
void schema_allowed(const struct schema_key *key, char *ret_text, size_t size);

/* Every row in order, sections before their keys. */
typedef void schema_visit(
    void *arg, const char *dotted, const struct schema_key *key, unsigned flags);
void schema_walk(schema_visit *visit, void *arg);

/* One value as text against its row: NULL, or what is wrong in words that fit behind the value.
 * `plain`: written without quotes. */
const char *schema_value(const struct schema_key *key, const char *text, size_t len, bool plain,
    struct config_value *value);

/* Reads YAML into the struct of config_schema; texts and items go to the arena. Mistakes go to
 * complaints; defaults stand where a value is missing or wrong, so that reading goes on. False: it
 * is not YAML at all, and nothing was filled in. */
bool schema_read(const char *file, const char *yaml, size_t len, struct arena *arena,
    struct complaints *complaints, struct config *ret_config);

#endif
