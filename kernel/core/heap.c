/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel heap: slabs of one page for sizes up to 2 KiB, runs of pages above.
 *
 * A slab has no header: its state is in the struct frame of its page (size
 * class, first free object, objects in use, links of the list of slabs with
 * room), so all objects are aligned to 16 bytes. A free object holds the offset of
 * the next one and a mark, which catches double frees and stores after free. At
 * the page's end is, of each object, the account that it is charged to.
 * Called under the kernel lock; never blocks.
 */
#include "thread.h"
#include "kernel/arch/x86_64/arch.h"

#define PAGE_SHIFT 12
#define SLAB_MAX   2032u
#define NO_OFFSET  0xffffu
#define FREE_MARK  0x5c3a1e0ff0e1a3c5ull

static const uint16_t class_bytes[] = {
	16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 672, 1008, 1344, 2032,
};
#define CLASS_COUNT ARRAY_SIZE(class_bytes)

struct free_object {
	uint64_t next;  /* offset in the page, or NO_OFFSET */
	uint64_t mark;  /* FREE_MARK ^ own address */
};

static uint8_t class_by_units[SLAB_MAX / 16 + 1]; /* by size in 16-byte units */
static uint32_t partial[CLASS_COUNT];             /* frame numbers of slabs with room */
static uint64_t heap_bytes;

static uint32_t pfn_of(const void *p)
{
	return (uint32_t)(virt_to_phys(p) >> PAGE_SHIFT);
}

static struct frame *frame_by_pfn(uint32_t pfn)
{
	return frame_struct((paddr_t)pfn << PAGE_SHIFT);
}

static void init_classes(void)
{
	uint32_t class = 0;

	for (uint32_t units = 0; units < ARRAY_SIZE(class_by_units); units++) {
		if (units * 16 > class_bytes[class])
			class++;
		class_by_units[units] = (uint8_t)class;
	}
}

/* ---- the list of slabs with room, by class ---- */

static void partial_add(uint32_t pfn, struct frame *f)
{
	f->prev = 0;
	f->next = partial[f->order];
	if (f->next != 0)
		frame_by_pfn(f->next)->prev = pfn;
	partial[f->order] = pfn;
}

static void partial_remove(struct frame *f)
{
	if (f->prev != 0)
		frame_by_pfn(f->prev)->next = f->next;
	else
		partial[f->order] = f->next;
	if (f->next != 0)
		frame_by_pfn(f->next)->prev = f->prev;
}

/* ---- slabs ---- */

/* Where it says whose the object is. */
static struct account **payer_of(const char *page, uint32_t index)
{
	return (struct account **)(page + PAGE_SIZE) - 1 - index;
}

static void object_make_free(char *page, struct frame *f, uint32_t offset)
{
	struct free_object *o = (struct free_object *)(page + offset);

	o->next = f->slab_free;
	o->mark = FREE_MARK ^ (uint64_t)o;
	f->slab_free = (uint16_t)offset;
}

static bool slab_create(uint32_t class)
{
	paddr_t p = frame_alloc(0);
	uint32_t bytes = class_bytes[class];
	struct frame *f;

	if (p == NO_FRAME)
		return false;
	f = frame_struct(p);
	f->state = FRAME_SLAB;
	f->order = (uint8_t)class;
	f->slab_used = 0;
	f->slab_free = NO_OFFSET;
	for (uint32_t i = PAGE_SIZE / (bytes + sizeof(struct account *)); i-- > 0;)
		object_make_free(phys_to_virt(p), f, i * bytes);
	partial_add((uint32_t)(p >> PAGE_SHIFT), f);
	return true;
}

static void frame_give_back(paddr_t p, struct frame *f)
{
	f->state = FRAME_USED;
	f->refs = 1;
	frame_unref(p);
}

/* Of what is left programs get nothing. */
static bool reserved_from(const struct account *payer)
{
	return payer->program && memory_denied_to_new();
}

static void *slab_alloc(struct account *payer, uint32_t class)
{
	uint32_t bytes = class_bytes[class];
	struct free_object *o;
	struct frame *f;
	char *page;

	if (!account_has_kernel(payer, bytes) && !account_make_room(payer, bytes))
		return NULL;
	if (partial[class] == 0 && (reserved_from(payer) || !slab_create(class)))
		return NULL;
	f = frame_by_pfn(partial[class]);
	page = phys_to_virt((paddr_t)partial[class] << PAGE_SHIFT);
	o = (struct free_object *)(page + f->slab_free);
	KASSERT(o->mark == (FREE_MARK ^ (uint64_t)o)); /* else: stored to after kfree */
	*payer_of(page, f->slab_free / bytes) = payer;
	account_add_kernel(payer, bytes);
	f->slab_free = (uint16_t)o->next;
	f->slab_used++;
	if (f->slab_free == NO_OFFSET)
		partial_remove(f);
	o->mark = 0;
	heap_bytes += bytes;
	return o;
}

