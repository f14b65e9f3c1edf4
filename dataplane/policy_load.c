/* SPDX-License-Identifier: BSD-3-Clause */
/* See policy_load.h. */
#include "policy_load.h"
#include "fail.h"

#include "filters/scanner.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_SCANNERS = 4 * POLICY_MAX_GENERATIONS,
	MAX_HELD = POLICY_MAX_GENERATIONS * IMAGE_MAX_PARTS + MAX_SCANNERS,
};
#define WANTED_SEALS   (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
#define IMAGE_MAX_SIZE (4ull << 30) /* bytes of one part; ten times what 10 M addresses need */

struct held_part {
	unsigned refs; /* generations that use it; 0: the slot is free */
	uint32_t kind;
	uint8_t sha256[IMAGE_HASH_LEN];
	void *base;
	size_t len;
};

struct held_scanner {
	struct scanner *scanner; /* NULL: the slot is free */
	struct held_part *part;  /* counted */
	struct pattern_limits limits;
	unsigned refs;    /* generations that use it; 0: messages do */
	uint64_t retired; /* in which order */
	bool condemned;
};

struct policy_store {
	pthread_mutex_t lock;
	char *dir;
	uint32_t trusted; /* the manager's user; set before the control server starts */
	unsigned n_generations;
	struct held_part held[MAX_HELD];
	struct held_scanner scanners[MAX_SCANNERS];
	uint64_t retirements;
	unsigned n_workers; /* of the first policy: taken at start */
};

static void part_put(struct held_part *p)
{
	if (--p->refs == 0 && p->base)
		munmap(p->base, p->len);
}

static void scanner_close(struct held_scanner *h)
{
	scanner_free(h->scanner);
	part_put(h->part);
	*h = (struct held_scanner){ .scanner = NULL };
}

static const char image_name[] = "policy.image";

void policy_sha256(const void *data, size_t len, uint8_t ret_sha256[IMAGE_HASH_LEN])
{
	unsigned n = IMAGE_HASH_LEN;

	if (EVP_Digest(data, len, ret_sha256, &n, EVP_sha256(), NULL) != 1)
		memset(ret_sha256, 0, IMAGE_HASH_LEN); /* matches nothing */
}

int policy_store_new(const char *dir, struct policy_store **ret_store)
{
	struct policy_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (dir && !(s->dir = strdup(dir))) {
		free(s);
		return -ENOMEM;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->trusted = geteuid();
	*ret_store = s;
	return 0;
}

void policy_store_trust(struct policy_store *s, uint32_t uid)
{
	s->trusted = uid;
}

struct policy_store *policy_store_free(struct policy_store *s)
{
	if (!s)
		return NULL;
	for (unsigned i = 0; i < MAX_SCANNERS; i++)
		if (s->scanners[i].scanner)
			scanner_close(&s->scanners[i]); /* workers have ended */
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
	return NULL;
}

/* ---- parts; the lock is held ---- */

static struct held_part *part_find(
    struct policy_store *s, uint32_t kind, const uint8_t sha256[IMAGE_HASH_LEN])
{
	for (unsigned i = 0; i < MAX_HELD; i++) {
		struct held_part *p = &s->held[i];

		if (p->refs && p->kind == kind && memcmp(p->sha256, sha256, IMAGE_HASH_LEN) == 0)
			return p;
	}
	return NULL;
}

static struct held_part *part_add(struct policy_store *s, uint32_t kind,
    const uint8_t sha256[IMAGE_HASH_LEN], void *base, size_t len)
{
	for (unsigned i = 0; i < MAX_HELD; i++) {
		struct held_part *p = &s->held[i];

		if (p->refs == 0) {
			*p = (struct held_part){ .refs = 1, .kind = kind, .base = base, .len = len };
			memcpy(p->sha256, sha256, IMAGE_HASH_LEN);
			return p;
		}
	}
	return NULL; /* cannot be: generations are fewer */
}

/* ---- scanners; the lock is held ---- */

static void sweep(struct policy_store *s)
{
	for (unsigned i = 0; i < MAX_SCANNERS; i++) {
		struct held_scanner *h = &s->scanners[i];

		if (h->scanner && h->refs == 0 && scanner_open(h->scanner) == 0)
			scanner_close(h);
	}
}

/* Of what messages alone hold on to, the oldest end. */
static void condemn(struct policy_store *s)
{
	struct held_scanner *oldest = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_SCANNERS; i++) {
		struct held_scanner *h = &s->scanners[i];

		if (!h->scanner || h->refs || h->condemned)
			continue;
		n++;
		if (!oldest || h->retired < oldest->retired)
			oldest = h;
	}
	if (n < POLICY_MAX_GENERATIONS)
		return;
	oldest->condemned = true;
	scanner_condemn(oldest->scanner);
}

