/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The greylist: judging in bulk among a million triplets beside the walk alone over as many random
 * cache lines, and durable inserts by the store thread beside as many bytes written and synced to a
 * plain file in the same lots. Then kill -9: a child notes, its parent kills it, opens the file and
 * looks for every note that was acknowledged; one that is missing fails the benchmark.
 */
#include "report.h"

#include "dataplane/grey.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIPLETS = 1000000, POOLS = 100000, ASKED = 1 << 20, BURST = 32, T0 = 1700000000 };

static const struct policy_grey settings = {
	.delay_s = 60,
	.retry_window_s = 86400,
	.life_s = 36 * 86400,
	.white_life_s = 90 * 86400,
	.trap_s = 86400,
	.white_after = 5,
	.capacity = TRIPLETS,
};

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t mix(uint64_t z)
{
	z = (z + 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static struct greylist_keys keys_of(uint64_t i)
{
	return (struct greylist_keys){ mix(i) | 1, mix(i % POOLS + (1ull << 40)) | 1 };
}

/* ---- judging ---- */

static int judge(unsigned windows, bool json)
{
	struct greylist *g = greylist_new(TRIPLETS);
	struct greylist_keys *asked = malloc(ASKED * sizeof(*asked));
	uint8_t *answers = malloc(ASKED);
	size_t n_lines = (size_t)TRIPLETS * 5 / 3 / 4;
	struct line {
		_Alignas(64) uint64_t word[8];
	} *lines = aligned_alloc(64, n_lines * sizeof(*lines));
	struct report r = { .claim = "greylist-judge",
		.unit = "ns",
		.baseline_name = "two random cache lines read in bulk, table of the same size" };
	uint64_t sum = 0;

	if (!g || !asked || !answers || !lines)
		return 1;
	memset(lines, 1, n_lines * sizeof(*lines));
	for (uint64_t i = 0; i < TRIPLETS; i++) {
		struct greylist_change changes[GREYLIST_MAX_CHANGES];
		struct grey_note note = {
			.keys = keys_of(i), .now_s = T0, .kind = i % 4 ? GREY_TRIED : GREY_ACCEPTED
		};
		greylist_apply(g, &note, &settings, changes);
	}
	for (uint64_t i = 0; i < ASKED; i++) /* half of them are known */
		asked[i] = keys_of(mix(i) % (2 * TRIPLETS));
	for (unsigned w = 0; w < windows; w++) {
		uint64_t t0 = now_ns(), t1, t2;
		for (unsigned i = 0; i < ASKED; i += BURST)
			greylist_judge_many(g, asked + i, BURST, T0 + 100, &settings, answers + i);
		t1 = now_ns();
		for (unsigned i = 0; i + BURST <= ASKED; i += BURST) {
			for (unsigned k = 0; k < BURST; k++) {
				const struct greylist_keys *key = &asked[i + k];
				__builtin_prefetch(&lines[(key->triplet >> 32) * n_lines >> 32]);
				__builtin_prefetch(
				    &lines[(key->triplet & UINT32_MAX) * n_lines >> 32]);
			}
			for (unsigned k = 0; k < BURST; k++) {
				const struct greylist_keys *key = &asked[i + k];
				sum += lines[(key->triplet >> 32) * n_lines >> 32].word[0];
				sum += lines[(key->triplet & UINT32_MAX) * n_lines >> 32].word[3];
			}
		}
		t2 = now_ns();
		for (unsigned i = 0; i < ASKED; i++)
			sum += answers[i];
		report_add(&r, (double)(t1 - t0) / ASKED, (double)(t2 - t1) / ASKED);
	}
	if (sum == 0)
		return 1;
	report_print(&r, json);
	greylist_free(g);
	free(asked);
	free(answers);
	free(lines);
	return 0;
}

/* ---- durable inserts ---- */

static struct grey *opened(const char *path)
{
	const struct grey_config c = { .path = path,
		.capacity = TRIPLETS,
		.n_producers = 1,
		.ring_notes = 16384,
		.settings = settings };
	struct grey *g = NULL;
	char *error = NULL;

	if (grey_new(&c, &g, &error) != 0)
		fprintf(stderr, "bench-greylist: %s\n", error);
	free(error);
	return g;
}

static struct grey_note note_of(uint64_t i)
{
	static const struct text sender = { "some.sender@mail.example.net", 28 },
				 rcpt = { "a.recipient@example.org", 23 };
	struct grey_note n = {
		.keys = keys_of(i), .now_s = (uint32_t)time(NULL), .kind = GREY_TRIED
	};

	grey_note_text(&n, "192.0.2.0/24", sender, rcpt);
	return n;
}

static double insert(struct grey *g, uint64_t *from, uint64_t n)
{
	uint64_t start = now_ns(), done = grey_durable(g, 0) + n;

	for (uint64_t i = 0; i < n; i++) {
		struct grey_note note = note_of(*from + i);
		while (!grey_put(g, 0, &note))
			poll(NULL, 0, 1);
	}
	*from += n;
	while (grey_durable(g, 0) < done)
		poll(NULL, 0, 1);
	return (double)n * 1e9 / (double)(now_ns() - start);
}

static double plain(const char *path, uint64_t n)
{
	static const char record[112];
	uint64_t start = now_ns();
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	for (uint64_t i = 0; fd >= 0 && i < n; i += GREY_BATCH) {
		static char lot[GREY_BATCH * sizeof(record)];
		if (write(fd, lot, sizeof(lot)) != sizeof(lot) || fdatasync(fd) != 0)
			return 0;
	}
	if (fd >= 0)
		close(fd);
	unlink(path);
	return (double)n * 1e9 / (double)(now_ns() - start);
}

static int durable(const char *dir, unsigned windows, bool json)
{
	struct report r = { .claim = "greylist-durable",
		.unit = "inserts/s",
		.more_is_better = true,
		.baseline_name = "as many bytes appended to a file, synced each 4,096" };
	char path[128], other[128];
	uint64_t next = 0;
	struct grey *g;

	snprintf(path, sizeof(path), "%s/grey.mdb", dir);
	snprintf(other, sizeof(other), "%s/plain", dir);
	g = opened(path);
	if (!g)
		return 1;
	insert(g, &next, 500000); /* the file and the index have some weight */
	for (unsigned w = 0; w < windows; w++) {
		double ours = insert(g, &next, 100000);
		report_add(&r, ours, plain(other, 100000));
	}
	grey_free(g);
	report_print(&r, json);
	unlink(path);
	return 0;
}

/* ---- kill -9 ---- */

static void child(const char *path, int to)
{
	struct grey *g = opened(path);
	uint64_t next = 0, told = 0;

	while (g) {
		for (unsigned k = 0; k < 64; k++) {
			struct grey_note n = note_of(next);
			if (!grey_put(g, 0, &n))
				break;
			next++;
		}
		if (grey_durable(g, 0) == told)
			continue;
		told = grey_durable(g, 0);
		if (write(to, &told, sizeof(told)) != sizeof(told))
			_exit(1);
	}
	_exit(1);
}

static int killed(const char *dir, unsigned rounds, bool json)
{
	uint64_t acknowledged = 0, lost = 0;
	char path[128];

	snprintf(path, sizeof(path), "%s/kill.mdb", dir);
	for (unsigned round = 0; round < rounds; round++) {
		uint64_t told = 0, word;
		int pipes[2], status;
		struct grey *g;
		pid_t pid;

		unlink(path);
		if (pipe(pipes) != 0)
			return 1;
		pid = fork();
		if (pid == 0)
			child(path, pipes[1]);
		close(pipes[1]);
		for (unsigned i = 0; i < 3 + round * 7 % 13; i++)
			if (read(pipes[0], &word, sizeof(word)) == sizeof(word))
				told = word;
		usleep(round * 1300 % 9000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		while (read(pipes[0], &word, sizeof(word)) == sizeof(word))
			told = word;
		close(pipes[0]);
		g = opened(path);
		for (uint64_t i = 0; g && i < told; i++) {
			struct greylist_entry e;
			lost += !greylist_get(grey_index(g), keys_of(i).triplet, &e);
		}
		if (!g || told == 0)
			lost++;
		grey_free(g);
		acknowledged += told;
	}
	unlink(path);
	if (!json)
		printf("greylist-kill: %u kills, acknowledged %llu, lost %llu\n", rounds,
		    (unsigned long long)acknowledged, (unsigned long long)lost);
	return lost ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' },
		{ "dir", required_argument, NULL, 'd' }, { 0 } };
	char dir[96] = "/var/tmp/bench-greylist.XXXXXX";
	unsigned windows = 9;
	bool json = false, given = false;
	int o, rc;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 'w': windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'd':
			snprintf(dir, sizeof(dir), "%s", optarg);
			given = true;
			break;
		default:
			fputs("usage: bench-greylist [--json] [--windows N] [--dir DIR]\n", stderr);
			return 2;
		}
	}
	if (!given && !mkdtemp(dir)) {
		perror("bench-greylist");
		return 1;
	}
	rc = judge(windows, json) || durable(dir, windows, json);
	if (rc == 0 && killed(dir, 6, json) != 0) {
		fputs("bench-greylist: kill -9 lost what was acknowledged\n", stderr);
		rc = 1;
	}
	if (!given)
		rmdir(dir);
	return rc;
}
