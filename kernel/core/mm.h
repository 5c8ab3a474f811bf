/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: frames, the kernel heap, memory objects, address spaces.
 *
 * All physical memory is mapped at DIRECT_MAP_BASE (large pages, no-execute).
 * Private anonymous pages live only in page tables; a frame's `refs` counts
 * the page tables, memory objects, window pins and DMA pins that hold it. A
 * write fault on a private page with refs > 1 copies it.
 */
#ifndef MM_H
#define MM_H

#include "account.h"
#include "object.h"

typedef uint64_t paddr_t;
#define PAGE_SIZE X_PAGE_SIZE
#ifndef DIRECT_MAP_BASE /* unit tests put "physical" memory elsewhere */
#define DIRECT_MAP_BASE 0xffff800000000000ull
#endif
#define NO_FRAME 0ull /* frame 0 is never given out */

static inline void *phys_to_virt(paddr_t p) { return (void *)(p + DIRECT_MAP_BASE); }
static inline paddr_t virt_to_phys(const void *v) { return (uint64_t)v - DIRECT_MAP_BASE; }

/* ---- frames (frame.c): buddy, zones < 16 MiB, < 4 GiB, rest ---- */
#define FRAME_ZERO      1u
#define FRAME_BELOW_4G  2u
#define FRAME_BELOW_16M 4u
void frame_init(void);                                 /* from boot_info */
paddr_t frame_alloc(uint32_t flags);                   /* refs = 1, or NO_FRAME */
/* count contiguous frames, each refs = 1, start aligned to align bytes (power of two) */
paddr_t frame_alloc_run(uint64_t count, uint64_t align, uint32_t flags);
void frame_ref(paddr_t p);
void frame_unref(paddr_t p);                           /* frees at 0 */
void frames_unref(const paddr_t *p, uint32_t count);
void frame_unref_zeroed(paddr_t p);                    /* the last reference to what is all zero */
uint32_t frame_refs(paddr_t p);
bool frame_is_ram(paddr_t p);                          /* usable RAM or the boot archive */
uint64_t frame_total(void), frame_free_count(void);
bool frames_low(void); /* few are free */
/* Called when few are free, or there is no room in account `of` (else NULL): frames given back. */
extern uint64_t (*frame_reclaim)(uint64_t want, const struct account *of);

/* One per page of RAM. The heap tags its pages through it (heap.c). */
enum frame_state { FRAME_ABSENT, FRAME_RESERVED, FRAME_FREE, FRAME_FREE_TAIL, FRAME_USED,
		   FRAME_CACHED, FRAME_SLAB, FRAME_HEAP_RUN };
struct frame {
	union {
		uint32_t refs;
		struct { uint16_t slab_free, slab_used; }; /* first free offset, objects in use */
	};
	uint8_t state;            /* enum frame_state */
	uint8_t order;            /* free block: log2 of its pages; slab: size class */
	uint16_t reserved;
	union {
		struct { uint32_t next, prev; }; /* frame numbers: free list or partial slabs;
						    page tables: see paging.c */
		struct account *payer;    /* heap run; `refs` is its pages */
	};
};
extern struct frame *frames;                           /* by frame number, below frame_limit */
extern uint64_t frame_limit;
static inline struct frame *frame_struct(paddr_t p)    /* NULL: beyond RAM */
{
	return p >> 12 < frame_limit ? &frames[p >> 12] : NULL;
}

/* ---- kernel heap (heap.c): slabs by size class up to 2 KiB, then page runs ---- */
void *kmalloc_for(struct account *payer, size_t bytes); /* NULL: out of memory, or over its limit */
void *kzalloc_for(struct account *payer, size_t bytes);
void *kmalloc(size_t bytes);  /* for the current process */
void *kzalloc(size_t bytes);
void kfree(void *p);          /* NULL is harmless */
uint64_t kheap_bytes(void);   /* in use, for leak checks */

/* ---- memory objects (memory.c) ---- */
struct waitq;
struct memory {
	struct object obj;
	struct account *account;  /* its maker's */
	uint64_t pages;
	uint32_t flags;           /* X_MEM_* */
	void *root;               /* radix tree page index -> frame */
	uint32_t root_levels;
	paddr_t physical_base;    /* x_memory_physical objects: not RAM-owned; else 0 */
	paddr_t run_base;         /* X_MEM_CONTIGUOUS: its one run; there is no tree */
	bool physical, cached;
	struct port *pager;       /* X_MEM_PAGED; not a reference: NULL once the port is gone or reset */
	uint64_t pager_id;
	struct list pager_link;   /* port->paged, from memory_create to memory_pager_gone */
	struct list waiters;      /* threads waiting for a page (struct thread.wait_link) */
	struct list requests;     /* page requests not yet supplied */
	uint64_t resident;
	/* X_MEM_PAGED: content.c */
	uint64_t capacity;        /* most pages; `pages` follows the content's size */
	uint64_t content;         /* bytes */
	uint64_t dirty;           /* pages */
	uint64_t dirty_first, dirty_last; /* while dirty > 0: none is outside */
	uint64_t read_ns, written_ns;
	bool ask_writes;          /* X_CONTENT_ASK */
	uint64_t clock, mapped_clock; /* where reclaim goes on */
	struct list dirty_link;   /* port->dirty while dirty > 0 */
	struct list reclaim_link; /* all paged objects */
	struct list mappings;     /* struct region.mapping_link */
};

