/* SPDX-License-Identifier: BSD-3-Clause */
/* What `--filter` says (eventfilter.h). */
#include "eventfilter.h"
#include "inet.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_MAX = 32, VALUE_MAX = 128 };
enum operation { OP_NOT, OP_AT_LEAST, OP_AT_MOST, OP_IS, OP_HAS, OP_ABOVE, OP_BELOW };
static const char *const operations[] = { [OP_NOT] = "!=",
	[OP_AT_LEAST] = ">=",
	[OP_AT_MOST] = "<=",
	[OP_IS] = "=",
	[OP_HAS] = "~",
	[OP_ABOVE] = ">",
	[OP_BELOW] = "<" };

struct condition {
	char key[KEY_MAX], value[VALUE_MAX];
	enum operation op;
	bool is_net, is_number;
	struct inet_net net;
	double number;
};

struct eventfilter {
	unsigned n;
	struct condition all[EVENTFILTER_MAX];
};

static const char *skip(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* NULL: told in ret_why. */
static const char *read_condition(const char *p, struct condition *c, char *ret_why)
{
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	unsigned op = 0;
	if (n == 0 || n >= KEY_MAX) {
		snprintf(ret_why, EVENTFILTER_WHY_MAX,
		    "\"%.40s\": a name is expected here, as in client=192.0.2.0/24", p);
		return NULL;
	}
	memcpy(c->key, p, n);
	p = skip(p + n);
	while (op < sizeof(operations) / sizeof(operations[0]) &&
	       strncmp(p, operations[op], strlen(operations[op])) != 0)
		op++;
	if (op == sizeof(operations) / sizeof(operations[0])) {
		snprintf(ret_why, EVENTFILTER_WHY_MAX,
		    "\"%s\" is followed by none of = != ~ > < >= <=", c->key);
		return NULL;
	}
	c->op = (enum operation)op;
	p = skip(p + strlen(operations[op]));
	bool quoted = *p == '"';
	p += quoted ? 1 : 0;
	n = quoted ? strcspn(p, "\"") : strcspn(p, ", \t\n");
	if (quoted && p[n] != '"') {
		snprintf(ret_why, EVENTFILTER_WHY_MAX, "the quote behind %s%s has no end", c->key,
		    operations[op]);
		return NULL;
	}
	if ((n == 0 && !quoted) || n >= VALUE_MAX) {
		snprintf(ret_why, EVENTFILTER_WHY_MAX,
		    n == 0 ? "%s%s wants a value" : "the value behind %s%s is too long", c->key,
		    operations[op]);
		return NULL;
	}
	memcpy(c->value, p, n);
	p += n + (quoted ? 1 : 0);

	char *end;
	errno = 0;
	c->number = strtod(c->value, &end);
	c->is_number = n != 0 && *end == '\0' && errno == 0;
	if ((op == OP_ABOVE || op == OP_BELOW || op == OP_AT_LEAST || op == OP_AT_MOST) &&
	    !c->is_number) {
		snprintf(ret_why, EVENTFILTER_WHY_MAX, "%s%s wants a number, not \"%s\"", c->key,
		    operations[op], c->value);
		return NULL;
	}
	if (strcmp(c->key, "client") == 0 && (op == OP_IS || op == OP_NOT)) {
		uint8_t addr[16];
		const char *wrong = strchr(c->value, '/') != NULL
					? inet_parse_network(c->value, n, &c->net)
					: inet_parse_address(c->value, n, addr);
		if (wrong != NULL) {
			snprintf(ret_why, EVENTFILTER_WHY_MAX, "client%s\"%s\": %s", operations[op],
			    c->value, wrong);
			return NULL;
		}
		if (strchr(c->value, '/') == NULL) {
			memcpy(c->net.addr, addr, 16);
			c->net.prefix_len = inet_is_v4(addr) ? 32 : 128;
		}
		c->is_net = true;
	}
	return p;
}

struct eventfilter *eventfilter_new(const char *text, char ret_why[EVENTFILTER_WHY_MAX])
{
	struct eventfilter *f = calloc(1, sizeof(*f));
	const char *p = skip(text);
	if (f == NULL) {
		snprintf(ret_why, EVENTFILTER_WHY_MAX, "no memory");
		return NULL;
	}
	while (*p != '\0') {
		if (f->n == EVENTFILTER_MAX) {
			snprintf(
			    ret_why, EVENTFILTER_WHY_MAX, "at most %d conditions", EVENTFILTER_MAX);
			return eventfilter_free(f);
		}
		p = read_condition(p, &f->all[f->n++], ret_why);
		if (p == NULL)
			return eventfilter_free(f);
		p = skip(p);
		if (*p == '\0')
			break;
		if (strncasecmp(p, "and", 3) == 0 && isspace((unsigned char)p[3]))
			p = skip(p + 3);
		else if (*p == ',')
			p = skip(p + 1);
		else {
			snprintf(ret_why, EVENTFILTER_WHY_MAX,
			    "\"%.40s\": conditions are joined by a comma or `and`", p);
			return eventfilter_free(f);
		}
		if (*p == '\0') {
			snprintf(ret_why, EVENTFILTER_WHY_MAX,
			    "a condition is missing at the end, as in verdict=refuse");
			return eventfilter_free(f);
		}
	}
	return f;
}

struct eventfilter *eventfilter_free(struct eventfilter *f)
{
	free(f);
	return NULL;
}

static bool is_in(const struct condition *c, const char *text)
{
	uint8_t addr[16];
	return inet_parse_address(text, strlen(text), addr) == NULL &&
	       inet_net_contains(&c->net, addr);
}

static bool value_holds(const struct condition *c, const json_t *value)
{
	if (json_is_number(value) && c->is_number) {
		double number = json_number_value(value);
		switch (c->op) {
		case OP_ABOVE: return number > c->number;
		case OP_BELOW: return number < c->number;
		case OP_AT_LEAST: return number >= c->number;
		case OP_AT_MOST: return number <= c->number;
		case OP_HAS: break;
		default: return number >= c->number && number <= c->number;
		}
	}
	char digits[32];
	const char *text = json_string_value(value);
	if (json_is_integer(value)) {
		snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(value));
		text = digits;
	} else if (json_is_boolean(value)) {
		text = json_is_true(value) ? "true" : "false";
	}
	if (text == NULL)
		return false;
	if (c->is_net)
		return is_in(c, text);
	if (c->op == OP_HAS)
		return strcasestr(text, c->value) != NULL;
	return (c->op == OP_IS || c->op == OP_NOT) && strcasecmp(text, c->value) == 0;
}

static bool condition_holds(const struct condition *c, const json_t *event)
{
	const json_t *value = json_object_get(event, c->key);
	bool any = false;
	if (!json_is_array(value))
		any = value != NULL && value_holds(c, value);
	for (size_t i = 0; json_is_array(value) && i < json_array_size(value) && !any; i++)
		any = value_holds(c, json_array_get(value, i));
	return c->op == OP_NOT ? !any : any;
}

bool eventfilter_holds(const struct eventfilter *f, const json_t *event)
{
	for (unsigned i = 0; f != NULL && i < f->n; i++)
		if (!condition_holds(&f->all[i], event))
			return false;
	return true;
}

const char *eventfilter_client(const struct eventfilter *f)
{
	for (unsigned i = 0; f != NULL && i < f->n; i++)
		if (f->all[i].is_net && f->all[i].op == OP_IS)
			return f->all[i].value;
	return NULL;
}
