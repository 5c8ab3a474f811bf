/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of the portable kernel, and of the first process.
 *
 * rs is loaded from the boot archive into a native address space; it gets the
 * archive, the root resource and its port, and builds everything else. It is
 * in the drivers' band: no server that is busy keeps it from starting another.
 */
#include <elf.h>
#include "port.h"
#include "resource.h"
#include "trace.h"
#include "proto/archive.h"

#define RS_STACK_TOP   0x00007f7ffff00000ull
#define RS_STACK_BYTES (256u << 10)
#define RS_LOG_BYTES   (512u << 10) /* of its undo log: it is restarted warm */

static const void *archive_base(void)
{
	return phys_to_virt(boot_info.archive_paddr);
}

/* The bytes of an archive entry, or NULL. */
static const void *archive_entry(const char *name, uint64_t *bytes)
{
	const struct archive_header *h = archive_base();
	const struct archive_entry *e = (const void *)(h + 1);

	if (!boot_info.archive_paddr || boot_info.archive_bytes < sizeof(*h) ||
	    h->magic != ARCHIVE_MAGIC || h->count > ARCHIVE_MAX_ENTRIES ||
	    sizeof(*h) + h->count * sizeof(*e) > boot_info.archive_bytes)
		return NULL;
	for (uint32_t i = 0; i < h->count; i++) {
		if (strncmp(e[i].name, name, sizeof(e[i].name)))
			continue;
		if (e[i].offset > boot_info.archive_bytes ||
		    e[i].bytes > boot_info.archive_bytes - e[i].offset)
			return NULL;
		*bytes = e[i].bytes;
		return (const char *)h + e[i].offset;
	}
	return NULL;
}

/* Write into a space that is not loaded: page by page through its frames. */
static void space_fill(struct space *s, uint64_t addr, const void *src, uint64_t len)
{
	while (len) {
		uint64_t run = MIN(PAGE_SIZE - addr % PAGE_SIZE, len);
		paddr_t pa;
		uint32_t flags;

		if (!pt_get(s->page_table, addr & ~(PAGE_SIZE - 1ull), &pa, &flags))
			panic("rs: page %#lx is not there", addr);
		memcpy((char *)phys_to_virt(pa) + addr % PAGE_SIZE, src, run);
		addr += run;
		src = (const char *)src + run;
		len -= run;
	}
}

bool boot_option(const char *word)
{
	const char *p = boot_info.cmdline;
	size_t n = strlen(word);

	for (; *p; p++)
		if ((p == boot_info.cmdline || p[-1] == ' ') && !strncmp(p, word, n) &&
		    (p[n] == 0 || p[n] == ' '))
			return true;
	return false;
}

static void map_or_panic(struct space *s, uint64_t addr, uint64_t len, uint32_t prot)
{
	struct x_mem_map m = {
		.addr = addr, .len = len, .prot = prot, .flags = X_MAP_FIXED, .memory = X_NO_HANDLE,
	};

	if (space_map(s, &m, NULL) < 0)
		panic("no memory for rs");
}

static void load_segment(struct space *s, const char *image, uint64_t bytes, const Elf64_Phdr *p)
{
	uint64_t start = ALIGN_DOWN(p->p_vaddr, PAGE_SIZE);
	uint64_t end = ALIGN_UP(p->p_vaddr + p->p_memsz, PAGE_SIZE);
	uint32_t prot = X_PROT_READ | (p->p_flags & PF_W ? X_PROT_WRITE : 0) |
			(p->p_flags & PF_X ? X_PROT_EXEC : 0);

	if (p->p_filesz > p->p_memsz || p->p_offset > bytes || p->p_filesz > bytes - p->p_offset ||
	    p->p_vaddr < X_USER_MIN || end > RS_STACK_TOP - RS_STACK_BYTES || end < start)
		panic("rs: bad segment in the boot archive's bin/rs");
	map_or_panic(s, start, end - start, prot);
	space_fill(s, p->p_vaddr, image + p->p_offset, p->p_filesz);
}

