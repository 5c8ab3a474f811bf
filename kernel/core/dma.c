/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that devices reach: memory objects given for good (x_dma_map), and
 * windows of calls, lent for one transfer.
 *
 * A server that has taken a call lends a window of it to a device
 * (x_window_lend); the device's driver, given the call's id and a handle of the
 * port, gets the window's addresses (x_dma_window) and ends the use
 * (x_dma_release) when the device is done. While a window is in use:
 *
 *   the call is answered, or its caller dies    the frames pass to the use
 *   the driver dies                             the use goes into quarantine
 *   the call's server dies                      the caller waits for the end of the use (call_fail_when_quiet())
 *
 * so no frame is anybody else's before the device is done with it or reset.
 *
 * Device addresses are physical; with an IOMMU those of windows are in an area
 * of their own, a slot for each use, mapped one way only.
 */
#include "device.h"
#include "call.h"

#define WINDOW_AREA  (1ull << 38) /* device addresses from here: within 39 bits, above all RAM */
#define WINDOW_STEP  (2ull << 20) /* more than X_WINDOW_MAX and a page */
#define SEGMENTS_MAX 64u

/* ---- windows ---- */

static uint64_t slot_address(const struct device *d, const struct dma_window *w)
{
	return WINDOW_AREA + (uint64_t)(w - d->windows) * WINDOW_STEP;
}

static void window_release(struct device *d, struct dma_window *w)
{
	uint32_t frame_count = w->frame_count;

	if (d->domain != NULL && !w->quarantined) /* else it was in another domain, which has ended */
		arch_domain_unmap(d->domain, slot_address(d, w), frame_count * PAGE_SIZE);
	w->frame_count = 0;
	if (w->of != NULL) {
		w->of->dma = NULL;
		call_device_done(w->call);
	} else {
		frames_unref(w->frames, frame_count);
		if (w->frames != w->inline_frames)
			kfree(w->frames);
	}
}

static struct dma_window *window_slot(struct device *d)
{
	if (d->windows == NULL)
		d->windows = kzalloc(DMA_WINDOWS * sizeof(*d->windows));
	for (uint32_t i = 0; d->windows != NULL && i < DMA_WINDOWS; i++) {
		struct dma_window *w = &d->windows[d->window_next++ % DMA_WINDOWS];

		if (w->frame_count == 0)
			return w;
	}
	return NULL;
}

/* The part [at, at + len) of the frames, as runs; their number or -X_E2BIG. */
static int window_runs(const paddr_t *frames, uint64_t at, uint64_t len, struct x_dma_segment *s, uint32_t max)
{
	uint32_t count = 0;

	while (len != 0) {
		uint64_t n = MIN(len, PAGE_SIZE - at % PAGE_SIZE), address = frames[at / PAGE_SIZE] + at % PAGE_SIZE;

		if (count != 0 && s[count - 1].iova + s[count - 1].bytes == address)
			s[count - 1].bytes += n;
		else if (count == max)
			return -X_E2BIG;
		else
			s[count++] = (struct x_dma_segment){ address, n };
		at += n;
		len -= n;
	}
	return (int)count;
}

/* The window, if it may be used now. */
static int window_find(const struct device *d, struct port *p, const struct x_dma_window *u, struct call **of)
{
	struct call *c = port_find_call(p, u->call);
	struct call_window *w;

	if (c == NULL)
		return -X_ENOENT;
	if (u->window >= c->win_count)
		return -X_EINVAL;
	w = &c->win[u->window];
	if (c->lent_to != d->obj.koid || !(c->lent >> u->window & 1) ||
	    !(w->flags & (u->write ? X_WIN_WRITE : X_WIN_READ)))
		return -X_ERIGHTS;
	if (u->len == 0 || u->len > w->len || u->offset > w->len - u->len)
		return -X_EINVAL;
	*of = c;
	return w->dma != NULL ? -X_EBUSY : 0;
}

static int domain_get(struct device *d)
{
	if (arch_iommu_on() && d->domain == NULL)
		d->domain = arch_domain_create(d->bdf);
	return arch_iommu_on() && d->domain == NULL ? -X_ENOMEM : 0;
}