void policy_store_sweep(struct policy_store *s)
{
	pthread_mutex_lock(&s->lock);
	sweep(s);
	pthread_mutex_unlock(&s->lock);
}

struct scanner_asking {
	struct policy_store *store;
	struct generation *gen;
};

/* Policies with the same part and limits share a scanner. */
static struct scanner *scanner_for(void *arg, const struct image_part *part,
    const struct policy_settings *settings, const char **ret_error)
{
	const struct scanner_asking *asking = arg;
	struct policy_store *s = asking->store;
	struct generation *gen = asking->gen;
	struct held_scanner *slot = NULL;
	struct held_part *held = NULL;
	struct pattern_limits limits;

	if (s->n_workers == 0)
		s->n_workers = settings->host.workers ? settings->host.workers : 1;
	limits = scanner_limits(&settings->patterns, s->n_workers);
	for (unsigned i = 0; i < gen->n_parts; i++)
		if (gen->parts[i]->base == part->base)
			held = gen->parts[i];
	sweep(s);
	for (unsigned i = 0; i < MAX_SCANNERS; i++) {
		struct held_scanner *h = &s->scanners[i];

		if (!h->scanner)
			slot = h;
		else if (h->part == held && !h->condemned &&
			 h->limits.messages == limits.messages && h->limits.depth == limits.depth &&
			 h->limits.decoded_depth == limits.decoded_depth) {
			h->refs++;
			gen->scanners[gen->n_scanners++] = h;
			return h->scanner;
		}
	}
	*ret_error = "patterns: earlier pattern sets are still in use";
	if (!slot || !held)
		return NULL;
	condemn(s);
	*slot = (struct held_scanner){ .part = held, .limits = limits, .refs = 1 };
	if (scanner_new(part->base, part->len, &limits, s->n_workers, &slot->scanner, ret_error) < 0)
		return NULL;
	held->refs++;
	gen->scanners[gen->n_scanners++] = slot;
	return slot->scanner;
}

static void scanners_put(struct policy_store *s, struct generation *gen)
{
	for (unsigned i = 0; i < gen->n_scanners; i++)
		if (--gen->scanners[i]->refs == 0)
			gen->scanners[i]->retired = ++s->retirements;
	gen->n_scanners = 0;
	sweep(s);
}

/* ---- generations ---- */

static void parts_put(struct generation *gen)
{
	for (unsigned i = 0; i < gen->n_parts; i++)
		part_put(gen->parts[i]);
	gen->n_parts = 0;
}

void generation_put(struct policy_store *s, struct generation *gen)
{
	if (!gen)
		return;
	policy_close(gen->policy);
	pthread_mutex_lock(&s->lock);
	scanners_put(s, gen);
	parts_put(gen);
	s->n_generations--;
	pthread_mutex_unlock(&s->lock);
	free(gen);
}

bool generation_same(const struct generation *gen, const struct part_offer *offers, unsigned n)
{
	if (gen->n_parts != n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (gen->parts[i]->kind != offers[i].kind ||
		    memcmp(gen->parts[i]->sha256, offers[i].sha256, IMAGE_HASH_LEN) != 0)
			return false;
	}
	return true;
}

static int generation_open(struct policy_store *s, struct generation *gen, char **ret_error)
{
	struct scanner_asking asking = { s, gen };
	struct image_part parts[IMAGE_MAX_PARTS];
	const char *why = "";

	for (unsigned i = 0; i < gen->n_parts; i++)
		parts[i] = (struct image_part){ gen->parts[i]->kind, gen->parts[i]->base,
			gen->parts[i]->len };
	if (policy_open_with(
		parts, gen->n_parts, gen->epoch, scanner_for, &asking, &gen->policy, &why) != 0)
		return fail(ret_error, EBADMSG, "%s", why);
	return 0;
}

/* A place for one more, lock taken; NULL with the lock released when there is none. */
static struct generation *generation_begin(struct policy_store *s, uint32_t epoch)
{
	struct generation *gen = calloc(1, sizeof(*gen));

	pthread_mutex_lock(&s->lock);
	if (!gen || s->n_generations == POLICY_MAX_GENERATIONS) {
		pthread_mutex_unlock(&s->lock);
		free(gen);
		return NULL;
	}
	gen->epoch = epoch;
	s->n_generations++;
	return gen;
}

static void generation_abandon(struct policy_store *s, struct generation *gen)
{
	scanners_put(s, gen);
	parts_put(gen);
	s->n_generations--;
	pthread_mutex_unlock(&s->lock);
	free(gen);
}

