/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace of calls (trace.h). Under the kernel lock. */
#include "trace.h"

struct trace_ring *trace_ring;

_Static_assert(sizeof(struct trace_record) == 136, "tools/calltrace.py reads it");

void trace_init(void)
{
	const uint64_t pages = (sizeof(*trace_ring) + PAGE_SIZE - 1) / PAGE_SIZE;
	paddr_t at;

	if (!boot_option("trace"))
		return;
	at = frame_alloc_run(pages, PAGE_SIZE, 0);
	if (at == NO_FRAME) {
		klog("no %llu MiB of memory for a trace of calls\n", (unsigned long long)(pages * PAGE_SIZE >> 20));
		return;
	}
	trace_ring = phys_to_virt(at);
	memset(trace_ring, 0, sizeof(*trace_ring));
	trace_ring->records = TRACE_RECORDS;
	memcpy(trace_ring->magic, TRACE_MAGIC, sizeof(trace_ring->magic));
}

static void first_bytes(const struct call *c, struct trace_record *r)
{
	const struct call_window *w = &c->win[0];
	uint64_t bytes = w->flags & X_WIN_READ ? MIN(w->len, sizeof(r->text)) : 0;
	uint64_t here = MIN(bytes, PAGE_SIZE - w->page_offset);

	r->window_bytes = w->len;
	if (bytes)
		memcpy(r->text, (const char *)phys_to_virt(w->frames[0]) + w->page_offset, here);
	if (bytes > here)
		memcpy(r->text + here, phys_to_virt(w->frames[1]), bytes - here);
}

void trace_record(const struct call *c, enum trace_kind kind)
{
	uint64_t number = ++trace_ring->next;
	struct trace_record *r = &trace_ring->record[(number - 1) % TRACE_RECORDS];

	memset(r, 0, sizeof(*r));
	r->time_ns = arch_time_ns();
	r->call = c->id;
	r->object = c->record ? c->record->id : 0;
	r->server = kind == TRACE_CALL ? c->port->reader : current_process()->obj.koid;
	memcpy(r->a, c->msg.a, sizeof(r->a));
	r->kind = kind;
	r->op = c->msg.op;
	r->status = c->msg.status;
	memcpy(r->process, current_process()->name, sizeof(r->process));
	if (kind == TRACE_CALL && c->win_count)
		first_bytes(c, r);
	__atomic_store_n(&r->number, number, __ATOMIC_RELEASE);
}
