/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads pattern files (patterns.h): lines, names, expressions. The logic of metas:
 * patterns_meta.c; options: patterns_options.c. */
#include "patterns.h"
#include "patterns_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_MAX = 64 << 20,
	SLOTS = 4 * PATTERN_MAX_RULES, /* a power of two */
};

/* ---- the line ---- */

bool patterns_wrong(struct patterns_line *l, const char *format, ...)
{
	char text[512];
	va_list args;

	if (++*l->mistakes > COMPLAINTS_MAX_PER_FILE) {
		l->complaints->total++;
		return false;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	complain(l->complaints, l->file,
	    (struct position){ l->line, (unsigned)(l->at - l->start) + 1 }, "%s", text);
	return false;
}

void patterns_blank(struct patterns_line *l)
{
	while (l->at < l->end && patterns_is_blank(*l->at))
		l->at++;
}

bool patterns_done(struct patterns_line *l)
{
	patterns_blank(l);
	return l->at == l->end ||
	       (*l->at == '#' && (l->at == l->start || patterns_is_blank(l->at[-1])));
}

size_t patterns_word(struct patterns_line *l, const char **ret_word)
{
	const char *start = l->at;

	if (start == l->end || !(isalpha((unsigned char)*start) || *start == '_'))
		return 0;
	while (l->at < l->end && patterns_is_name(*l->at))
		l->at++;
	*ret_word = start;
	return (size_t)(l->at - start);
}

/* ---- rules by name ---- */

static uint32_t hash(const char *s, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	return h ^ h >> 15;
}

uint32_t patterns_rule(struct patterns_line *l, const char *name, size_t len)
{
	struct patterns *p = l->p;
	uint32_t slot = hash(name, len) & (p->n_slots - 1);

	for (; p->slots[slot]; slot = (slot + 1) & (p->n_slots - 1))
		if (patterns_is(name, len, p->rules[p->slots[slot] - 1].name))
			return p->slots[slot] - 1;
	if (len > PATTERN_MAX_NAME) {
		patterns_wrong(l, "a name of more than %d characters", PATTERN_MAX_NAME);
		return UINT32_MAX;
	}
	if (p->n_rules == PATTERN_MAX_RULES) {
		patterns_wrong(l, "more than %d names of patterns", PATTERN_MAX_RULES);
		return UINT32_MAX;
	}
	if (p->n_rules == p->cap_rules) {
		unsigned cap = p->cap_rules ? 2 * p->cap_rules : 256;
		struct patterns_rule *grown = realloc(p->rules, cap * sizeof(*grown));

		if (!grown) {
			p->arena.failed = true;
			return UINT32_MAX;
		}
		p->rules = grown;
		p->cap_rules = cap;
	}
	char *copy = arena_text(&p->arena, name, len);

	if (!copy)
		return UINT32_MAX;
	p->rules[p->n_rules] =
	    (struct patterns_rule){ .name = copy, .file = l->file, .line = l->line };
	p->slots[slot] = ++p->n_rules;
	return p->n_rules - 1;
}

/* ---- expressions ---- */

/* FILE.LINE, for an expression without a name. */
static uint32_t unnamed(struct patterns_line *l)
{
	char name[PATTERN_MAX_NAME + 1];
	const char *slash = strrchr(l->file, '/'), *base = slash ? slash + 1 : l->file;
	const char *dot = strrchr(base, '.');
	size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base), k = 0;

	if (n == 0 || !(isalpha((unsigned char)*base) || *base == '_'))
		name[k++] = 'p';
	for (size_t i = 0; i < n && k < 48; i++)
		name[k++] = patterns_is_name(base[i]) ? base[i] : '_';
	k += (size_t)snprintf(name + k, sizeof(name) - k, ".%u", l->line);
	return patterns_rule(l, name, k);
}

static bool add(struct patterns_line *l, uint32_t rule, uint8_t zone, uint8_t flags,
    const char *header, const char *source, size_t len)
{
	struct patterns *p = l->p;
	struct patterns_rule *r = &p->rules[rule];

	if (r->meta)
		return patterns_wrong(l, "%s is a meta (%s:%u)", r->name, r->file, r->line);
	if (len == 0)
		return patterns_wrong(l, "an empty expression would match everything");
	if (len > PATTERN_MAX_EXPRESSION)
		return patterns_wrong(
		    l, "an expression of more than %d bytes", PATTERN_MAX_EXPRESSION);
	if (p->n_expressions == PATTERN_MAX_EXPRESSIONS)
		return patterns_wrong(l, "more than %d expressions", PATTERN_MAX_EXPRESSIONS);
	if (p->n_expressions == p->cap_expressions) {
		unsigned cap = p->cap_expressions ? 2 * p->cap_expressions : 256;
		struct patterns_expression *grown = realloc(p->expressions, cap * sizeof(*grown));

		if (!grown) {
			p->arena.failed = true;
			return false;
		}
		p->expressions = grown;
		p->cap_expressions = cap;
	}
	source = arena_text(&p->arena, source, len);
	if (!source)
		return false;
	r->defined = true;
	p->expressions[p->n_expressions++] = (struct patterns_expression){ l->file, l->line, rule,
		zone, flags, header, source, len };
	return true;
}

