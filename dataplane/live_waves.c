/* SPDX-License-Identifier: BSD-3-Clause */
/* Waves in the live shell: fed by notes, told of as events, shown by the control socket. */
#include "live.h"

#include "filters/address_form.h"
#include "filters/waves.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { ROWS = 4096, SHOWN_MAX = 100 };

/* One lock between the notes' thread and the control thread; no worker takes it. */
static struct {
	pthread_mutex_t lock;
	struct waves *waves;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void take_note(void *arg, const struct note *note)
{
	struct live *l = arg;
	struct wave_message m = { .subject = note->rcpt, .sender = note->sender, .host = note->pool };
	const struct wave *wave;

	memcpy(m.client, note->client, sizeof(m.client));
	pthread_mutex_lock(&state.lock);
	wave = waves_take(state.waves, &note->digest, &m, (uint32_t)(note->time_ns / 1000000000u));
	if (wave)
		events_tell(l->events, note->time_ns, "wave",
		    "%u: %u messages alike from %u networks, subject \"%s\", host \"%s\"", wave->id,
		    wave->messages, wave->networks, wave->subject, wave->host);
	pthread_mutex_unlock(&state.lock);
}

void live_waves_policy(const struct policy *policy)
{
	const struct policy_waves *set = &policy_settings(policy)->waves;

	pthread_mutex_lock(&state.lock);
	if (state.waves)
		waves_set(state.waves, set->networks ? set->networks : UINT32_MAX, set->life_s);
	pthread_mutex_unlock(&state.lock);
}

int live_waves_open(struct live *l, const struct policy *policy)
{
	const struct notes_subscriber subscriber = { 1u << NOTE_WAVE, take_note, NULL, l };

	state.waves = waves_new(ROWS, 1, 1);
	if (!state.waves)
		return -ENOMEM;
	live_waves_policy(policy);
	return notes_subscribe(l->notes, &subscriber);
}

void live_waves_close(void)
{
	state.waves = waves_free(state.waves);
}

/* ---- methods ---- */

static json_t *address_json(const uint8_t addr[16])
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = address_is_v4(addr);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, text, sizeof(text));
	return json_string(text);
}

/* What a client sent may be no UTF-8: then its bytes as U+00XX, one each. */
static json_t *client_text(const char *text)
{
	char utf8[2 * WAVES_TEXT + 1];
	json_t *string = json_string(text);
	size_t n = 0;

	if (string)
		return string;
	for (; *text && n + 2 < sizeof(utf8); text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x80)
			utf8[n++] = (char)(0xc0 | c >> 6);
		utf8[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
	}
	utf8[n] = '\0';
	return json_string(utf8);
}

static json_t *words_json(const struct wave *wave, bool hosts, uint32_t now_s)
{
	const struct wave_word *words = hosts ? wave->hosts : wave->subjects;
	json_t *list = json_array();

	for (unsigned i = 0; i < WAVES_WORDS && words[i].messages; i++)
		json_array_append_new(list,
		    json_pack("{s:o, s:I, s:I}", "text", client_text(words[i].text), "messages",
			(json_int_t)words[i].messages, "elsewhere",
			(json_int_t)waves_elsewhere(state.waves, wave->id,
			    hosts ? words[i].text : NULL, hosts ? NULL : words[i].text, now_s)));
	return list;
}

static json_t *wave_json(const struct wave *wave, bool clients)
{
	json_t *row = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "id",
	    (json_int_t)wave->id, "messages", (json_int_t)wave->messages, "networks",
	    (json_int_t)wave->networks, "first_s", (json_int_t)wave->first_s, "last_s",
	    (json_int_t)wave->last_s, "subject", client_text(wave->subject), "sender",
	    client_text(wave->sender), "host", client_text(wave->host));
	json_t *list = json_array();

	for (unsigned i = 0; clients && i < wave->n_clients; i++)
		json_array_append_new(list, address_json(wave->clients[i]));
	if (clients) {
		uint32_t now_s = (uint32_t)(hw_now_ns() / 1000000000u);

		json_object_set_new(row, "clients", list);
		json_object_set_new(row, "hosts", words_json(wave, true, now_s));
		json_object_set_new(row, "subjects", words_json(wave, false, now_s));
	} else {
		json_decref(list);
	}
	return row;
}

static void add_row(void *arg, const struct wave *wave)
{
	json_array_append_new(arg, wave_json(wave, false));
}

json_t *live_waves_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const json_t *least = json_object_get(params, "networks");
	const json_t *id = json_object_get(params, "id");
	json_t *rows = json_array();
	const struct wave *wave;

	(void)arg, (void)fds, (void)n_fds;
	if ((least && !json_is_integer(least)) || (id && !json_is_integer(id))) {
		json_decref(rows);
		return control_fail(error, "bad_params", "`networks` and `id` are numbers.");
	}
	pthread_mutex_lock(&state.lock);
	if (id) {
		wave = waves_find(state.waves, (uint32_t)json_integer_value(id));
		if (wave)
			json_array_append_new(rows, wave_json(wave, true));
	} else {
		waves_each(state.waves, least ? (uint32_t)json_integer_value(least) : 2, SHOWN_MAX,
		    (uint32_t)(hw_now_ns() / 1000000000u), add_row, rows);
	}
	pthread_mutex_unlock(&state.lock);
	if (id && json_array_size(rows) == 0) {
		json_decref(rows);
		return control_fail(error, "unknown_wave",
		    "There is no wave %lld; `waves` lists those that go on.",
		    (long long)json_integer_value(id));
	}
	return json_pack("{s:o}", "waves", rows);
}
