/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds the parts of an image in memory: the compiler's half of image.h. The same input gives the
 * same bytes, so an unchanged part keeps its hash. Not for worker cores: it allocates.
 *
 * Order of use: strings, servers, pools, domains, lists and addresses in any order that respects
 * references (a pool's servers first, a list before its addresses), the rest straight into
 * image_writer_settings(), then image_writer_finish(). One thread.
 */
#ifndef POSTERN_FILTERS_IMAGE_WRITE_H
#define POSTERN_FILTERS_IMAGE_WRITE_H

#include "image.h"
#include "nameset.h"
#include "policy.h"

struct image_writer;

struct image_writer *image_writer_new(void); /* NULL: no memory */
struct image_writer *image_writer_free(struct image_writer *w);

/* The settings to fill in; zeroed at first. The writer sets layout, size, n_pools, n_servers,
 * n_domains, n_lists and the *_off fields itself. */
struct policy_settings *image_writer_settings(struct image_writer *w);

/* A string's offset; equal strings share one. -ENOMEM, -E2BIG: 4 GiB of strings. */
int image_writer_string(struct image_writer *w, const char *s, policy_str *ret_str);

/* Each returns the index (>= 0), or -ENOMEM, or -E2BIG beyond the POLICY_MAX_ of its kind. */
int image_writer_server(struct image_writer *w, const struct policy_server *server);
int image_writer_pool(struct image_writer *w, const struct policy_pool *pool);
/* `rule` is filled in: a row of its own, "lists.NAME", enforced for all. */
int image_writer_list(struct image_writer *w, const struct policy_list *list);
/* `id` is filled in. The rows 0 to CHECK_N - 1 are there from the start, as checks.def has them. */
int image_writer_rule(struct image_writer *w, const struct policy_rule *rule);
/* To change a row made before. Valid until the next image_writer_rule() or _list(). */
struct policy_rule *image_writer_rule_at(struct image_writer *w, unsigned index);
/* The row of a list. */
unsigned image_writer_rule_of_list(const struct image_writer *w, unsigned list);

/* name: any case, without a trailing dot. A domain named twice with the same kind: finish says
 * -EEXIST. "subdomains: true" is two calls, DOMAIN_EXACT and DOMAIN_SUBDOMAINS. */
int image_writer_domain(struct image_writer *w, const char *name, enum policy_domain_kind kind,
    unsigned pool, unsigned tenant);

/* set and except: numbers of sets. */
int image_writer_access(struct image_writer *w, const struct policy_access *access);

/* The greylist: makes its three rules ("greylist", "greytrap", "spamtrap", enforced for all) and
 * three empty sets of names, and fills their numbers into the settings' section. Once. */
int image_writer_greylist(struct image_writer *w);

/* A rate: makes its rule "rates.NAME" (defers, enforced for all) and returns its row; rate.rule is
 * filled in. -E2BIG, -ENOMEM. */
int image_writer_rate(struct image_writer *w, const char *name, const struct policy_rate *rate);
/* Recipients by file: makes the rule "recipients" (550, enforced for all) over two sets of names. */
int image_writer_recipients(struct image_writer *w, unsigned domains, unsigned recipients);

/* A new, empty set of names (nameset.h): its number, or -E2BIG. */
int image_writer_set(struct image_writer *w);
/* kind and text as nameset_read() gave them; expires_s: Unix time, 0 for never. -EINVAL: no such set.
 * -ENOMEM, -E2BIG: too many globs. */
int image_writer_name(struct image_writer *w, unsigned set, enum name_kind kind, const char *text,
    uint32_t expires_s);

/*
 * Address entries of a list (index from image_writer_list). Bits behind prefix_len are ignored.
 * Where entries overlap, the published precedence is: an allow list (verdict PASS) beats every
 * other, the more specific prefix beats the less specific one, then the more severe verdict wins,
 * then the list made first. IPv4 and IPv6 are two spaces: ::/0 holds no IPv4 address.
 * -EINVAL: no such list, prefix_len out of range, first > last. -ENOMEM.
 */
int image_writer_v4(
    struct image_writer *w, unsigned list, uint32_t addr_host_order, unsigned prefix_len);
int image_writer_v6(
    struct image_writer *w, unsigned list, const uint8_t addr[16], unsigned prefix_len);
/* Both ends included; becomes the prefixes that cover it exactly. */
int image_writer_v4_range(struct image_writer *w, unsigned list, uint32_t first, uint32_t last);
int image_writer_v6_range(
    struct image_writer *w, unsigned list, const uint8_t first[16], const uint8_t last[16]);
/* addr as in facts.client: IPv4 as ::ffff:a.b.c.d; prefix_len 0-32 then, else 0-128. */
int image_writer_prefix(
    struct image_writer *w, unsigned list, const uint8_t addr[16], unsigned prefix_len);

/* A pattern part (PATTERN_SET_FILES or _EMERGENCY), as control/compile_patterns made it: 64-byte aligned, by aligned_alloc(). The
 * writer's from now on, whatever this returns. -EEXIST: there is one. */
int image_writer_patterns(struct image_writer *w, unsigned set, void *part, size_t len);

/* Builds the parts; they belong to the writer and live until image_writer_free(). Once only.
 * -ENOMEM; -EEXIST or -E2BIG with a sentence in ret_error (the writer's storage). */
int image_writer_finish(struct image_writer *w, struct image_part ret_parts[IMAGE_MAX_PARTS],
    unsigned *ret_n_parts, const char **ret_error);

#endif