/* ZONE, moved behind; a header's name lower-cased into the arena. */
static bool zone(struct patterns_line *l, uint8_t *ret_zone, const char **ret_header)
{
	const char *word = l->at, *header = "";
	size_t n;

	while (l->at < l->end && isalpha((unsigned char)*l->at))
		l->at++;
	n = (size_t)(l->at - word);
	if (patterns_is(word, n, "subject")) {
		*ret_zone = PATTERN_FIELD;
		*ret_header = "subject";
		return true;
	}
	if (patterns_is(word, n, "header") && l->end - l->at > 1 && *l->at == ':' &&
	    (isalnum((unsigned char)l->at[1]) || l->at[1] == '_')) {
		const char *name = l->at + 1, *end = name;

		while (end < l->end && (patterns_is_name(*end)))
			end++;
		if (end < l->end && *end == ':') { /* else m{...} */
			char *copy = arena_text(&l->p->arena, name, (size_t)(end - name));

			if (!copy)
				return false;
			for (char *c = copy; *c; c++)
				*c = (char)tolower((unsigned char)*c);
			l->at = end;
			*ret_zone = PATTERN_FIELD;
			*ret_header = copy;
			return true;
		}
	}
	for (unsigned i = 0; i < PATTERN_N_ZONES; i++)
		if (i != PATTERN_FIELD && patterns_is(word, n, pattern_zone_words[i])) {
			*ret_zone = (uint8_t)i;
			*ret_header = header;
			return true;
		}
	l->at = word;
	return patterns_wrong(l, "no zone; allowed: helo, envelope, header, header:NAME, subject, "
				 "body, text, url, uri (or words, meta, score, action)");
}

static int hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

static bool quoted(struct patterns_line *l, char *buf, size_t room, size_t *ret_len)
{
	size_t n = 0;

	for (l->at++; l->at < l->end && *l->at != '"'; l->at++) {
		char c = *l->at;

		if (c == '\\' && l->at + 1 < l->end) {
			c = *++l->at;
			if (c == 't')
				c = '\t';
			else if (c == 'x' && l->end - l->at > 2 && hex(l->at[1]) >= 0 &&
				 hex(l->at[2]) >= 0) {
				c = (char)(hex(l->at[1]) * 16 + hex(l->at[2]));
				l->at += 2;
			} else if (c != '"' && c != '\\')
				return patterns_wrong(
				    l, "in quotes \\ stands before \", \\, t or xHH alone");
		}
		if (n == room)
			return patterns_wrong(l, "a text of more than %zu bytes", room);
		buf[n++] = c;
	}
	if (l->at == l->end)
		return patterns_wrong(l, "the closing \" is missing");
	l->at++;
	*ret_len = n;
	return true;
}

/* Between delimiters; an escaped delimiter stands for itself, brackets nest. */
static bool delimited(struct patterns_line *l, char *buf, size_t room, size_t *ret_len)
{
	static const char pairs[] = "{}()[]<>";
	char open = *l->at == 'm' ? *++l->at : *l->at, close = open;
	const char *pair = strchr(pairs, open);
	unsigned depth = 1;
	size_t n = 0;

	if (pair && (pair - pairs) % 2 == 0)
		close = pair[1];
	for (l->at++; l->at < l->end; l->at++) {
		char c = *l->at;

		if (c == '\\' && l->at + 1 < l->end) {
			if (open == '/' && l->at[1] == '/') /* elsewhere the engine knows \X itself */
				l->at++;
			else if (n + 1 < room)
				buf[n++] = *l->at++;
			c = *l->at;
		} else if (c == close && --depth == 0) {
			l->at++;
			*ret_len = n;
			return true;
		} else if (c == open && open != close) {
			depth++;
		}
		if (n == room)
			return patterns_wrong(l, "an expression of more than %zu bytes", room);
		buf[n++] = c;
	}
	return patterns_wrong(l, "the closing %c is missing", close);
}

static bool letters(struct patterns_line *l, uint8_t *flags)
{
	for (; l->at < l->end && isalpha((unsigned char)*l->at); l->at++) {
		switch (*l->at) {
		case 'i': *flags |= PATTERN_CASELESS; break;
		case 's': *flags |= PATTERN_DOTALL; break;
		case 'm': *flags |= PATTERN_MULTILINE; break;
		case 'x': *flags |= PATTERN_EXTENDED; break;
		default: return patterns_wrong(l, "flag %c; allowed: i s m x", *l->at);
		}
	}
	if (l->at < l->end && !patterns_is_blank(*l->at))
		return patterns_wrong(l, "white space is missing behind the expression");
	return true;
}

