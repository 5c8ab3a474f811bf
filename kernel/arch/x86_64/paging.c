/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables: four levels, 4 KiB user pages. The kernel half is built once;
 * all of its top-level entries exist from then on and are copied into every
 * new table, so that kernel mappings made later appear in all spaces.
 *
 * Kernel half: 0xffff8000... direct map of RAM; 0xffffff00... kernel stacks,
 * each above an unmapped page; 0xffffff40... devices; 0xffffffff8... image.
 */
#include "x86.h"

paddr_t kernel_pml4;

#define LEVELS 4
static inline uint32_t slot(uint64_t va, uint32_t level) { return va >> (12 + 9 * level) & 511; }
static inline uint64_t *table(uint64_t entry) { return phys_to_virt(entry & PTE_FRAME); }

/*
 * The struct frames of table pages hold what makes walks and the end short: all
 * tables of a space are chained by `next`, from the top level on, the newest first.
 * Of each, `order` is its level, and `prev` the number of the first 2 MiB that were
 * mapped through it. The top level's `prev` is the bottom table used last: the next
 * page asked for is mostly near.
 */
#define BOTTOM_SHIFT 21

/* Who pays for the tables stands in the top level, as an entry that is not present. */
#define PAYER_SLOT 320u
static inline struct account **payer_of(paddr_t pt) { return (struct account **)phys_to_virt(pt) + PAYER_SLOT; }

static paddr_t page_for(struct account *payer)
{
	paddr_t page = account_has_kernel(payer, PAGE_SIZE) ? frame_alloc(FRAME_ZERO) : NO_FRAME;

	if (page != NO_FRAME)
		account_add_kernel(payer, PAGE_SIZE);
	return page;
}

static paddr_t table_alloc(paddr_t pt, uint64_t va, uint32_t level)
{
	paddr_t page = page_for(*payer_of(pt));
	struct frame *root = frame_struct(pt), *f;

	if (page == NO_FRAME)
		return NO_FRAME;
	f = frame_struct(page);
	f->order = (uint8_t)level;
	f->prev = (uint32_t)(va >> BOTTOM_SHIFT);
	f->next = root->next;
	root->next = (uint32_t)(page >> 12);
	return page;
}

static __attribute__((noinline)) uint64_t *walk_down(paddr_t pt, uint64_t va, bool create, uint64_t table_flags)
{
	struct frame *root = frame_struct(pt);
	uint64_t *t = phys_to_virt(pt), e;

	for (uint32_t level = LEVELS - 1; level > 0; level--) {
		e = t[slot(va, level)];
		if (!(e & PTE_PRESENT)) {
			paddr_t page = create ? table_alloc(pt, va, level - 1) : NO_FRAME;

			if (page == NO_FRAME)
				return NULL;
			e = page | table_flags | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
			t[slot(va, level)] = e;
		} else if (e & PTE_LARGE) {
			return NULL;
		}
		t = table(e);
	}
	root->prev = (uint32_t)(virt_to_phys(t) >> 12);
	return &t[slot(va, 0)];
}

/* The 4 KiB entry of va, making tables on the way if `create`; or NULL. */
static inline uint64_t *walk(paddr_t pt, uint64_t va, bool create, uint64_t table_flags)
{
	uint32_t near = frames[pt >> 12].prev;

	if (near && frames[near].prev == (uint32_t)(va >> BOTTOM_SHIFT))
		return (uint64_t *)phys_to_virt((paddr_t)near << 12) + slot(va, 0);
	return walk_down(pt, va, create, table_flags);
}

/* A new top level, empty. */
static paddr_t root_alloc(struct account *payer)
{
	paddr_t pt = page_for(payer);

	if (pt == NO_FRAME)
		return NO_FRAME;
	frame_struct(pt)->next = frame_struct(pt)->prev = 0;
	*payer_of(pt) = payer;
	return pt;
}

/* PT_* flags are an entry's bits where they are, those of its upper half moved down
 * by 32; but for PT_EXEC, which is the opposite of PTE_NX. */
#define PT_LOW  (PT_WRITE | PT_UNCACHED | PT_ANON | PT_COW | PT_PHYSICAL)
#define PT_HIGH (PT_NOACCESS | PT_CLEAN | PT_EXEC)
_Static_assert(PT_LOW == (PTE_WRITE | PTE_UNCACHED | PTE_ANON | PTE_COW | PTE_PHYSICAL) &&
	       (uint64_t)PT_NOACCESS << 32 == PTE_NOACCESS && (uint64_t)PT_CLEAN << 32 == PTE_CLEAN &&
	       (uint64_t)PT_EXEC << 32 == PTE_NX, "PT_* as PTE_*");

static inline uint64_t entry_of(paddr_t pa, uint32_t flags)
{
	uint64_t e = (pa & PTE_FRAME) | PTE_ACCESSED | (flags & PT_LOW) | (uint64_t)(flags & PT_HIGH) << 32;

	if (flags & PT_WRITE)
		e |= PTE_DIRTY;
	if (!(flags & PT_NOACCESS))
		e |= PTE_PRESENT;
	return e ^ PTE_NX;
}