/* The mark may be there by chance: look for the object among the free ones. */
static bool slab_is_free(struct frame *f, char *page, uint32_t offset)
{
	for (uint32_t o = f->slab_free; o != NO_OFFSET;
	     o = (uint16_t)((struct free_object *)(page + o))->next)
		if (o == offset)
			return true;
	return false;
}

static void slab_release(void *p, struct frame *f)
{
	uint32_t pfn = pfn_of(p), bytes = class_bytes[f->order];
	char *page = phys_to_virt((paddr_t)pfn << PAGE_SHIFT);
	uint32_t offset = (uint32_t)((char *)p - page);
	bool was_full = f->slab_free == NO_OFFSET;
	struct account *payer = *payer_of(page, offset / bytes);

	KASSERT(offset % bytes == 0 && f->slab_used > 0);
	if (((struct free_object *)p)->mark == (FREE_MARK ^ (uint64_t)p))
		KASSERT(!slab_is_free(f, page, offset)); /* double free */
	object_make_free(page, f, offset);
	f->slab_used--;
	heap_bytes -= bytes;
	if (was_full)
		partial_add(pfn, f);
	/* Keep one empty slab a class. */
	if (f->slab_used == 0 && (f->next != 0 || f->prev != 0)) {
		partial_remove(f);
		frame_give_back((paddr_t)pfn << PAGE_SHIFT, f);
	}
	account_sub_kernel(payer, bytes);
}

/* ---- runs of pages ---- */

static void *run_alloc(struct account *payer, size_t bytes)
{
	uint64_t pages = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
	bool has = account_has_kernel(payer, pages << PAGE_SHIFT) || account_make_room(payer, pages << PAGE_SHIFT);
	paddr_t p = has && !reserved_from(payer) ? frame_alloc_run(pages, PAGE_SIZE, 0) : NO_FRAME;
	struct frame *f;

	if (p == NO_FRAME)
		return NULL;
	f = frame_struct(p);
	f->state = FRAME_HEAP_RUN;
	f->refs = (uint32_t)pages;
	f->payer = payer;
	account_add_kernel(payer, pages << PAGE_SHIFT);
	heap_bytes += pages << PAGE_SHIFT;
	return phys_to_virt(p);
}

static void run_release(paddr_t p, struct frame *f)
{
	uint64_t pages = f->refs;
	struct account *payer = f->payer;

	KASSERT(p % PAGE_SIZE == 0);
	heap_bytes -= pages << PAGE_SHIFT;
	frame_give_back(p, f);
	for (uint64_t i = 1; i < pages; i++)
		frame_unref(p + (i << PAGE_SHIFT));
	account_sub_kernel(payer, pages << PAGE_SHIFT);
}

/* ---- the interface ---- */

void *kmalloc_for(struct account *payer, size_t bytes)
{
	if (class_by_units[ARRAY_SIZE(class_by_units) - 1] == 0)
		init_classes();
	if (bytes > SLAB_MAX)
		return bytes > (1ull << 40) ? NULL : run_alloc(payer, bytes);
	return slab_alloc(payer, class_by_units[(bytes + 15) / 16]);
}

void *kzalloc_for(struct account *payer, size_t bytes)
{
	void *p = kmalloc_for(payer, bytes);

	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

void *kmalloc(size_t bytes)
{
	return kmalloc_for(current_process()->account, bytes);
}

void *kzalloc(size_t bytes)
{
	return kzalloc_for(current_process()->account, bytes);
}

void kfree(void *p)
{
	struct frame *f;

	if (p == NULL)
		return;
	f = frame_struct(virt_to_phys(p));
	KASSERT(f != NULL && (f->state == FRAME_SLAB || f->state == FRAME_HEAP_RUN));
	if (f->state == FRAME_SLAB)
		slab_release(p, f);
	else
		run_release(virt_to_phys(p), f);
}

uint64_t kheap_bytes(void)
{
	return heap_bytes;
}
