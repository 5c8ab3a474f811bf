/* SPDX-License-Identifier: BSD-2-Clause */
/* See fake_sched.h. */
#include "kernel/core/port.h"
#include "kernel/core/trace.h"
#include "kernel/core/span.h"
#include "kernel/core/device.h"
#include "kernel/core/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK_BYTES (256u << 10)

void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);

struct arch_thread {
	ucontext_t context;
	const void *stack;
	size_t size;
	void *asan;
	void (*first)(struct thread *t);
	struct thread *thread;
	struct x_regs regs;
};

struct cpu cpus[MAX_CPUS];
uint32_t cpu_count = FAKE_CPUS, cpus_online = FAKE_CPUS, fake_cpu, fake_threads, fake_blocking;
uint64_t fake_now = 1000, fake_allocations;
char *fake_arena;
void (*fake_user)(struct thread *t);

static uint32_t frame_pins[ARENA_PAGES];
static struct arch_thread driver; /* the test's own stack */
static struct waitq faults;
static uint64_t random_state;

uint32_t fake_random(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % below;
}

/* ---- fibers ---- */

static void fiber_switch(struct arch_thread *from, struct arch_thread *to, bool last)
{
	__sanitizer_start_switch_fiber(last ? NULL : &from->asan, to->stack, to->size);
	swapcontext(&from->context, &to->context);
	__sanitizer_finish_switch_fiber(from->asan, NULL, NULL);
}

static void enter_driver(void)
{
	fiber_switch(cpus[fake_cpu].current->arch, &driver, false);
}

static void idle_loop(void)
{
	for (;;) {
		schedule();
		if (this_cpu()->need_resched)
			continue;
		enter_driver();
		sched_tick();
	}
}

static void fiber_main(uint32_t high, uint32_t low)
{
	struct arch_thread *a = (struct arch_thread *)((uint64_t)high << 32 | low);
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(NULL, &bottom, &size);
	if (!driver.stack) { /* the first switch of all came from there */
		driver.stack = bottom;
		driver.size = size;
	}
	if (!a->first)
		idle_loop();
	a->first(a->thread);
	thread_return_to_user(a->thread->regs);
	fake_user(a->thread);
	panic("a thread came back from user mode");
}

int arch_thread_init(struct thread *t, void (*fn)(struct thread *t))
{
	struct arch_thread *a = calloc(1, sizeof(*a));

	a->size = STACK_BYTES;
	a->stack = malloc(a->size);
	a->first = fn;
	a->thread = t;
	getcontext(&a->context);
	a->context.uc_stack.ss_sp = (void *)a->stack;
	a->context.uc_stack.ss_size = a->size;
	makecontext(&a->context, (void (*)(void))fiber_main, 2, (uint32_t)((uint64_t)a >> 32), (uint32_t)(uint64_t)a);
	t->arch = a;
	t->regs = &a->regs;
	fake_threads++;
	return 0;
}

void arch_thread_destroy(struct thread *t)
{
	free((void *)t->arch->stack);
	free(t->arch);
	fake_threads--;
}

void arch_switch(struct thread *prev, struct thread *next)
{
	fiber_switch(prev->arch, next->arch, prev->state == THREAD_DEAD);
}

void fake_user_mode(void)
{
	enter_driver();
	if (fake_random(3) == 0)
		sched_tick();
	thread_return_to_user(current()->regs);
}

void fake_run(uint32_t turns)
{
	for (uint32_t i = 0; i < turns; i++) {
		fake_cpu = fake_random(FAKE_CPUS);
		fake_now += fake_random(100000);
		fiber_switch(&driver, cpus[fake_cpu].current->arch, false);
		if (fake_random(8) == 0)
			fake_faults_settle();
	}
}

