/* SPDX-License-Identifier: BSD-3-Clause */
/* LMDB behind store.h. */
#include "store.h"
#include "fail.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

enum {
	BYTES_PER_ENTRY = 384, /* of the map: the longest record in half-filled pages */
	BYTES_BESIDE = 8 << 20,
	/* pages of the running commit and of the one before, which are not free yet */
	BYTES_RESERVED = 64 << 20,
	FORMAT = 1,
	KEY_MAX = STORE_KEY_MAX,
};

enum table { TABLE_KEPT, TABLE_PENDING, TABLE_META, N_TABLES };
static const char *const table_names[N_TABLES] = { "kept", "pending", "meta" };

struct value {
	uint32_t time_s;
	uint16_t passes, tenant;
	uint8_t state, flags;
	uint16_t reserved;
	/* text follows */
};
_Static_assert(sizeof(struct value) == 12, "a record's head on disk");
enum { FLAG_POOL = 1, FLAG_CUT = 2 };

struct meta {
	uint32_t format;
	uint8_t secret[16];
};

struct store {
	MDB_env *env;
	MDB_dbi tables[N_TABLES];
	MDB_txn *batch;
	int fd; /* holds the lock */
	uint64_t map_bytes;
	struct meta meta;
};

/* LMDB's codes are negative, the system's positive. */
static int code(int rc)
{
	switch (rc) {
	case 0: return 0;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL: return -ENOSPC;
	case MDB_NOTFOUND: return -ENOENT;
	default: return rc > 0 ? -rc : -EBADMSG;
	}
}

const char *store_error(int err)
{
	return err == -EBADMSG ? "the database is broken" : strerror(-err);
}

/* ---- opening ---- */

static int open_tables(struct store *s)
{
	MDB_val key = { 4, (void *)"meta" }, value;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc)
		return code(rc);
	for (unsigned i = 0; i < N_TABLES && !rc; i++)
		rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &s->tables[i]);
	if (!rc)
		rc = mdb_get(txn, s->tables[TABLE_META], &key, &value);
	if (rc == MDB_NOTFOUND) {
		s->meta.format = FORMAT;
		value = (MDB_val){ sizeof(s->meta), &s->meta };
		if (getrandom(s->meta.secret, sizeof(s->meta.secret), 0) != sizeof(s->meta.secret)) {
			mdb_txn_abort(txn);
			return -EIO;
		}
		rc = mdb_put(txn, s->tables[TABLE_META], &key, &value, 0);
	} else if (rc == 0) {
		if (value.mv_size != sizeof(s->meta)) {
			mdb_txn_abort(txn);
			return -EBADMSG;
		}
		memcpy(&s->meta, value.mv_data, sizeof(s->meta));
	}
	if (rc) {
		mdb_txn_abort(txn);
		return code(rc);
	}
	rc = mdb_txn_commit(txn);
	return rc ? code(rc) : s->meta.format == FORMAT ? 0 : -EBADMSG;
}

int store_open(const char *path, uint32_t capacity, struct store **ret_store, char **ret_error)
{
	struct store *s = calloc(1, sizeof(*s));
	long page = sysconf(_SC_PAGESIZE);
	struct stat st;
	int rc;

	if (!s)
		return fail(ret_error, ENOMEM, "no memory");
	s->map_bytes = BYTES_RESERVED + BYTES_BESIDE + (uint64_t)capacity * BYTES_PER_ENTRY;
	s->map_bytes -= s->map_bytes % (uint64_t)page;
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		rc = fail(ret_error, errno, "%s cannot be opened: %s", path, strerror(errno));
		goto fail;
	}
	if (flock(s->fd, LOCK_EX | LOCK_NB) != 0) {
		rc = fail(ret_error, EBUSY, "%s is in use by another process", path);
		goto fail;
	}
	rc = mdb_env_create(&s->env);
	if (!rc)
		rc = mdb_env_set_maxdbs(s->env, N_TABLES);
	if (!rc)
		rc = mdb_env_set_mapsize(s->env, s->map_bytes);
	if (!rc) /* one process (our lock) and one thread: no lock file */
		rc = mdb_env_open(
		    s->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	rc = rc ? code(rc) : open_tables(s);
	if (rc) {
		rc = fail(ret_error, -rc, "%s: %s", path, store_error(rc));
		goto fail;
	}
	if (fstat(s->fd, &st) == 0 && (uint64_t)st.st_size > s->map_bytes)
		s->map_bytes = (uint64_t)st.st_size; /* of a larger capacity, once */
	rc = posix_fallocate(s->fd, 0, (off_t)s->map_bytes);
	if (rc) {
		rc = fail(ret_error, rc, "%s needs %llu MiB: %s", path,
		    (unsigned long long)(s->map_bytes >> 20), strerror(rc));
		goto fail;
	}
	*ret_store = s;
	return 0;
fail:
	store_close(s);
	return rc;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	store_abort(s);
	if (s->env)
		mdb_env_close(s->env);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	return NULL;
}

const uint8_t *store_secret(const struct store *s)
{
	return s->meta.secret;
}

/* ---- batches ---- */

int store_begin(struct store *s)
{
	return code(mdb_txn_begin(s->env, NULL, 0, &s->batch));
}

void store_abort(struct store *s)
{
	if (s->batch)
		mdb_txn_abort(s->batch);
	s->batch = NULL;
}

int store_commit(struct store *s)
{
	int rc = mdb_txn_commit(s->batch); /* frees it in any case */

	s->batch = NULL;
	return code(rc);
}