/* A leaf slot of a paged object's tree: the frame and, below it, the page's state. */
#define PAGE_BACKED 1ull
#define PAGE_DIRTY  2ull
#define PAGE_USED   4ull          /* since reclaim came by last */
#define PAGE_PIN    16ull         /* one of up to PAGE_PINS */
#define PAGE_PINS   (7 * PAGE_PIN)
#define PAGE_STATE  (PAGE_SIZE - 1ull)
/* The slot of a resident page, or NULL. */
uint64_t *memory_slot(const struct memory *m, uint64_t index);
/* References to the frames of resident pages from index on, no more than count, up to the first
 * that is missing; they count as used. How many; 0 of objects without a tree. */
uint32_t memory_hold(struct memory *m, uint64_t index, uint32_t count, paddr_t *held);
/* The first resident page at or after *index, or NULL. */
uint64_t *memory_next(const struct memory *m, uint64_t *index);
/* The pager is asked for a page and its neighbours, if nobody did so yet. */
void memory_ask(struct memory *m, uint64_t index);
/* Blocks until the pager has let the page be written, or refused: 0 means look again. */
int memory_wait_writable(struct memory *m, uint64_t index);
/* Requests for pages in [first, end) come to nothing. */
void memory_fail_requests(struct memory *m, uint64_t first, uint64_t end);

/* ---- the content of paged objects (content.c) ---- */
/* About to write to a resident page: it is dirty now (0), or the pager must be
 * asked first (-X_EWAIT). Always 0 for an object without pager. */
int content_may_write(struct memory *m, uint64_t index);
void content_mark_dirty(struct memory *m, uint64_t *slot, uint64_t index);
void content_forget(struct memory *m);    /* the pager goes: nothing is dirty any more */
void content_init(struct memory *m);
void content_destroy(struct memory *m);
int64_t content_control(struct memory *m, uint32_t op, uint64_t offset, uint64_t len);
int64_t content_clean(struct memory *m, struct x_dirty *d);
/* The page for a write by its pager: made if it is missing, dirty from now on. */
int content_page(struct memory *m, uint64_t index, uint64_t state, paddr_t *frame);
struct span;
/* Hold pages of the content: those that are there; write: made as by content_page().
 * Cut at the first that is not to be had, and why, if that is an error. */
int content_hold(struct memory *m, uint64_t offset, uint64_t bytes, bool write, uint64_t state, struct span *s);
/* Takes back about `want` pages; returns how many. */
uint64_t memory_reclaim(uint64_t want, const struct account *of);
/* The same of pages whether they are mapped or not: for who keeps no entry of a page table in mind. */
uint64_t memory_reclaim_mapped(uint64_t want);
bool memory_files_are_many(void); /* so many clean pages that they are to go first */
/*
 * Asked of a pager, not yet supplied. Allocated by memory.c, which gives it to
 * the port by port_post_page (item_link) and frees it, unlinking it from the
 * port first, once every page has been supplied or failed or the pager is
 * gone. When the port unlinks it, it leaves item_link initialised.
 */
#define PAGE_CLUSTER 16u          /* most pages asked for, or mapped around, at once */
struct page_request {
	struct list item_link;    /* port's item queue */
	struct memory *memory;
	uint64_t offset, bytes;
	struct list link;         /* memory->requests */
	/* memory.c */
	uint32_t missing, failed; /* bit i: page i of the request */
	uint32_t users;           /* threads that look at it when they wake */
	int status;               /* why `failed` failed */
	bool finished;            /* off the list; the last user frees it */
	bool write;               /* wanted: the right to write to a page */
};
int memory_create(const struct x_mem_create *c, struct port *pager, struct memory **out);
int memory_create_physical(paddr_t base, uint64_t bytes, bool cached, struct memory **out);
/* Frame of a page, populating it (demand zero, or by asking the pager and
 * blocking, killable). Gives a reference on the frame for RAM. Errors:
 * -X_EINVAL beyond the end, -X_ENOMEM, -X_EIO pager failed or gone, -X_EINTR killed. */
int memory_page(struct memory *m, uint64_t index, paddr_t *frame);
int memory_page_if_present(struct memory *m, uint64_t index, paddr_t *frame); /* -X_EWAIT if not */
/* Copy between a memory object and a user buffer of the current process. */
int memory_copy(struct memory *m, uint64_t offset, uint64_t user, uint64_t len, bool write);
int memory_supply(struct memory *m, uint64_t offset, uint64_t user_src, uint64_t len, int status);
void memory_pager_gone(struct memory *m);              /* port reset or port destroyed */