void fake_sched_init(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	if (fake_arena)
		return; /* idle threads are still there */
	fake_arena = mmap(NULL, ARENA_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	waitq_init(&faults);
	futex_init();
	for (uint32_t i = 0; i < FAKE_CPUS; i++) {
		cpus[i].id = i;
		cpus[i].online = true;
		sched_init_cpu(i);
	}
	fake_threads = 0;
}

/* ---- user memory ---- */

static int fault(void)
{
	if (!fake_blocking || fake_random(fake_blocking))
		return 0;
	return thread_wait(&faults, X_FOREVER, 0) ? -X_EFAULT : 0;
}

void fake_faults_settle(void)
{
	waitq_wake_all(&faults, 0);
}

void robust_release(void) {} /* no thread here has a list */

int copy_from_user(void *dst, uint64_t src, size_t n)
{
	if (src < X_USER_MIN || fault())
		return -X_EFAULT;
	memcpy(dst, (const void *)src, n);
	if (n == offsetof(struct x_out, win) && fake_random(100) == 0) {
		/* another thread of the process writes to it */
		((struct x_out *)dst)->handle_count = fake_random(1000);
		((struct x_out *)dst)->win_count = fake_random(1000);
	}
	return 0;
}

int copy_to_user(uint64_t dst, const void *src, size_t n)
{
	if (dst < X_USER_MIN || fault())
		return -X_EFAULT;
	memcpy((void *)dst, src, n);
	return 0;
}

bool user_try_copy(void *dst, const void *src, size_t n)
{
	if (fake_blocking && fake_random(8) == 0)
		return false;
	memcpy(dst, src, n);
	return true;
}

bool user_try_message(struct x_msg *dst, uint64_t src)
{
	return src >= X_USER_MIN && user_try_copy(dst, (const void *)src, sizeof(*dst));
}

static uint32_t frame_index(paddr_t p)
{
	KASSERT(p >= (uint64_t)fake_arena && p < (uint64_t)fake_arena + ARENA_PAGES * PAGE_SIZE);
	return (p - (uint64_t)fake_arena) / PAGE_SIZE;
}

void frame_ref(paddr_t p)
{
	frame_pins[frame_index(p)]++;
}

void frame_unref(paddr_t p)
{
	KASSERT(frame_pins[frame_index(p)] > 0);
	frame_pins[frame_index(p)]--;
}

void frames_unref(const paddr_t *frames, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		frame_unref(frames[i]);
}

uint64_t fake_pins(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ARENA_PAGES; i++)
		sum += frame_pins[i];
	return sum;
}

uint64_t space_pin(struct space *s, uint64_t addr, uint64_t len, bool write, paddr_t *frames)
{
	uint64_t done = 0;

	(void)s;
	(void)write;
	for (uint32_t i = 0; done < len; i++) {
		uint64_t at = addr + done;

		if (at - (uint64_t)fake_arena >= ARENA_PAGES * PAGE_SIZE || fault())
			break;
		frames[i] = ALIGN_DOWN(at, PAGE_SIZE);
		frame_ref(frames[i]);
		done += MIN(len - done, PAGE_SIZE - at % PAGE_SIZE);
	}
	return done;
}

int space_identify(struct space *s, uint64_t addr, uint64_t *koid, uint64_t *offset)
{
	*koid = s->obj.koid;
	*offset = addr;
	return addr < X_USER_MIN ? -X_EFAULT : 0;
}

static void space_destroy(struct object *o)
{
	kfree(container_of(o, struct space, obj));
}

static const struct object_ops space_ops = { .destroy = space_destroy };

int space_create(bool wired, struct account *account, struct space **out)
{
	struct space *s = kzalloc(sizeof(*s));

	if (!s)
		return -X_ENOMEM;
	object_init(&s->obj, X_TYPE_SPACE, &space_ops);
	list_init(&s->regions);
	s->wired = wired;
	s->account = account;
	*out = s;
	return 0;
}

int space_clone(struct space *s, bool lend, struct account *account, struct space **out)
{
	(void)lend;
	return space_create(s->wired, account, out);
}
void space_clear(struct space *s, bool breathe) { (void)s, (void)breathe; }
void space_undo(struct space *s, uint32_t born) { (void)s, (void)born; }
bool syscall_may_defer(uint64_t number) { return number == X_SYS_proc_reset; }
int64_t syscall_deferred(uint64_t number, const uint64_t *args) { (void)number, (void)args; return 0; }

int space_fault(struct space *s, uint64_t addr, uint32_t access)
{
	(void)s;
	(void)addr;
	(void)access;
	return -X_EFAULT;
}

/* ---- the rest ---- */

uint64_t frame_total(void) { return 1u << 20; }
uint64_t (*frame_reclaim)(uint64_t want, const struct account *of);