/* Big endian, so that order is by time. Returns the table. */
static enum table place(
    uint64_t key, const struct greylist_entry *e, uint8_t buf[KEY_MAX], MDB_val *ret_key)
{
	uint32_t time_s = htobe32(e->time_s);
	uint16_t lot = htobe16(e->passes);
	uint64_t k = htobe64(key);

	memcpy(buf, &time_s, 4);
	memcpy(buf + 4, &lot, 2);
	memcpy(buf + 6, &k, 8);
	if (e->state == GREYLIST_PENDING) {
		*ret_key = (MDB_val){ KEY_MAX, buf };
		return TABLE_PENDING;
	}
	*ret_key = (MDB_val){ 8, buf + 6 };
	return TABLE_KEPT;
}

int store_write(struct store *s, const struct store_record *r)
{
	struct value head = {
		.time_s = htole32(r->entry.time_s),
		.passes = htole16(r->entry.passes),
		.tenant = htole16(r->tenant),
		.state = r->entry.state,
		.flags = (uint8_t)((r->pool ? FLAG_POOL : 0) | (r->cut ? FLAG_CUT : 0)),
	};
	uint8_t buf[KEY_MAX], bytes[sizeof(head) + GREY_NOTE_TEXT];
	MDB_val key, value = { sizeof(head) + r->len, bytes };
	enum table table = place(r->key, &r->entry, buf, &key);

	if (r->len > GREY_NOTE_TEXT)
		return -EINVAL;
	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), r->text, r->len);
	return code(mdb_put(s->batch, s->tables[table], &key, &value, 0));
}

int store_erase(struct store *s, uint64_t k, const struct greylist_entry *was)
{
	uint8_t buf[KEY_MAX];
	MDB_val key;
	enum table table = place(k, was, buf, &key);
	int rc = mdb_del(s->batch, s->tables[table], &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : code(rc);
}

/* ---- reading ---- */

/* False: not a record of ours; whoever wrote it, it must not lead us outside. */
static bool record_of(const MDB_val *key, const MDB_val *value, struct store_record *r)
{
	struct value head;
	uint64_t k;

	if (key->mv_size < 8 || value->mv_size < sizeof(head) ||
	    value->mv_size > sizeof(head) + GREY_NOTE_TEXT)
		return false;
	memcpy(&k, (const char *)key->mv_data + key->mv_size - 8, 8);
	memcpy(&head, value->mv_data, sizeof(head));
	r->key = be64toh(k);
	r->entry.time_s = le32toh(head.time_s);
	r->entry.passes = le16toh(head.passes);
	r->entry.state = head.state;
	r->tenant = le16toh(head.tenant);
	r->pool = head.flags & FLAG_POOL;
	r->cut = head.flags & FLAG_CUT;
	r->len = (uint16_t)(value->mv_size - sizeof(head));
	memcpy(r->text, (const char *)value->mv_data + sizeof(head), r->len);
	return r->key != 0 && head.state > GREYLIST_ABSENT && head.state < GREYLIST_N_STATES &&
	       r->len >= 3 && r->text[r->len - 1] == '\0';
}

void store_text(
    struct store *s, uint64_t k, const struct greylist_entry *was, struct store_record *r)
{
	struct store_record old;
	uint8_t buf[KEY_MAX];
	MDB_val key, value;
	enum table table = place(k, was, buf, &key);

	if (mdb_get(s->batch, s->tables[table], &key, &value) != 0 || !record_of(&key, &value, &old))
		return;
	r->tenant = old.tenant;
	r->pool = old.pool;
	r->cut = old.cut;
	r->len = old.len;
	memcpy(r->text, old.text, old.len);
}

/* One table from *position on; moves it. */
static int walk_table(MDB_txn *txn, MDB_dbi table, struct store_position *at, unsigned *most,
    bool (*each)(void *arg, const struct store_record *r), void *arg, bool *stop)
{
	MDB_val key = { at->len, at->key }, value;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, table, &cursor);

	if (rc)
		return rc;
	rc = mdb_cursor_get(cursor, &key, &value, at->len ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && at->len && key.mv_size == at->len &&
	    memcmp(key.mv_data, at->key, at->len) == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT); /* this one was told */
	for (; rc == 0 && *most && !*stop; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		struct store_record r;

		if (key.mv_size > sizeof(at->key))
			continue;
		at->len = (uint8_t)key.mv_size;
		memcpy(at->key, key.mv_data, key.mv_size);
		--*most;
		if (record_of(&key, &value, &r) && !each(arg, &r))
			*stop = true;
	}
	mdb_cursor_close(cursor);
	return rc;
}

int store_walk(struct store *s, struct store_position *at, unsigned most,
    bool (*each)(void *arg, const struct store_record *r), void *arg)
{
	bool stop = false;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	while (rc == 0 && most && !stop && at->table < TABLE_META) {
		rc = walk_table(txn, s->tables[at->table], at, &most, each, arg, &stop);
		if (rc == MDB_NOTFOUND) {
			*at = (struct store_position){ .table = (uint8_t)(at->table + 1) };
			rc = 0;
		}
	}
	mdb_txn_abort(txn);
	return code(rc);
}

struct store_usage store_usage(struct store *s)
{
	struct store_usage u = { .map_bytes = s->map_bytes };
	MDB_txn *txn = s->batch;

	if (!txn && mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
		return u;
	for (unsigned i = 0; i < TABLE_META; i++) {
		MDB_stat st;

		if (mdb_stat(txn, s->tables[i], &st) != 0)
			continue;
		u.records += st.ms_entries;
		u.used_bytes += (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
				(uint64_t)st.ms_psize;
	}
	if (!s->batch)
		mdb_txn_abort(txn);
	return u;
}

bool store_is_tight(struct store *s)
{
	struct store_usage u = store_usage(s);

	return u.used_bytes + BYTES_RESERVED > u.map_bytes;
}
