/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables that are searched only as far as they are used: all slots from index `end`
 * up are free. `table` is an array, `end` a variable, `used` the member (it may be one
 * of a member) that is 0 in a free slot and not in one that is used.
 */
#ifndef LIB_C_SLOTS_H
#define LIB_C_SLOTS_H

#include <stddef.h>

#define SLOTS_IN(table) (sizeof(table) / sizeof((table)[0]))

/* The first free slot, or NULL: the table is full. Whoever marks it as used says SLOT_TAKEN. */
#define SLOT_FIND(table, end, used) ({ \
	__typeof__(&(table)[0]) slot_ = (table); \
	while (slot_ < (table) + (end) && slot_->used) \
		slot_++; \
	slot_ < (table) + SLOTS_IN(table) ? slot_ : NULL; })

#define SLOT_TAKEN(table, end, slot) do { \
	if ((slot) == (table) + (end)) \
		(end)++; \
} while (0)

/* After slots became free. */
#define SLOTS_TRIM(table, end, used) do { \
	while ((end) && !(table)[(end) - 1].used) \
		(end)--; \
} while (0)

#endif