static bool expression(struct patterns_line *l)
{
	struct patterns_given given = { 0 };
	char source[PATTERN_MAX_EXPRESSION];
	const char *header;
	uint8_t where, flags = 0, allowed = PATTERN_CONFIRM;
	uint32_t rule;
	size_t len = 0;

	if (!zone(l, &where, &header))
		return false;
	if (l->at == l->end || *l->at != ':')
		return patterns_wrong(l, "a : is missing behind the zone");
	l->at++;
	if (l->at < l->end && *l->at == '"') {
		flags = PATTERN_LITERAL;
		allowed = PATTERN_CASELESS | PATTERN_WORD;
		if (!quoted(l, source, sizeof(source), &len))
			return false;
		if (l->at < l->end && !patterns_is_blank(*l->at))
			return patterns_wrong(l, "white space is missing behind the text");
	} else if (l->end - l->at > 1 &&
		   (*l->at == '/' || (*l->at == 'm' && ispunct((unsigned char)l->at[1])))) {
		if (!delimited(l, source, sizeof(source), &len) || !letters(l, &flags))
			return false;
	} else {
		return patterns_wrong(l, "/.../, m{...} or \"...\" is missing behind the zone");
	}
	if (memchr(source, '\0', len) && !(flags & PATTERN_LITERAL))
		return patterns_wrong(l, "a zero byte; write \\x00");
	if (!patterns_options(l, true, allowed, &given))
		return false;
	rule = given.has_name ? patterns_rule(l, given.name, given.name_len) : unnamed(l);
	return rule != UINT32_MAX && patterns_settle(l, rule, &given) &&
	       add(l, rule, where, flags | given.flags, header, source, len);
}

/* ---- the other lines ---- */

static bool load(const char *path, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved;
	struct stat st;
	char *text = NULL;
	size_t len = 0;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		errno = errno ? errno : EFBIG;
		goto bad;
	}
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		goto bad;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto bad;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	*ret_text = text;
	*ret_len = len;
	return true;
bad:
	saved = errno;
	free(text);
	close(fd);
	errno = saved;
	return false;
}

/* One line of a text; false: no more. */
static bool next_line(const char **at, const char *end, const char **ret_line, const char **ret_end)
{
	const char *lf;

	if (*at == end)
		return false;
	lf = memchr(*at, '\n', (size_t)(end - *at));
	*ret_line = *at;
	*ret_end = lf ? lf : end;
	*at = lf ? lf + 1 : end;
	if (*ret_end > *ret_line && (*ret_end)[-1] == '\r')
		--*ret_end;
	return true;
}

/* words ZONE "FILE" OPTIONS */
static bool words(struct patterns_line *l)
{
	struct patterns_given given = { 0 };
	char name[4096], *path = NULL, *text = NULL;
	const char *header, *at, *line, *line_end, *file;
	size_t len = 0, text_len;
	uint8_t where;
	uint32_t rule;
	unsigned long mistakes = 0;
	bool good = false;

	patterns_blank(l);
	if (!zone(l, &where, &header))
		return false;
	patterns_blank(l);
	if (l->at == l->end || *l->at != '"')
		return patterns_wrong(l, "the \"FILE\" of words is missing");
	if (!quoted(l, name, sizeof(name), &len) ||
	    !patterns_options(l, true, PATTERN_CASELESS | PATTERN_WORD, &given))
		return false;
	if (!l->directory)
		return patterns_wrong(l, "words files are not read here");
	rule = given.has_name ? patterns_rule(l, given.name, given.name_len) : unnamed(l);
	if (rule == UINT32_MAX || !patterns_settle(l, rule, &given))
		return false;
	if (len == 0 || memchr(name, '\0', len))
		return patterns_wrong(l, "the words file's name is empty or holds a zero byte");
	if (asprintf(&path, "%s%s%.*s", name[0] == '/' ? "" : l->directory,
		name[0] == '/' ? "" : "/", (int)len, name) < 0)
		return patterns_wrong(l, "no memory");
	if (!load(path, &text, &text_len)) {
		patterns_wrong(l, "words file %s: %s", path, strerror(errno));
		goto out;
	}
	file = arena_text(&l->p->arena, path, strlen(path));
	if (!file)
		goto out;
	good = true;
	struct patterns_line w = { l->p, l->complaints, file, NULL, NULL, NULL, NULL, 0, &mistakes };
	for (at = text; good && next_line(&at, text + text_len, &line, &line_end);) {
		w.line++;
		w.start = w.at = line;
		w.end = line_end;
		if (patterns_done(&w))
			continue;
		while (line_end > w.at && patterns_is_blank(line_end[-1]))
			line_end--;
		good = add(&w, rule, where, PATTERN_LITERAL | given.flags, header, w.at,
		    (size_t)(line_end - w.at));
	}
	*l->mistakes += mistakes;
out:
	free(text);
	free(path);
	return good;
}

