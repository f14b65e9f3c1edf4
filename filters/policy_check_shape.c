/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a class of shaping may say. A pace without an interval would be none, one above 30 s would
 * hold a banner beyond what RFC 5321 4.5.3.2 lets us, and a window below a command line would wait
 * for the rest of the line for ever.
 */
#include "policy_check_shape.h"

const char *policy_check_shape(const struct policy_shape *shape, size_t strings_len)
{
	if (shape->n_classes > POLICY_MAX_CLASSES)
		return "policy: more classes of shaping than there is room for";
	if (shape->teaser > 1)
		return "policy: the teaser is neither on nor off";
	if (shape->refusal_s > SHAPE_REFUSAL_S_MAX)
		return "policy: a refusal takes longer than half a day";
	for (unsigned i = 0; i < shape->n_classes; i++) {
		const struct policy_class *c = &shape->classes[i];

		if (c->name >= strings_len)
			return "policy: a class's name lies outside the strings";
		if (c->pace_bytes > 65535 || (c->pace_bytes && (c->pace_ms < SHAPE_PACE_MS_MIN ||
								   c->pace_ms > SHAPE_PACE_MS_MAX)))
			return "policy: a class's pace is out of range";
		if (c->stutter_ms > SHAPE_STUTTER_MS_MAX)
			return "policy: a class stutters longer than a day";
		if (c->window_bytes && c->window_bytes < SHAPE_WINDOW_MIN)
			return "policy: a class's window is smaller than a command line";
	}
	return 0;
}