static int window_use(struct device *d, struct call *c, const struct x_dma_window *u, struct x_dma_segment *s,
		      uint32_t *count)
{
	struct call_window *w = &c->win[u->window];
	struct dma_window *slot = window_slot(d);
	uint64_t at = w->page_offset + u->offset;
	int n = 1;

	if (slot == NULL)
		return -X_ENOSPC;
	if (d->domain != NULL) {
		s[0] = (struct x_dma_segment){ slot_address(d, slot) + at, u->len };
		n = arch_domain_window(d->domain, slot_address(d, slot), w->frames, w->frame_count, u->write);
		n = n == 0 ? 1 : n;
	} else {
		n = window_runs(w->frames, at, u->len, s, MIN(u->segment_max, SEGMENTS_MAX));
	}
	if (n < 0)
		return n;
	*slot = (struct dma_window){ .call = c, .of = w, .frames = w->frames, .frame_count = w->frame_count };
	w->dma = slot;
	*count = (uint32_t)n;
	return (int)(slot - d->windows);
}

int64_t sys_dma_window(uint64_t user)
{
	struct x_dma_segment segments[SEGMENTS_MAX];
	struct x_dma_window u;
	struct call *c = NULL;
	struct object *port;
	struct device *d;
	uint32_t count = 0;
	int error = copy_from_user(&u, user, sizeof(u)), number;

	if (error != 0)
		return error;
	d = device_handle(u.device, X_R_READ | X_R_WRITE, &error);
	if (d == NULL)
		return error;
	port = handle_get(u.port, X_TYPE_PORT, 0, &error);
	if (port != NULL) {
		device_use(d);
		error = u.segment_max == 0 ? -X_E2BIG : domain_get(d);
		if (error == 0)
			error = window_find(d, container_of(port, struct port, obj), &u, &c);
		object_unref(port);
	}
	number = error == 0 ? window_use(d, c, &u, segments, &count) : error;
	if (number >= 0) { /* the call may end while this blocks: c is not looked at again */
		error = copy_to_user(u.segments, segments, count * sizeof(segments[0]));
		if (error == 0)
			error = copy_to_user(user + offsetof(struct x_dma_window, segment_count), &count, sizeof(count));
	}
	object_unref(&d->obj);
	return error != 0 ? error : number;
}

int64_t sys_dma_release(uint32_t device, uint32_t number)
{
	int error;
	struct device *d = device_handle(device, X_R_READ | X_R_WRITE, &error);

	if (d == NULL)
		return error;
	if (d->windows == NULL || number >= DMA_WINDOWS || d->windows[number].frame_count == 0 ||
	    d->windows[number].quarantined)
		error = -X_ENOENT;
	else
		window_release(d, &d->windows[number]);
	object_unref(&d->obj);
	return error;
}

int64_t sys_window_lend(uint32_t port, uint64_t id, uint32_t window, uint32_t device)
{
	int error;
	struct object *d, *p = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &error);
	struct call *c;

	if (p == NULL)
		return error;
	d = handle_get(device, X_TYPE_DEVICE, 0, &error);
	if (d != NULL) {
		c = port_find_call(container_of(p, struct port, obj), id);
		error = c == NULL ? -X_ENOENT : window >= c->win_count ? -X_EINVAL : 0;
		if (error == 0) {
			c->lent = (c->lent_to == d->koid ? c->lent : 0) | 1u << window;
			c->lent_to = d->koid;
		}
		object_unref(d);
	}
	object_unref(p);
	return error;
}

/* ---- memory objects ---- */

static void pins_release(struct list *pins)
{
	while (!list_empty(pins)) {
		struct dma_pin *p = list_first(pins, struct dma_pin, link);

		list_remove(&p->link);
		object_unref(&p->memory->obj);
		kfree(p);
	}
}

/* Hold the memory object for as long as the device may reach it. */
static int pin_add(struct device *d, struct memory *m)
{
	struct dma_pin *p;

	list_for_each(known, &d->pins, struct dma_pin, link)
		if (known->memory == m)
			return 0;
	p = kmalloc(sizeof(*p));
	if (p == NULL)
		return -X_ENOMEM;
	object_ref(&m->obj);
	p->memory = m;
	list_push_back(&d->pins, &p->link);
	return 0;
}