static uint64_t load_elf(struct space *s, const char *image, uint64_t bytes)
{
	const Elf64_Ehdr *e = (const void *)image;

	if (bytes < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_machine != EM_X86_64 ||
	    e->e_type != ET_EXEC || e->e_phentsize != sizeof(Elf64_Phdr) || e->e_phoff > bytes ||
	    e->e_phnum * sizeof(Elf64_Phdr) > bytes - e->e_phoff)
		panic("bin/rs in the boot archive is not an executable");
	for (uint32_t i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = (const Elf64_Phdr *)(image + e->e_phoff) + i;

		if (p->p_type == PT_LOAD)
			load_segment(s, image, bytes, p);
	}
	return e->e_entry;
}

static void give(struct process *p, struct x_boot_page *page, const char *name, struct object *o,
		 uint32_t rights)
{
	struct x_boot_handle *b = &page->handles[page->handle_count++];
	int64_t slot = handle_install(p, handle_hold(o, rights), X_SLOT_NATIVE, X_SLOT_MAX);

	if (slot < 0)
		panic("no memory for rs");
	strlcpy(b->name, name, sizeof(b->name));
	b->handle = slot;
	object_unref(o);
}

static void start_rs(void)
{
	struct x_thread_create create = { .stack = RS_STACK_TOP - 8 };
	struct x_boot_page *page = kzalloc(sizeof(*page));
	struct object *resource = resource_create();
	struct process *p;
	struct memory *archive;
	struct port *port;
	uint64_t bytes;
	const void *image = archive_entry("bin/rs", &bytes);

	if (!boot_info.archive_paddr)
		panic("no boot archive: start with -initrd build/xinim.archive");
	if (!image)
		panic("the boot archive is damaged or holds no bin/rs");
	if (!page || !resource || process_create("rs", X_PROC_KEPT, X_BAND_DRIVER, &p) || port_create(&port) ||
	    memory_create_physical(boot_info.archive_paddr, ALIGN_UP(boot_info.archive_bytes, PAGE_SIZE),
				   true, &archive))
		panic("no memory for rs");
	page->magic = X_BOOT_MAGIC;
	page->incarnation = 1;
	page->archive_bytes = boot_info.archive_bytes;
	page->log_bytes = RS_LOG_BYTES;
	strlcpy(page->name, "rs", sizeof(page->name));
	strlcpy(page->cmdline, boot_info.cmdline, sizeof(page->cmdline));
	create.entry = load_elf(p->space, image, bytes);
	map_or_panic(p->space, RS_STACK_TOP - RS_STACK_BYTES, RS_STACK_BYTES, X_PROT_READ | X_PROT_WRITE);
	/* Executable: services run their text where it lies in the archive. */
	give(p, page, "archive", &archive->obj, X_R_READ | X_R_EXEC | X_R_DUP | X_R_TRANSFER);
	give(p, page, "resource", resource, X_R_MANAGE | X_R_EXEC | X_R_DUP | X_R_TRANSFER);
	give(p, page, "port", &port->obj, X_R_RECEIVE | X_R_CALL | X_R_MANAGE | X_R_DUP | X_R_TRANSFER);
	map_or_panic(p->space, X_BOOT_PAGE, X_PAGE_SIZE, X_PROT_READ);
	space_fill(p->space, X_BOOT_PAGE, page, sizeof(*page));
	kfree(page);
	if (process_start_first(p, &create))
		panic("no memory for rs");
	object_unref(&p->obj);
}

void kernel_main(void)
{
	sched_init_cpu(0);
	futex_init();
	trace_init();
	klog("XINIM %s: %lu MiB of memory, %lu KiB boot archive\n", XINIM_VERSION,
	     frame_total() * PAGE_SIZE >> 20, boot_info.archive_bytes >> 10);
	arch_init_cpus();
	start_rs();
	sched_start_cpu();
}
