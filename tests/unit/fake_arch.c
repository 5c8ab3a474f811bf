/* SPDX-License-Identifier: BSD-2-Clause */
/* See fake_arch.h. */
#include "fake_arch.h"
#include "kernel/core/port.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

uint64_t fake_ram_base;
static uint64_t ram_bytes;
struct boot_info boot_info;

/* ---- memory and panics ---- */

void fake_machine(uint64_t bytes)
{
	if (ram_bytes != 0)
		munmap((void *)fake_ram_base, ram_bytes);
	fake_ram_base = (uint64_t)mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ram_bytes = bytes;
	memset(&boot_info, 0, sizeof(boot_info));
}

void fake_range(uint64_t base, uint64_t bytes, bool usable)
{
	boot_info.ranges[boot_info.range_count++] = (struct boot_range){ base, bytes, usable };
}

static jmp_buf panic_exit;
static bool panic_expected;

void panic(const char *fmt, ...)
{
	va_list ap;

	if (panic_expected)
		longjmp(panic_exit, 1);
	va_start(ap, fmt);
	fputs("panic: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

bool fake_panics(void (*f)(void *arg), void *arg)
{
	panic_expected = true;
	if (setjmp(panic_exit) != 0) {
		panic_expected = false;
		return true;
	}
	f(arg);
	panic_expected = false;
	return false;
}

void klog(const char *fmt, ...)
{
	(void)fmt;
}

int copy_from_user(void *dst, uint64_t src, size_t n)
{
	if (src == 0)
		return -X_EFAULT;
	memcpy(dst, (const void *)src, n);
	return 0;
}

int copy_to_user(uint64_t dst, const void *src, size_t n)
{
	if (dst == 0)
		return -X_EFAULT;
	memcpy((void *)dst, src, n);
	return 0;
}

void kernel_lock_breathe(void) { }

void (*fake_away)(void);

bool kernel_leave(uint64_t bytes)
{
	void (*away)(void) = fake_away;

	(void)bytes;
	fake_away = NULL; /* once */
	if (away != NULL)
		away();
	return away != NULL;
}

void kernel_return(bool left) { (void)left; }
void tlb_service(void) { }

/* ---- objects ---- */

uint64_t object_counts[16];

void object_init(struct object *o, uint32_t type, const struct object_ops *ops)
{
	static uint64_t koid;

	memset(o, 0, sizeof(*o));
	o->type = type;
	o->refs = 1;
	o->koid = ++koid;
	o->ops = ops;
	object_counts[type]++;
}

void object_destroy(struct object *o)
{
	object_counts[o->type]--;
	o->ops->destroy(o);
}

/* ---- threads and ports ---- */

struct process *fake_process;
static struct thread fake_thread;
int (*fake_wait)(struct waitq *q);

struct thread *current(void)
{
	static struct process nobody = { .account = &kernel_account };

	fake_thread.process = fake_process ? fake_process : &nobody;
	if (!fake_thread.process->account)
		fake_thread.process->account = &kernel_account;
	return &fake_thread;
}

int thread_wait(struct waitq *q, uint64_t deadline_ns, uint32_t flags)
{
	(void)deadline_ns;
	(void)flags;
	KASSERT(fake_wait != NULL);
	return fake_wait(q);
}

void waitq_wake_all(struct waitq *q, int result)
{
	(void)q;
	(void)result;
}

/* Memory ends when the allocator says so: no reserve, no other programs. */
bool memory_denied(void) { return false; }
bool memory_denied_to_new(void) { return false; }
int memory_shortage(void) { return -X_ENOMEM; }

struct port *fake_port(void)
{
	struct port *p = calloc(1, sizeof(*p));

	list_init(&p->pages);
	list_init(&p->paged);
	list_init(&p->dirty);
	p->dirty_limit = UINT64_MAX;
	return p;
}

void fake_port_free(struct port *p)
{
	free(p);
}

int port_post_page(struct port *p, struct memory *m, struct page_request *r)
{
	(void)m;
	list_push_back(&p->pages, &r->item_link);
	return 0;
}

/* ---- page tables: sorted arrays ---- */

struct fake_entry { uint64_t va, pa; uint32_t flags; };
struct fake_table {
	paddr_t id;
	struct fake_entry *entries;
	size_t count, room;
	struct fake_table *next;
	bool forgotten; /* tlb_forget() */
};
static struct fake_table *tables;
int fake_pt_map_budget = -1;

#define STALE_MAX 65536u
static struct { paddr_t pt; uint64_t va, pa; uint32_t flags; } stale[STALE_MAX];
unsigned fake_stale;

static struct fake_table *table_of(paddr_t pt)
{
	struct fake_table *t = tables;

	while (t != NULL && t->id != pt)
		t = t->next;
	KASSERT(t != NULL);
	return t;
}

/* First entry at or after va. */
static size_t entry_at(const struct fake_table *t, uint64_t va)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (t->entries[mid].va < va)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void remember(const struct fake_table *t, const struct fake_entry *e)
{
	if ((e->flags & PT_NOACCESS) || t->forgotten)
		return;
	KASSERT(fake_stale < STALE_MAX);
	stale[fake_stale].pt = t->id;
	stale[fake_stale].va = e->va;
	stale[fake_stale].pa = e->pa;
	stale[fake_stale++].flags = e->flags;
}

paddr_t pt_create(struct account *payer)
{
	paddr_t id = frame_alloc(0);
	struct fake_table *t;

	(void)payer;
	if (id == NO_FRAME)
		return NO_FRAME;
	t = calloc(1, sizeof(*t));
	t->id = id;
	t->next = tables;
	tables = t;
	return id;
}

void pt_destroy(paddr_t pt)
{
	struct fake_table *t = table_of(pt), **at = &tables;

	KASSERT(t->count == 0);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	frame_unref(pt);
	free(t->entries);
	free(t);
}

static bool reduced(const struct fake_entry *old, paddr_t pa, uint32_t flags)
{
	return old->pa != pa || (old->flags & ~flags & (PT_WRITE | PT_EXEC)) ||
	       (flags & ~old->flags & PT_NOACCESS);
}

int pt_map(paddr_t pt, uint64_t va, paddr_t pa, uint32_t flags)
{
	struct fake_table *t = table_of(pt);
	size_t i = entry_at(t, va);

	KASSERT(va % PAGE_SIZE == 0 && pa % PAGE_SIZE == 0);
	t->forgotten = false;
	if (i < t->count && t->entries[i].va == va) {
		if (reduced(&t->entries[i], pa, flags))
			remember(t, &t->entries[i]);
	} else {
		if (fake_pt_map_budget == 0)
			return -X_ENOMEM;
		if (fake_pt_map_budget > 0)
			fake_pt_map_budget--;
		if (t->count == t->room) {
			t->room = t->room * 2 + 16;
			t->entries = realloc(t->entries, t->room * sizeof(*t->entries));
		}
		memmove(&t->entries[i + 1], &t->entries[i], (t->count - i) * sizeof(*t->entries));
		t->count++;
	}
	t->entries[i] = (struct fake_entry){ va, pa, flags };
	return 0;
}

bool pt_get(paddr_t pt, uint64_t va, paddr_t *pa, uint32_t *flags)
{
	uint64_t at = va;

	return pt_next(pt, &at, va + 1, pa, flags);
}

void pt_clear(paddr_t pt, uint64_t va)
{
	struct fake_table *t = table_of(pt);
	size_t i = entry_at(t, va);

	if (i == t->count || t->entries[i].va != va)
		return;
	remember(t, &t->entries[i]);
	t->count--;
	memmove(&t->entries[i], &t->entries[i + 1], (t->count - i) * sizeof(*t->entries));
}

bool pt_next(paddr_t pt, uint64_t *va, uint64_t end, paddr_t *pa, uint32_t *flags)
{
	struct fake_table *t = table_of(pt);
	size_t i = entry_at(t, *va);

	if (i == t->count || t->entries[i].va >= end)
		return false;
	*va = t->entries[i].va;
	*pa = t->entries[i].pa;
	*flags = t->entries[i].flags;
	return true;
}

void tlb_flush(struct space *s, uint64_t start, uint64_t end)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < fake_stale; i++) {
		if (stale[i].pt != s->page_table || stale[i].va < start || stale[i].va >= end)
			stale[kept++] = stale[i];
		else if (!(stale[i].flags & PT_PHYSICAL))
			KASSERT(frame_struct(stale[i].pa)->state == FRAME_USED);
	}
	fake_stale = kept;
}

bool tlb_forget(struct space *s)
{
	return table_of(s->page_table)->forgotten = true;
}

void arch_space_gone(struct space *s)
{
	(void)s;
}

uint64_t arch_time_ns(void)
{
	return 0;
}
