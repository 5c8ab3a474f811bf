/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every kernel file uses: lists, logging, the kernel lock, user memory.
 *
 * Locking: kernel code runs with interrupts off and, but for the few stretches
 * that say so, under the one kernel lock. It is taken at nearly every entry (system
 * call, exception from user mode, interrupt) and given up on the way back to
 * user mode and while a CPU idles. A thread that blocks switches away holding
 * it; the lock stays with the CPU. Long copies are made without it: docs/locking.md.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xinim/abi.h>

#define XINIM_VERSION "0.1"

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a)   (((x) + ((a) - 1)) & ~((uint64_t)(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a) - 1))

/* ---- doubly linked list with a head node ---- */
struct list { struct list *next, *prev; };

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_insert_before(struct list *n, struct list *at)
{
	n->next = at;
	n->prev = at->prev;
	at->prev->next = n;
	at->prev = n;
}
static inline void list_push_back(struct list *l, struct list *n) { list_insert_before(n, l); }
static inline void list_push_front(struct list *l, struct list *n) { list_insert_before(n, l->next); }
/* Removing an unlinked (initialised) node is harmless. */
static inline void list_remove(struct list *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	list_init(n);
}
#define list_first(l, type, member) container_of((l)->next, type, member)
#define list_for_each(it, l, type, member) \
	for (type *it = container_of((l)->next, type, member), \
	     *it##_next = container_of(it->member.next, type, member); \
	     &it->member != (l); \
	     it = it##_next, it##_next = container_of(it->member.next, type, member))

typedef uint64_t __attribute__((may_alias)) any_word;
/* Clear a few words, all of them known when compiled: without a call. */
#define clear_words(p, bytes) do { \
	_Static_assert((bytes) % 8 == 0 && (bytes) <= 256, "clear_words"); \
	_Pragma("GCC unroll 32") \
	for (uint32_t word_ = 0; word_ < (bytes) / 8; word_++) \
		((volatile any_word *)(p))[word_] = 0; \
} while (0)

/* ---- strings (kernel/core/string.c); rep movsq/stosq or unrolled, never movsb ---- */
void *memcpy(void *d, const void *s, size_t n);
void *memmove(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
size_t strlcpy(char *d, const char *s, size_t size);

/* ---- log (kernel/core/log.c): ring of the last 256 KiB, mirrored to the early
 * console until user space takes the UART over (log_mirror(false)) ---- */
__attribute__((format(printf, 1, 2))) void klog(const char *fmt, ...);
void klog_text(const char *text, size_t len);
int64_t klog_read(uint64_t pos, char *buf, size_t len, uint64_t *next);
void log_mirror(bool on);
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
__attribute__((format(printf, 3, 4))) int ksnprintf(char *buf, size_t size, const char *fmt, ...);
/* Stops all CPUs; message, registers, symbolised backtrace, last log lines. */
__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *fmt, ...);
#define KASSERT(c) do { if (__builtin_expect(!(c), 0)) panic("assertion failed: %s at %s:%d", #c, __FILE__, __LINE__); } while (0)

/* ---- the kernel lock (arch: spinning answers TLB shootdowns) ---- */
void kernel_lock(void);      /* for this CPU alone */
void kernel_unlock(void);
/* From the shared side, if we are on that, to the exclusive one. False: others have had it in
 * between, and what was looked up before is to be looked up again. True: they have not, and only
 * what is changed on the shared side may have changed. */
bool kernel_exclusive(void);
/* In the middle of something long: a CPU that waits for the lock has its turn. */
void kernel_lock_breathe(void);
/* Work on so many bytes is done without the lock between these two, if it is
 * worth that. No more than copying from, to, and clearing of frames to which we
 * hold references, or user memory; what was looked up before must be looked up
 * again. tlb_service() is to be called after every page or so. */
#define LEAVE_BYTES 1024u /* below, it costs more than it gives */
bool kernel_leave(uint64_t bytes);
void kernel_return(bool left);
void tlb_service(void);              /* carry out a shoot-down asked of this CPU */

