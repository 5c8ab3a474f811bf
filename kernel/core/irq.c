/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device interrupts become bits of events.
 *
 * A message-signalled source has a vector of its own and needs no acknowledge.
 * An IOAPIC line is shared by all sources attached to it. A level-triggered
 * line is masked when it fires, every source is told, and it opens again when
 * the last one told has acknowledged or was detached; so a driver that dies
 * between the two does not silence its neighbours. An edge-triggered line is
 * never masked: an edge that comes while it is masked would be lost.
 *
 * Lines keep their vector for good once used. Called under the kernel lock.
 */
#include "device.h"
#include "resource.h"

#define VECTORS 256u

struct irq_line {
	struct list link;        /* all_lines */
	uint32_t gsi, flags;     /* X_IRQ_* */
	int vector;
	uint32_t unacked;        /* sources told, not yet acknowledged */
	struct list sources;
};

struct irq {                     /* X_TYPE_IRQ: a legacy line by itself */
	struct object obj;
	struct irq_source source;
};

static struct list all_lines = { &all_lines, &all_lines };
static struct irq_source *vector_sources[VECTORS];
static struct irq_line *vector_lines[VECTORS];

/* ---- lines ---- */

static bool is_level(const struct irq_line *l)
{
	return (l->flags & X_IRQ_LEVEL) != 0;
}

static int line_create(uint32_t gsi, struct irq_line **out)
{
	struct irq_line *l = kzalloc(sizeof(*l));

	if (l == NULL)
		return -X_ENOMEM;
	l->vector = arch_irq_alloc_vector();
	if (l->vector < 0) {
		int error = l->vector;

		kfree(l);
		return error;
	}
	l->gsi = gsi;
	list_init(&l->sources);
	list_push_back(&all_lines, &l->link);
	vector_lines[l->vector] = l;
	*out = l;
	return 0;
}

static int line_get(uint32_t gsi, struct irq_line **out)
{
	list_for_each(l, &all_lines, struct irq_line, link) {
		if (l->gsi == gsi) {
			*out = l;
			return 0;
		}
	}
	return line_create(gsi, out);
}

static void line_fire(struct irq_line *l)
{
	if (is_level(l))
		arch_ioapic_mask(l->gsi, true);
	list_for_each(s, &l->sources, struct irq_source, link) {
		if (is_level(l) && !s->unacked) {
			s->unacked = true;
			l->unacked++;
		}
		event_signal(s->event, s->bits);
	}
}

void irq_source_ack(struct irq_source *s)
{
	struct irq_line *l = s->line;

	if (l == NULL || !s->unacked)
		return;
	s->unacked = false;
	if (--l->unacked == 0)
		arch_ioapic_mask(l->gsi, false);
}

void trap_irq(uint32_t vector)
{
	if (vector >= VECTORS)
		return;
	if (vector_sources[vector] != NULL)
		event_signal(vector_sources[vector]->event, vector_sources[vector]->bits);
	else if (vector_lines[vector] != NULL)
		line_fire(vector_lines[vector]);
}

/* ---- sources ---- */

static void source_fill(struct irq_source *s, struct object *event, uint64_t bits)
{
	object_ref(event);
	s->event = event;
	s->bits = bits;
	s->unacked = false;
	s->vector = -1;
	s->line = NULL;
	list_init(&s->link);
}

int irq_attach_vector(struct irq_source *s, struct object *event, uint64_t bits)
{
	int vector = arch_irq_alloc_vector();

	if (vector < 0)
		return vector;
	source_fill(s, event, bits);
	s->vector = vector;
	vector_sources[vector] = s;
	return 0;
}

int irq_attach_line(struct irq_source *s, uint32_t gsi, uint32_t flags,
		    struct object *event, uint64_t bits)
{
	struct irq_line *l;
	int error = line_get(gsi, &l);

	if (error != 0)
		return error;
	if (list_empty(&l->sources)) {
		l->flags = flags;
		arch_ioapic_route(gsi, l->vector, flags);
	}
	source_fill(s, event, bits);
	s->line = l;
	list_push_back(&l->sources, &s->link);
	if (l->unacked == 0)
		arch_ioapic_mask(gsi, false);
	return 0;
}

void irq_detach(struct irq_source *s)
{
	struct object *event = s->event;

	if (event == NULL)
		return;
	if (s->line != NULL) {
		irq_source_ack(s);
		list_remove(&s->link);
		if (list_empty(&s->line->sources))
			arch_ioapic_mask(s->line->gsi, true);
	} else {
		vector_sources[s->vector] = NULL;
		arch_irq_free_vector(s->vector);
	}
	s->line = NULL;
	s->event = NULL;
	object_unref(event);
}

/* ---- interrupt objects ---- */

static void irq_destroy(struct object *o)
{
	struct irq *i = container_of(o, struct irq, obj);

	irq_detach(&i->source);
	kfree(i);
}

static const struct object_ops irq_ops = { .destroy = irq_destroy };

static int irq_create(uint32_t isa_irq, struct object *event, uint64_t bits, struct object **out)
{
	uint32_t flags = 0;
	int gsi = arch_isa_to_gsi(isa_irq, &flags), error;
	struct irq *i;

	if (gsi < 0)
		return -X_EINVAL;
	i = kzalloc(sizeof(*i));
	if (i == NULL)
		return -X_ENOMEM;
	error = irq_attach_line(&i->source, (uint32_t)gsi, flags, event, bits);
	if (error != 0) {
		kfree(i);
		return error;
	}
	object_init(&i->obj, X_TYPE_IRQ, &irq_ops);
	*out = &i->obj;
	return 0;
}

int64_t sys_irq_create(uint32_t resource, uint32_t isa_irq, uint32_t event, uint64_t bits)
{
	struct object *e, *irq = NULL;
	int error;

	if (isa_irq > 15 || bits == 0)
		return -X_EINVAL;
	error = resource_check(resource, X_R_MANAGE);
	if (error != 0)
		return error;
	e = handle_get(event, X_TYPE_EVENT, X_R_WRITE, &error);
	if (e == NULL)
		return error;
	error = irq_create(isa_irq, e, bits, &irq);
	object_unref(e);
	return error != 0 ? error : object_hand_out(irq, X_R_WRITE | X_R_DUP | X_R_TRANSFER);
}

int64_t sys_irq_ack(uint32_t irq)
{
	int error;
	struct object *o = handle_get(irq, X_TYPE_IRQ, X_R_WRITE, &error);

	if (o == NULL)
		return error;
	irq_source_ack(&container_of(o, struct irq, obj)->source);
	object_unref(o);
	return 0;
}