/* ---- from a file ---- */

/* Anonymous memory filled from the file: page-aligned, ours alone. NULL with errno set. */
static void *read_part(int fd, uint64_t offset, uint64_t size)
{
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = 0;

	if (base == MAP_FAILED)
		return NULL;
	while (at < size) {
		ssize_t n = pread(fd, base + at, size - at, (off_t)(offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENODATA;
			munmap(base, size);
			return NULL;
		}
		at += (uint64_t)n;
	}
	mprotect(base, size, PROT_READ);
	return base;
}

static int read_parts(struct policy_store *s, int fd, const struct image_header *header,
    struct generation *gen, const char **ret_why)
{
	for (unsigned i = 0; i < header->n_parts; i++) {
		const struct image_entry *entry = &header->parts[i];
		struct held_part *held = part_find(s, entry->kind, entry->sha256);
		void *base;

		if (held) {
			held->refs++;
			gen->parts[gen->n_parts++] = held;
			continue;
		}
		*ret_why = "a part is empty or larger than 4 GiB";
		if (entry->size == 0 || entry->size > IMAGE_MAX_SIZE)
			return -EBADMSG;
		*ret_why = "a part cannot be read; the file may be half-written";
		base = read_part(fd, entry->offset, entry->size);
		if (!base)
			return -errno;
		if (image_check_part(entry, base, entry->size, policy_sha256, ret_why) != 0) {
			munmap(base, entry->size);
			return -EBADMSG;
		}
		gen->parts[gen->n_parts++] =
		    part_add(s, entry->kind, entry->sha256, base, entry->size);
	}
	return 0;
}

int policy_store_read(
    struct policy_store *s, const char *path, struct generation **ret_gen, char **ret_error)
{
	struct image_header header;
	struct generation *gen;
	const char *why = "it is shorter than an image's header";
	char last[4096];
	struct stat st;
	int fd, rc;

	if (!path) {
		snprintf(last, sizeof(last), "%s/%s", s->dir ? s->dir : ".", image_name);
		path = last;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(ret_error, errno, "the policy image %s cannot be opened: %s", path,
		    strerror(errno));
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    image_check_header(&header, sizeof(header), policy_sha256, &why) != 0) {
		close(fd);
		return fail(ret_error, EBADMSG, "%s is no policy image: %s", path, why);
	}
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < header.file_size) {
		close(fd);
		return fail(ret_error, EBADMSG,
		    "the policy image %s is half-written: it names %llu bytes and has %llu", path,
		    (unsigned long long)header.file_size, (unsigned long long)st.st_size);
	}
	gen = generation_begin(s, header.epoch);
	if (!gen) {
		close(fd);
		return fail(ret_error, ENOMEM, "no memory for the policy image %s", path);
	}
	rc = read_parts(s, fd, &header, gen, &why);
	close(fd);
	if (rc == 0) {
		rc = generation_open(s, gen, ret_error);
		if (rc) {
			char *inner = *ret_error;

			fail(ret_error, EBADMSG, "the policy image %s does not make a policy: %s",
			    path, inner ? inner : "");
			free(inner);
		}
	} else {
		fail(ret_error, -rc, "the policy image %s is refused: %s", path, why);
	}
	if (rc) {
		generation_abandon(s, gen);
		return rc;
	}
	pthread_mutex_unlock(&s->lock);
	*ret_gen = gen;
	return 0;
}

/* ---- from the manager ---- */

static enum load_error take_part(struct policy_store *s, const struct part_offer *offer,
    struct held_part **ret_part, char **ret_error)
{
	struct held_part *held = part_find(s, offer->kind, offer->sha256);
	struct image_entry entry = { .kind = offer->kind, .size = offer->size };
	const char *why = "";
	struct stat st;
	void *base;
	int seals;