/* In front of each: who pays, and how much. */
struct paid { struct account *payer; uint64_t bytes; };

void *kmalloc_for(struct account *payer, size_t bytes)
{
	struct paid *p = account_has_kernel(payer, bytes) ? malloc(sizeof(*p) + bytes) : NULL;

	if (!p)
		return NULL;
	fake_allocations++;
	account_add_kernel(payer, bytes);
	*p = (struct paid){ payer, bytes };
	return memset(p + 1, 0xa5, bytes); /* filled with something: memory that nobody cleared */
}

void *kzalloc_for(struct account *payer, size_t bytes)
{
	void *p = kmalloc_for(payer, bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

void *kzalloc(size_t bytes) { return kzalloc_for(current_process()->account, bytes); }
void *kmalloc(size_t bytes) { return kmalloc_for(current_process()->account, bytes); }

void kfree(void *at)
{
	struct paid *p = at ? (struct paid *)at - 1 : NULL;
	struct paid paid;

	if (!p)
		return;
	paid = *p;
	fake_allocations--;
	free(p);
	account_sub_kernel(paid.payer, paid.bytes);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	abort();
}

void klog(const char *fmt, ...) { (void)fmt; }
size_t strlcpy(char *d, const char *s, size_t size) { return (size_t)snprintf(d, size, "%s", s); }
void arch_timer_arm(uint64_t deadline_ns) { (void)deadline_ns; }
void arch_send_resched(uint32_t cpu) { cpus[cpu].need_resched = true; }
void arch_idle_wait(void) { }
void arch_read_bases(struct thread *t) { (void)t; }
void arch_thread_copy_fpu(struct thread *to, struct thread *from) { (void)to; (void)from; }
void arch_thread_upcalls(struct thread *t, uint64_t block) { (void)t; (void)block; }
uint32_t arch_backtrace(const struct x_regs *r, uint64_t *out, uint32_t max) { (void)r; (void)out; (void)max; return 0; }
void kernel_lock(void) { }
void kernel_unlock(void) { }
bool kernel_exclusive(void)
{
	this_cpu()->sharing = false;
	return true;
}
void tlb_service(void) { }

/* The other CPUs go on meanwhile. */
bool kernel_leave(uint64_t bytes)
{
	if (!bytes || !fake_blocking)
		return false;
	enter_driver();
	return true;
}

void kernel_return(bool left) { (void)left; }

static void memory_gone(struct object *o)
{
	kfree(container_of(o, struct memory, obj));
}

struct memory *fake_memory(void)
{
	static const struct object_ops ops = { .destroy = memory_gone };
	struct memory *m = kzalloc(sizeof(*m));

	object_init(&m->obj, X_TYPE_MEMORY, &ops);
	m->pages = ARENA_PAGES;
	return m;
}

int memory_page(struct memory *m, uint64_t index, paddr_t *frame)
{
	if (index >= m->pages)
		return -X_EINVAL;
	*frame = (paddr_t)fake_arena + index * PAGE_SIZE;
	frame_ref(*frame);
	return 0;
}

/* Nothing here has a pager that could be asked. */
uint64_t *memory_slot(const struct memory *m, uint64_t index) { (void)m; (void)index; return NULL; }
uint32_t memory_hold(struct memory *m, uint64_t index, uint32_t count, paddr_t *held) { return 0; }
void memory_ask(struct memory *m, uint64_t index) { (void)m; (void)index; }
int content_may_write(struct memory *m, uint64_t index) { (void)m; (void)index; return -X_EWAIT; }
void memory_pager_gone(struct memory *m) { list_remove(&m->pager_link); }
bool memory_denied_to_new(void) { return false; }
int content_hold(struct memory *m, uint64_t offset, uint64_t bytes, bool write, uint64_t state, struct span *s)
{
	(void)m, (void)offset, (void)bytes, (void)write, (void)state;
	s->bytes = s->count = 0;
	return -X_ENOMEM;
}
void device_process_died(struct process *p) { (void)p; }
int resource_check(uint32_t slot, uint32_t rights) { (void)slot; (void)rights; return 0; }

/* trace.c: there is none. */
struct trace_ring *trace_ring;
void trace_record(const struct call *c, enum trace_kind kind) { (void)c; (void)kind; }