static inline void decode(uint64_t e, paddr_t *pa, uint32_t *flags)
{
	*pa = e & PTE_FRAME;
	*flags = (e & PT_LOW) | ((e ^ PTE_NX) >> 32 & PT_HIGH);
}

/* ---------------------------------------------------------- user spaces */

/* The top level's entries of the kernel: these, from arch_init_memory() on. */
static uint32_t kernel_slots[8], kernel_slot_count;

paddr_t pt_create(struct account *payer)
{
	paddr_t pt = root_alloc(payer);
	const uint64_t *kernel = phys_to_virt(kernel_pml4);

	for (uint32_t i = 0; pt != NO_FRAME && i < kernel_slot_count; i++)
		((uint64_t *)phys_to_virt(pt))[kernel_slots[i]] = kernel[kernel_slots[i]];
	return pt;
}

/* The entry of a table in the one above it. */
static uint64_t *entry_above(paddr_t pt, const struct frame *f)
{
	uint64_t *t = phys_to_virt(pt), va = (uint64_t)f->prev << BOTTOM_SHIFT;
	uint32_t level = LEVELS - 1;

	for (; level > f->order + 1u; level--)
		t = table(t[slot(va, level)]);
	return &t[slot(va, level)];
}

/* No page is mapped any more, and each table goes before the one above it: what is
 * given back is zero, as the next space wants its tables. */
static void free_tables(paddr_t pt)
{
	uint64_t *top = phys_to_virt(pt), bytes = PAGE_SIZE;
	struct account *payer = *payer_of(pt);

	for (uint32_t pfn = frame_struct(pt)->next; pfn;) {
		uint32_t next = frames[pfn].next;

		*entry_above(pt, &frames[pfn]) = 0;
		frame_unref_zeroed((paddr_t)pfn << 12);
		bytes += PAGE_SIZE;
		pfn = next;
	}
	*payer_of(pt) = NULL;
	for (uint32_t i = 0; i < kernel_slot_count; i++)
		top[kernel_slots[i]] = 0;
	frame_unref_zeroed(pt);
	account_sub_kernel(payer, bytes);
}

static bool pt_loaded(const struct cpu *c, paddr_t pt)
{
	return c->arch && (cpu_arch(c)->loaded_pt == pt || cpu_arch(c)->leaving_pt == pt);
}

/* An idle CPU may still have the table in CR3, walking it for kernel addresses, as may
 * one that is about to load another. Waking it only for that would be dear: the tables
 * are freed when the last CPU that has them loaded has gone on to others. */
void pt_destroy(paddr_t pt)
{
	bool loaded = false;

	for (uint32_t i = 0; i < cpu_count; i++)
		if (pt_loaded(&cpus[i], pt))
			loaded = cpu_arch(&cpus[i])->left_is_orphan = true;
	if (!loaded)
		free_tables(pt);
}

void pt_free_orphan(struct cpu *c)
{
	paddr_t old = cpu_arch(c)->leaving_pt;

	cpu_arch(c)->leaving_pt = 0;
	cpu_arch(c)->left_is_orphan = false;
	for (uint32_t i = 0; i < cpu_count; i++)
		if (pt_loaded(&cpus[i], old))
			return;
	free_tables(old);
}

int pt_map(paddr_t pt, uint64_t va, paddr_t pa, uint32_t flags)
{
	uint64_t *e = walk(pt, va, true, PTE_USER);

	if (!e)
		return -X_ENOMEM;
	*(volatile uint64_t *)e = entry_of(pa, flags) | PTE_USER;
	return 0;
}

bool pt_get(paddr_t pt, uint64_t va, paddr_t *pa, uint32_t *flags)
{
	uint64_t *e = walk(pt, va, false, 0);

	if (!e || !(*e & (PTE_PRESENT | PTE_NOACCESS)))
		return false;
	decode(*e, pa, flags);
	return true;
}

void pt_clear(paddr_t pt, uint64_t va)
{
	uint64_t *e = walk(pt, va, false, 0);

	if (e)
		*(volatile uint64_t *)e = 0;
}

/* The end of what has no bottom table around va. */
static uint64_t hole_end(paddr_t pt, uint64_t va)
{
	const uint64_t *t = phys_to_virt(pt);
	uint32_t level = LEVELS - 1;

	while (level > 0 && (t[slot(va, level)] & PTE_PRESENT))
		t = table(t[slot(va, level--)]);
	return ALIGN_DOWN(va, 1ull << (12 + 9 * level)) + (1ull << (12 + 9 * level));
}