static bool meta(struct patterns_line *l)
{
	struct patterns_given given = { 0 };
	const char *name;
	size_t n;
	uint32_t rule;

	patterns_blank(l);
	n = patterns_word(l, &name);
	if (n == 0)
		return patterns_wrong(l, "the name of the meta is missing");
	rule = patterns_rule(l, name, n);
	if (rule == UINT32_MAX)
		return false;
	if (l->p->rules[rule].defined)
		return patterns_wrong(l, "%s is defined already (%s:%u)", l->p->rules[rule].name,
		    l->p->rules[rule].file, l->p->rules[rule].line);
	patterns_blank(l);
	if (l->at == l->end || *l->at != '=')
		return patterns_wrong(l, "a = is missing behind the meta's name");
	l->at++;
	if (!patterns_logic(l, rule))
		return false;
	l->p->rules[rule].meta = l->p->rules[rule].defined = true;
	l->p->rules[rule].file = l->file;
	l->p->rules[rule].line = l->line;
	return patterns_options(l, false, 0, &given) && patterns_settle(l, rule, &given);
}

/* score NAME N, action NAME WORD */
static bool set(struct patterns_line *l, bool is_score)
{
	struct patterns_given given = { .has_weight = is_score, .has_action = !is_score };
	const char *name, *value;
	size_t n;
	uint32_t rule;

	patterns_blank(l);
	n = patterns_word(l, &name);
	if (n == 0)
		return patterns_wrong(l, "a name is missing");
	rule = patterns_rule(l, name, n);
	if (rule == UINT32_MAX)
		return false;
	patterns_blank(l);
	for (value = l->at; l->at < l->end && !patterns_is_blank(*l->at);)
		l->at++;
	n = (size_t)(l->at - value);
	l->at = value;
	if (is_score ? !patterns_number(l, value, n, &given.weight)
		     : !patterns_action(l, value, n, &given.action))
		return false;
	l->at += n;
	if (!patterns_done(l))
		return patterns_wrong(l, "something follows");
	return patterns_settle(l, rule, &given);
}

static bool read_line(struct patterns_line *l)
{
	const char *word;
	size_t n;

	if (patterns_done(l))
		return true;
	if (l->end - l->start > PATTERNS_LINE_MAX)
		return patterns_wrong(l, "a line of more than %d bytes", PATTERNS_LINE_MAX);
	word = l->at;
	while (l->at < l->end && isalpha((unsigned char)*l->at))
		l->at++;
	n = (size_t)(l->at - word);
	if (l->at < l->end && patterns_is_blank(*l->at)) {
		if (patterns_is(word, n, "words"))
			return words(l);
		if (patterns_is(word, n, "meta"))
			return meta(l);
		if (patterns_is(word, n, "score") || patterns_is(word, n, "action"))
			return set(l, *word == 's');
	}
	l->at = word;
	return expression(l);
}

void patterns_init(struct patterns *p)
{
	*p = (struct patterns){ 0 };
	arena_init(&p->arena);
}

void patterns_fini(struct patterns *p)
{
	free(p->rules);
	free(p->expressions);
	free(p->slots);
	arena_fini(&p->arena);
	*p = (struct patterns){ 0 };
}

int patterns_parse(struct patterns *p, const char *name, const char *directory, const char *text,
    size_t len, struct complaints *complaints)
{
	unsigned long mistakes = 0;
	const char *at = text;
	struct patterns_line l = {
		.p = p, .complaints = complaints, .directory = directory, .mistakes = &mistakes
	};

	if (!p->slots) {
		p->slots = calloc(SLOTS, sizeof(*p->slots));
		if (!p->slots)
			return -ENOMEM;
		p->n_slots = SLOTS;
	}
	l.file = arena_text(&p->arena, name, strlen(name));
	while (!p->arena.failed && next_line(&at, text + len, &l.start, &l.end)) {
		l.line++;
		l.at = l.start;
		read_line(&l);
	}
	return p->arena.failed ? -ENOMEM : 0;
}

int patterns_read(struct patterns *p, const char *path, struct complaints *complaints)
{
	const char *slash = strrchr(path, '/');
	char *text, *directory;
	size_t len;
	int r;

	if (!load(path, &text, &len))
		return -errno;
	directory = slash ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
	r = directory ? patterns_parse(p, path, directory, text, len, complaints) : -ENOMEM;
	free(directory);
	free(text);
	return r;
}