struct segment_writer {
	const struct x_dma_map *map;
	struct iommu_domain *domain;
	struct x_dma_segment now;    /* not yet written */
	uint32_t count;              /* written */
};

static int segment_flush(struct segment_writer *w)
{
	uint64_t to = w->map->segments + w->count * sizeof(w->now);

	if (w->now.bytes == 0)
		return 0;
	if (w->count == w->map->segment_max)
		return -X_E2BIG;
	if (w->domain != NULL) {
		int error = arch_domain_map(w->domain, w->now.iova, w->now.bytes);

		if (error != 0)
			return error;
	}
	w->count++;
	return copy_to_user(to, &w->now, sizeof(w->now));
}

static int segment_add(struct segment_writer *w, paddr_t frame)
{
	int error = 0;

	if (w->now.iova + w->now.bytes == frame && w->now.bytes != 0) {
		w->now.bytes += PAGE_SIZE;
		return 0;
	}
	error = segment_flush(w);
	w->now.iova = frame; /* device addresses are physical, with an IOMMU too */
	w->now.bytes = PAGE_SIZE;
	return error;
}

static int write_segments(struct memory *m, struct segment_writer *w)
{
	uint64_t first = w->map->offset / PAGE_SIZE, pages = w->map->len / PAGE_SIZE;

	if (m->run_base != NO_FRAME) { /* one run: nothing to walk */
		w->now.iova = m->run_base + w->map->offset;
		w->now.bytes = w->map->len;
		return segment_flush(w);
	}
	for (uint64_t i = first; i < first + pages; i++) {
		paddr_t frame;
		int error = memory_page(m, i, &frame);

		if (error != 0)
			return error;
		frame_unref(frame); /* the object keeps it */
		error = segment_add(w, frame);
		if (error != 0)
			return error;
	}
	return segment_flush(w);
}

static int dma_map(struct device *d, struct memory *m, const struct x_dma_map *map, uint32_t *count)
{
	struct segment_writer w = { .map = map };
	uint64_t bytes = m->pages * PAGE_SIZE;
	int error;

	if (m->physical || map->offset % PAGE_SIZE != 0 || map->len % PAGE_SIZE != 0 ||
	    map->len == 0 || map->offset > bytes || map->len > bytes - map->offset)
		return -X_EINVAL;
	/* Before the driver can learn an address: held at least until it dies. */
	error = pin_add(d, m);
	if (error == 0)
		error = domain_get(d);
	if (error == 0) {
		device_use(d);
		w.domain = d->domain;
		error = write_segments(m, &w);
	}
	*count = w.count;
	return error;
}

int64_t sys_dma_map(uint64_t user)
{
	struct x_dma_map map;
	struct object *memory;
	struct device *d;
	uint32_t count = 0;
	int error = copy_from_user(&map, user, sizeof(map));

	if (error != 0)
		return error;
	d = device_handle(map.device, X_R_READ | X_R_WRITE, &error);
	if (d == NULL)
		return error;
	memory = handle_get(map.memory, X_TYPE_MEMORY, X_R_READ | X_R_WRITE, &error);
	if (memory != NULL) {
		error = dma_map(d, container_of(memory, struct memory, obj), &map, &count);
		object_unref(memory);
	}
	object_unref(&d->obj);
	if (error == 0)
		error = copy_to_user(user + offsetof(struct x_dma_map, segment_count),
				     &count, sizeof(count));
	return error;
}

/* ---- the end of a driver ---- */

void dma_quarantine(struct device *d)
{
	while (!list_empty(&d->pins)) {
		struct list *pin = d->pins.next;

		list_remove(pin);
		list_push_back(&d->quarantine, pin);
	}
	for (uint32_t i = 0; d->windows != NULL && i < DMA_WINDOWS; i++)
		d->windows[i].quarantined = d->windows[i].frame_count != 0;
}

void dma_quarantine_ends(struct device *d)
{
	pins_release(&d->quarantine);
	for (uint32_t i = 0; d->windows != NULL && i < DMA_WINDOWS; i++)
		if (d->windows[i].frame_count != 0 && d->windows[i].quarantined)
			window_release(d, &d->windows[i]);
}