bool pt_next(paddr_t pt, uint64_t *va, uint64_t end, paddr_t *pa, uint32_t *flags)
{
	uint64_t v = ALIGN_DOWN(*va, PAGE_SIZE);

	while (v < end) {
		const uint64_t *e = walk(pt, v, false, 0);
		uint64_t stop = MIN(end, ALIGN_DOWN(v, 1ull << BOTTOM_SHIFT) + (1ull << BOTTOM_SHIFT));

		if (!e) {
			v = hole_end(pt, v);
			continue;
		}
		while (v + 8 * PAGE_SIZE <= stop && !(e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7])) {
			v += 8 * PAGE_SIZE;
			e += 8;
		}
		while (v < stop && !*e) {
			v += PAGE_SIZE;
			e++;
		}
		if (v < stop) {
			*va = v;
			decode(*e, pa, flags);
			return true;
		}
	}
	return false;
}

/* -------------------------------------------------------- kernel mappings */

static bool map_kernel_page(uint64_t va, paddr_t pa, uint32_t flags)
{
	uint64_t *e = walk(kernel_pml4, va, true, 0);

	if (!e)
		return false;
	*(volatile uint64_t *)e = entry_of(pa, flags) | PTE_GLOBAL;
	return true;
}

static void map_image(const char *start, const char *end, uint32_t flags)
{
	for (uint64_t va = (uint64_t)start; va < (uint64_t)end; va += PAGE_SIZE)
		if (va != (uint64_t)boot_stack_guard && !map_kernel_page(va, va - KERNEL_BASE, flags))
			panic("no memory for the kernel's page tables");
}

void arch_init_memory(void)
{
	uint64_t *top;

	kernel_pml4 = root_alloc(&kernel_account);
	if (kernel_pml4 == NO_FRAME)
		panic("no memory for the kernel's page tables");
	top = phys_to_virt(kernel_pml4);
	top[256] = ((uint64_t)boot_pdpt - KERNEL_BASE) | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_NX;
	map_image(text_start, text_end, PT_EXEC);
	map_image(rodata_start, rodata_end, 0);
	map_image(data_start, kernel_end, PT_WRITE);
	/* One entry (510) serves stacks and devices: it must exist before pt_create(). */
	if (!walk(kernel_pml4, KSTACK_BASE, true, 0))
		panic("no memory for the kernel's page tables");
	for (uint32_t i = 256; i < 512; i++) {
		if (!(top[i] & PTE_PRESENT))
			continue;
		KASSERT(kernel_slot_count < ARRAY_SIZE(kernel_slots));
		kernel_slots[kernel_slot_count++] = i;
	}
	write_cr3(kernel_pml4);
	cpu_arch(&cpus[0])->loaded_pt = kernel_pml4;
}

void *arch_map_device(paddr_t base, uint64_t bytes)
{
	static uint64_t next = DEVICE_BASE;
	uint64_t first = ALIGN_DOWN(base, PAGE_SIZE);
	uint64_t size = ALIGN_UP(base + bytes, PAGE_SIZE) - first;
	uint64_t va = next;

	if (base + bytes < base || size > DEVICE_END - next)
		return NULL;
	next += size + PAGE_SIZE;
	for (uint64_t o = 0; o < size; o += PAGE_SIZE)
		if (!map_kernel_page(va + o, first + o, PT_WRITE | PT_UNCACHED))
			return NULL;
	return (void *)(va + (base - first));
}

/* Stacks are never unmapped, so no CPU can have a stale translation; free ones
 * wait in a list that is threaded through them. */
static void *free_kstacks;
static uint64_t kstacks_made;

void *kstack_alloc(void)
{
	void *stack = free_kstacks;
	uint64_t va = KSTACK_BASE + kstacks_made * 2 * KSTACK_SIZE + KSTACK_SIZE;

	if (stack) {
		free_kstacks = *(void **)stack;
		return stack;
	}
	for (uint64_t o = 0; o < KSTACK_SIZE; o += PAGE_SIZE) {
		uint64_t *e = walk(kernel_pml4, va + o, true, 0);
		paddr_t page = NO_FRAME;

		if (e && (*e & PTE_PRESENT)) /* left by an attempt that ran out of memory */
			continue;
		if (e)
			page = frame_alloc(0);
		if (page == NO_FRAME)
			return NULL;
		map_kernel_page(va + o, page, PT_WRITE);
	}
	kstacks_made++;
	return (void *)va;
}

void kstack_free(void *stack)
{
	*(void **)stack = free_kstacks;
	free_kstacks = stack;
}

bool peek64(paddr_t pt, uint64_t va, uint64_t *value)
{
	const uint64_t *t = phys_to_virt(pt);
	uint32_t level = LEVELS - 1;
	uint64_t e = t[slot(va, level)], offset;

	if (va & 7)
		return false;
	while ((e & PTE_PRESENT) && level > 0 && !(e & PTE_LARGE))
		e = table(e)[slot(va, --level)];
	if (!(e & PTE_PRESENT) || (e & PTE_UNCACHED))
		return false;
	offset = va & ((1ull << (12 + 9 * level)) - 1);
	e = ALIGN_DOWN(e & PTE_FRAME, 1ull << (12 + 9 * level)) + offset;
	if (e >= direct_map_end)
		return false;
	*value = *(uint64_t *)phys_to_virt(e);
	return true;
}