/* ---- user memory: 0 or -X_EFAULT. May fault pages in and so may block: hold
 * references, not assumptions, across them. Only the current space. On the shared side of the
 * kernel lock it never blocks: what is not there as it is is -X_EFAULT, too. ---- */
static inline bool user_range(uint64_t addr, size_t n) { return n <= X_USER_MAX && addr <= X_USER_MAX - n; }
#ifdef FAKE_USER_COPY
int copy_from_user(void *dst, uint64_t src, size_t n);
int copy_to_user(uint64_t dst, const void *src, size_t n);
bool user_try_copy(void *dst, const void *src, size_t n);
bool user_try_message(struct x_msg *dst, uint64_t src);
#else
int64_t user_replace(uint32_t *word, uint32_t old, uint32_t new); /* arch */
int user_copy(void *dst, const void *src, size_t n); /* arch */
static inline int copy_from_user(void *dst, uint64_t src, size_t n)
{
	return user_range(src, n) ? user_copy(dst, (const void *)src, n) : -X_EFAULT;
}
static inline int copy_to_user(uint64_t dst, const void *src, size_t n)
{
	return user_range(dst, n) ? user_copy((void *)dst, src, n) : -X_EFAULT;
}

/*
 * Few words, as many as the compiler knows, from or to user memory in user_range(), without a
 * call and without ever blocking: false if it is not there as it is (then copy_*_user(), which
 * settles that). The macros are the sites' entries in tables of trap.c and cpu.c.
 */
#define SMAP_INSTRUCTION(name) "771: " name "\n.pushsection .smap_sites, \"a\"\n.quad 771b\n.popsection\n"
#define USER_TRY ".pushsection .user_tries, \"a\"\n.quad 772b, 773b, %l[missing]\n.popsection\n"

static inline __attribute__((always_inline)) bool user_try_copy(void *dst, const void *src, size_t n)
{
	__asm__ goto(SMAP_INSTRUCTION("stac") "772:\n"
		".set offset_, 0\n.rept %c[words]\nmovq offset_(%[s]), %%rax\nmovq %%rax, offset_(%[d])\n"
		".set offset_, offset_ + 8\n.endr\n773:\n" SMAP_INSTRUCTION("clac") USER_TRY
		: : [d] "r"(dst), [s] "r"(src), [words] "i"(n / 8) : "rax", "memory" : missing);
	return true;
missing:
	__asm__ volatile(SMAP_INSTRUCTION("clac") : : : "memory");
	return false;
}

/* A message, all of it or nothing: *dst is as it was if this is false. */
static inline bool user_try_message(struct x_msg *dst, uint64_t src)
{
	__asm__ goto(SMAP_INSTRUCTION("stac") "772:\n"
		"movq (%[s]), %%rax\nmovq 8(%[s]), %%rcx\nmovq 16(%[s]), %%rdx\nmovq 24(%[s]), %%rsi\n"
		"movq 32(%[s]), %%r8\nmovq 40(%[s]), %%r9\nmovq 48(%[s]), %%r10\nmovq 56(%[s]), %%r11\n773:\n"
		"movq %%rax, (%[d])\nmovq %%rcx, 8(%[d])\nmovq %%rdx, 16(%[d])\nmovq %%rsi, 24(%[d])\n"
		"movq %%r8, 32(%[d])\nmovq %%r9, 40(%[d])\nmovq %%r10, 48(%[d])\nmovq %%r11, 56(%[d])\n"
		SMAP_INSTRUCTION("clac") USER_TRY
		: : [d] "r"(dst), [s] "r"(src) : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory" : missing);
	return true;
missing:
	__asm__ volatile(SMAP_INSTRUCTION("clac") : : : "memory");
	return false;
}
#endif

/* boot_info: filled by arch from what the loader gave */
struct boot_range { uint64_t base, bytes; bool usable; };
struct boot_info {
	struct boot_range ranges[128];
	uint32_t range_count;
	uint64_t archive_paddr, archive_bytes; /* 0: none was given */
	uint64_t rsdp_paddr;
	char cmdline[512];
};
extern struct boot_info boot_info;
bool boot_option(const char *word); /* it is a word of the command line (main.c) */

#endif