/* ---- address spaces (space.c) ---- */
struct region {
	struct list link;         /* space->regions, by address, not overlapping */
	uint64_t start, end;      /* page aligned */
	uint32_t prot;            /* X_PROT_* */
	uint32_t flags;           /* X_MAP_PRIVATE|WIRED|GROWSDOWN|PERSONALITY */
	uint32_t max_prot;        /* what space_protect may raise prot to */
	struct memory *memory;    /* NULL: anonymous private */
	struct space *space;      /* that it is in; not a reference */
	struct list mapping_link; /* memory->mappings, if that is paged */
	uint64_t offset;          /* bytes, of start, into memory */
	uint32_t born;            /* its process's `commits` when it was mapped; 0: another mapped it */
};
struct space {
	struct object obj;
	struct list regions;
	struct region *last_hit;
	paddr_t page_table;       /* top level */
	uint64_t tlb_generation;  /* arch: advanced by every shoot-down */
	uint64_t cpus_active;     /* arch: bit per CPU with it loaded and running */
	bool wired;               /* native process: mappings are populated at once */
	struct account *account;
	uint64_t resident_pages;
	uint64_t peak_pages;      /* of resident_pages, when some went */
	uint32_t region_count;
	uint64_t map_hint;
	struct space *lender;     /* whose private pages it uses, where REGION_LENT; a reference */
};
/* Before pages go. */
static inline void space_note_peak(struct space *s) { s->peak_pages = MAX(s->peak_pages, s->resident_pages); }
/* Its account has no room for a page, or for a table to map that with. */
static inline bool space_full(const struct space *s) { return !account_has_kernel(s->account, PAGE_SIZE); }
int space_create(bool wired, struct account *account, struct space **out);
/*
 * m has been copied in and its handles resolved; mem is borrowed. The system
 * call checks that prot <= 7 and that the handle's rights cover it, then may
 * or SPACE_MAX_PROT(everything those rights allow) into m->prot; without it a
 * shared mapping can never be raised above its first protection.
 * Errors: -X_EINVAL (range, alignment, personality's region without
 * X_MAP_PERSONALITY), -X_EEXIST, -X_ENOMEM, -X_EPERM (W^X), and for wired
 * mappings those of memory_page. Returns the address.
 */
#define SPACE_MAX_PROT(prot) ((uint32_t)(prot) << 8)
int64_t space_map(struct space *s, const struct x_mem_map *m, struct memory *mem);
/* These refuse (-X_EINVAL) the personality's region of the current space. */
int space_unmap(struct space *s, uint64_t addr, uint64_t len);
int space_protect(struct space *s, uint64_t addr, uint64_t len, uint32_t prot);
int space_advise(struct space *s, uint64_t addr, uint64_t len, uint32_t set, uint32_t clear);
/* flags: X_MAP_FIXED: to new_addr, replacing what is there; X_MAP_NOREPLACE alone:
 * stay in place or fail with -X_ENOMEM; 0: in place if possible, else anywhere. */
int64_t space_move(struct space *s, uint64_t old, uint64_t old_len, uint64_t new_len,
		   uint64_t new_addr, uint32_t flags);
int space_query(struct space *s, uint64_t addr, struct x_mem_region *r);
/* Copy on write; or, if lend, what is private outside the personality is no copy but
 * s's own: for a child that execs at once. Not of one that borrows itself. */
int space_clone(struct space *s, bool lend, struct account *account, struct space **out);
/* Drop all mappings; breathe: others may have the kernel lock meanwhile. */
void space_clear(struct space *s, bool breathe);
void space_undo(struct space *s, uint32_t born);      /* drop those made since a commit */

#define FAULT_WRITE 1u
#define FAULT_EXEC  2u
/* Settle a fault: 0, or -X_EFAULT (no mapping or no permission), -X_EIO (pager),
 * -X_ENOMEM, -X_EINTR. Maps resident neighbours of file pages along. May block. */
int space_fault(struct space *s, uint64_t addr, uint32_t access);

/* Pin [addr, addr+len) page by page for a window: frames[i] referenced and
 * resident (writable and unshared if write). Stops at the first bad page;
 * returns the number of BYTES covered from addr. May block. */
uint64_t space_pin(struct space *s, uint64_t addr, uint64_t len, bool write, paddr_t *frames);
int space_copy(struct space *s, uint64_t addr, uint64_t user_buf, uint64_t len, bool write);
/* (backing identity, offset) of a user address, for futexes; 0 or -X_EFAULT.
 * Shared mappings: the memory object's koid; private: the space's koid. */
int space_identify(struct space *s, uint64_t addr, uint64_t *koid, uint64_t *offset);

/* ---- shortage (scarce.c) ---- */
bool memory_denied(void);  /* the current process is a program, and only the reserve is left */
bool memory_denied_to_new(void); /* no new program any more, and no kernel memory for any */
/* Have the largest program ended and wait for its memory. 0: try again;
 * -X_ENOMEM: no use, -X_EINTR: killed. May block. */
int memory_shortage(void);

/* kernel text, rodata, data mapped with right permissions by arch */

#endif
