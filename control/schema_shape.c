/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `shaping`: its rows, its checks, its compilation (filters/policy_shape.h). */
#include "names.h"
#include "schema.h"

#include "filters/image_write.h"
#include "filters/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

/* clang-format off */
#define SECTION_STRUCT config_class
static const struct schema_key class_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47, .doc = "Name of the class." },
	{ "from_score", SCHEMA_NUMBER, 0, AT(from_score), -1000000, 1000000, .def = "0",
	    .unit = "hundredths of a point",
	    .doc = "Sessions with this score and above are in it; of several the one with the highest serves." },
	{ "pace_bytes", SCHEMA_NUMBER, 0, AT(pace_bytes), 0, 65535, .def = "0", .unit = "bytes",
	    .doc = "Stutter: replies leave so many bytes at a time; 0: at once." },
	{ "pace_ms", SCHEMA_NUMBER, 0, AT(pace_ms), SHAPE_PACE_MS_MIN, SHAPE_PACE_MS_MAX,
	    .def = "1000", .unit = "milliseconds",
	    .doc = "... and so long from one lot to the next. A client that is not refused has its whole "
		   "greeting within 29 s and each reply within 15 s all the same." },
	{ "stutter_ms", SCHEMA_NUMBER, 0, AT(stutter_ms), 0, SHAPE_STUTTER_MS_MAX, .def = "0",
	    .unit = "milliseconds",
	    .doc = "Stuttered at for so long since the connection began; 0: as long as it lasts." },
	{ "window_bytes", SCHEMA_NUMBER, 0, AT(window_bytes), 0, 16777216, .def = "0",
	    .unit = "bytes",
	    .doc = "TCP receive window: what the client may send before we have read; 4096 at least, 0: as "
		   "for all." },
};
static const struct schema_section class_section = { sizeof(struct config_class),
	COUNT(class_keys), class_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_shape
static const struct schema_key shape_keys[] = {
	{ "teaser", SCHEMA_BOOL, 0, AT(teaser), .def = "false",
	    .doc = "A first line of the greeting (220-) at once, its last after smtp.greet_delay_ms: who "
		   "cannot tell them apart speaks too early." },
	{ "refusal_s", SCHEMA_NUMBER, 0, AT(refusal_s), 0, SHAPE_REFUSAL_S_MAX, .def = "240",
	    .unit = "seconds",
	    .doc = "A HELO, MAIL, RCPT or DATA that meets the action tarpit is refused with 550 a byte at a "
		   "time, many lines long; so long after it the last line comes, and the end of the "
		   "connection. Below 300 an honest client that waits still learns why. 0: refused at once." },
	{ "tarpit_pace_ms", SCHEMA_NUMBER, 0, AT(tarpit_pace_ms), 100, 300000, .def = "10000",
	    .unit = "milliseconds",
	    .doc = "From one byte to the next for whoever is tarpitted by something else than a list, which "
		   "has its own." },
	{ "classes", SCHEMA_SECTION, SCHEMA_MANY, AT(classes), 0, POLICY_MAX_CLASSES,
	    .section = &class_section, .doc = "Classes of clients, by score." },
};
const struct schema_section shape_schema = { sizeof(struct config_shape), COUNT(shape_keys),
	shape_keys };
#undef SECTION_STRUCT
/* clang-format on */

void config_check_shape(struct config *c, struct complaints *complaints)
{
	const struct config_shape *shape = &c->shape;
	const struct config_class *classes = shape->classes.items;
	struct names names;

	if (shape->teaser.number && c->smtp.greet_delay_ms.number == 0)
		complain(complaints, c->path, shape->teaser.pos,
		    "shaping.teaser: nothing would be between it and the greeting; allowed: true "
		    "with "
		    "smtp.greet_delay_ms above 0, or false");
	if (!names_init(&names, &c->arena, shape->classes.n))
		return;
	for (size_t i = 0; i < shape->classes.n; i++) {
		int64_t window = classes[i].window_bytes.number;

		names_add(&names, &classes[i].name, classes[i].name.text, i);
		if (window != 0 && window < SHAPE_WINDOW_MIN)
			complain(complaints, c->path, classes[i].window_bytes.pos,
			    "shaping.classes.window_bytes: a command line would not fit into "
			    "\"%s\"; "
			    "allowed: 0, or a number from %d",
			    classes[i].window_bytes.text, SHAPE_WINDOW_MIN);
	}
	names_sort(&names, "shaping.classes.name", c->path, complaints);
}

int compile_shape(const struct config *c, struct image_writer *writer)
{
	const struct config_class *from = c->shape.classes.items;
	struct policy_shape *shape = &image_writer_settings(writer)->shape;
	int ret = 0;

	shape->teaser = c->shape.teaser.number != 0;
	shape->refusal_s = (uint32_t)c->shape.refusal_s.number;
	shape->tarpit_pace_ms = (uint32_t)c->shape.tarpit_pace_ms.number;
	for (size_t i = 0; i < c->shape.classes.n && ret == 0; i++) {
		struct policy_class *to = &shape->classes[shape->n_classes++];

		ret = image_writer_string(writer, from[i].name.text, &to->name);
		to->from_score = (int32_t)from[i].from_score.number;
		to->pace_bytes = (uint32_t)from[i].pace_bytes.number;
		to->pace_ms = (uint32_t)from[i].pace_ms.number;
		to->stutter_ms = (uint32_t)from[i].stutter_ms.number;
		to->window_bytes = (uint32_t)from[i].window_bytes.number;
	}
	return ret;
}
