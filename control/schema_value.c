/* SPDX-License-Identifier: BSD-3-Clause */
/* One scalar against its row of the schema (schema.h). Knows nothing of YAML but `plain`. */
#include "schema.h"

#include <string.h>

static const char *read_number(
    const struct schema_key *key, const char *text, size_t len, struct config_value *value)
{
	size_t i = 0;
	bool negative = len != 0 && text[0] == '-';
	int64_t n = 0;
	if (negative)
		i = 1;
	if (i == len)
		return "is not a number";
	if (text[i] == '0' && len > i + 1)
		return "is not a plain decimal number";
	for (; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return "is not a plain decimal number";
		if (n > (INT64_MAX - 9) / 10)
			return "is out of range";
		n = n * 10 + (text[i] - '0');
	}
	if (negative)
		n = -n;
	if (n < key->min || n > key->max)
		return "is out of range";
	if ((key->flags & SCHEMA_POWER_OF_2) && (n & (n - 1)) != 0)
		return "is not a power of two";
	value->number = n;
	return NULL;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static const char *check_length(const struct schema_key *key, size_t len)
{
	bool many = (key->flags & SCHEMA_MANY) != 0;
	size_t min = many ? 1 : (size_t)key->min, max = many ? SCHEMA_ENTRY_MAX : (size_t)key->max;
	if (len < min)
		return len == 0 ? "is empty" : "is too short";
	return len > max ? "is too long" : NULL;
}

static const char *read_hostname(const char *text, size_t len)
{
	size_t label = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.') {
			if (label == 0)
				return "has an empty label";
			label = 0;
			continue;
		}
		if ((unsigned char)text[i] >= 0x80)
			return "is not ASCII (write the xn-- form)";
		if (!is_name_char(text[i]))
			return "is not a domain name";
		if (++label > 63)
			return "has a label of more than 63 characters";
	}
	return len != 0 && label == 0 ? "ends with a dot" : NULL;
}

static bool find_word(
    const char *const *words, const char *text, size_t len, struct config_value *value)
{
	for (unsigned i = 0; words != NULL && words[i] != NULL; i++)
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0) {
			value->number = i;
			return true;
		}
	return false;
}

static const char *read_state(const char *text, size_t len, struct config_value *value)
{
	static const char *const words[] = { "off", "shadow", "enforce", NULL };
	static const int states[] = { STATE_OFF, STATE_SHADOW, STATE_ENFORCE };
	int64_t percent = 0;
	if (find_word(words, text, len, value)) {
		value->number = states[value->number];
		return NULL;
	}
	if (len < 2 || len > 4 || text[len - 1] != '%')
		return "is no state of a rule";
	for (size_t i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return "is no state of a rule";
		percent = percent * 10 + (text[i] - '0');
	}
	if (percent < 1 || percent > 100)
		return "is not 1% to 100%";
	value->number = percent;
	return NULL;
}

const char *schema_value(const struct schema_key *key, const char *text, size_t len, bool plain,
    struct config_value *value)
{
	const char *wrong = NULL;
	switch (key->type) {
	case SCHEMA_SECTION: return "is not a section";
	case SCHEMA_NUMBER:
		if (!plain)
			return "is a text in quotes, not a number";
		return read_number(key, text, len, value);
	case SCHEMA_BOOL:
		if (plain && len == 4 && memcmp(text, "true", 4) == 0)
			value->number = 1;
		else if (plain && len == 5 && memcmp(text, "false", 5) == 0)
			value->number = 0;
		else
			return "is neither true nor false";
		return NULL;
	case SCHEMA_TEXT:
		for (size_t i = 0; i < len; i++)
			if (text[i] < 0x20 || text[i] > 0x7e)
				return "has a character that is not printable ASCII";
		return check_length(key, len);
	case SCHEMA_NAME:
		for (size_t i = 0; i < len; i++)
			if (!is_name_char(text[i]) && text[i] != '.')
				return "has a character that no name may have";
		return check_length(key, len);
	case SCHEMA_HOSTNAME:
		wrong = check_length(key, len);
		return wrong != NULL ? wrong : read_hostname(text, len);
	case SCHEMA_WORD:
		return find_word(key->words, text, len, value) ? NULL : "is not one of the words";
	case SCHEMA_ADDRESS:
		if (find_word(key->words, text, len, value))
			return NULL;
		value->number = -1;
		wrong = inet_parse_address(text, len, value->net.addr);
		if (wrong == NULL)
			value->net.prefix_len = inet_is_v4(value->net.addr) ? 32 : 128;
		return wrong;
	case SCHEMA_INTERFACE: return inet_parse_interface(text, len, &value->net);
	case SCHEMA_NETWORK:
		if (find_word(key->words, text, len, value))
			return NULL;
		value->number = -1;
		return inet_parse_network(text, len, &value->net);
	case SCHEMA_STATE: return read_state(text, len, value);
	case SCHEMA_RANGE: return inet_parse_range(text, len, &value->range);
	}
	return "has a type this program does not know";
}