	if (held) {
		held->refs++;
		*ret_part = held;
		return LOAD_OK;
	}
	if (offer->fd < 0) {
		fail(ret_error, 0, "A part of kind %u is not held here.", offer->kind);
		return LOAD_MISSING_PART;
	}
	seals = fcntl(offer->fd, F_GET_SEALS);
	if (seals < 0 || (seals & WANTED_SEALS) != WANTED_SEALS) {
		fail(ret_error, 0, "The part of kind %u is no sealed memfd.", offer->kind);
		return LOAD_BAD_FD;
	}
	/* one that another user made could not be ours to trust, seals or not */
	if (fstat(offer->fd, &st) != 0 ||
	    (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != s->trusted)) {
		fail(ret_error, 0, "The part of kind %u belongs to another user.", offer->kind);
		return LOAD_BAD_FD;
	}
	if (offer->size == 0 || offer->size > IMAGE_MAX_SIZE || (uint64_t)st.st_size != offer->size) {
		fail(ret_error, 0, "The part of kind %u has %llu bytes, %llu were announced.",
		    offer->kind, (unsigned long long)st.st_size, (unsigned long long)offer->size);
		return LOAD_BAD_FD;
	}
	base = mmap(NULL, offer->size, PROT_READ, MAP_SHARED, offer->fd, 0);
	if (base == MAP_FAILED) {
		fail(ret_error, 0, "The part of kind %u cannot be mapped: %s.", offer->kind,
		    strerror(errno));
		return LOAD_NO_MEMORY;
	}
	memcpy(entry.sha256, offer->sha256, IMAGE_HASH_LEN);
	if (image_check_part(&entry, base, offer->size, policy_sha256, &why) != 0) {
		munmap(base, offer->size);
		fail(ret_error, 0, "The part of kind %u does not have the hash named.", offer->kind);
		return LOAD_BAD_HASH;
	}
	*ret_part = part_add(s, offer->kind, offer->sha256, base, offer->size);
	return LOAD_OK;
}

enum load_error policy_store_take(struct policy_store *s, uint32_t epoch,
    const struct part_offer *offers, unsigned n, struct generation **ret_gen, char **ret_error)
{
	enum load_error rc = LOAD_OK;
	struct generation *gen;

	if (n == 0 || n > IMAGE_MAX_PARTS) {
		fail(ret_error, 0, "%u parts: an image has 1 to %u.", n, IMAGE_MAX_PARTS);
		return LOAD_BAD_IMAGE;
	}
	gen = generation_begin(s, epoch);
	if (!gen) {
		fail(ret_error, 0,
		    "%u generations are in use; older ones end with their last users.",
		    POLICY_MAX_GENERATIONS);
		return LOAD_BUSY;
	}
	for (unsigned i = 0; i < n && rc == LOAD_OK; i++) {
		rc = take_part(s, &offers[i], &gen->parts[gen->n_parts], ret_error);
		if (rc == LOAD_OK)
			gen->n_parts++;
	}
	if (rc == LOAD_OK && generation_open(s, gen, ret_error) != 0)
		rc = LOAD_BAD_IMAGE;
	if (rc != LOAD_OK) {
		generation_abandon(s, gen);
		return rc;
	}
	pthread_mutex_unlock(&s->lock);
	*ret_gen = gen;
	return LOAD_OK;
}

/* ---- back to disk ---- */

static int write_all(int fd, const void *data, size_t len, uint64_t offset)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int policy_store_write(struct policy_store *s, const struct generation *gen, char **ret_error)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	struct image_header header;
	char temp[4096], path[4096];
	int fd, dir, rc;

	if (!s->dir)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->dir, image_name);
	snprintf(temp, sizeof(temp), "%s/%s.new", s->dir, image_name);
	for (unsigned i = 0; i < gen->n_parts; i++)
		parts[i] = (struct image_part){ gen->parts[i]->kind, gen->parts[i]->base,
			gen->parts[i]->len };
	rc = image_describe(parts, gen->n_parts, gen->epoch, policy_sha256, &header);
	if (rc)
		return fail(ret_error, -rc, "the policy cannot be described as an image");
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(ret_error, errno, "the last policy cannot be kept: %s: %s", temp,
		    strerror(errno));
	rc = ftruncate(fd, (off_t)header.file_size) != 0 ? -errno : 0;
	for (unsigned i = 0; i < gen->n_parts && !rc; i++)
		rc = write_all(fd, parts[i].base, parts[i].len, header.parts[i].offset);
	if (!rc)
		rc = write_all(fd, &header, sizeof(header), 0);
	if (!rc && fsync(fd) != 0)
		rc = -errno;
	close(fd);
	if (!rc && rename(temp, path) != 0)
		rc = -errno;
	if (rc) {
		unlink(temp);
		return fail(ret_error, -rc, "the last policy cannot be kept in %s: %s", path,
		    strerror(-rc));
	}
	dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		if (fsync(dir) != 0)
			rc = -errno;
		close(dir);
	}
	return rc ? fail(ret_error, -rc, "%s: %s", s->dir, strerror(-rc)) : 0;
}

void policy_store_parts(
    struct policy_store *s, void (*fn)(const uint8_t sha256[IMAGE_HASH_LEN], void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < MAX_HELD; i++) {
		if (s->held[i].refs)
			fn(s->held[i].sha256, arg);
	}
	pthread_mutex_unlock(&s->lock);
}
