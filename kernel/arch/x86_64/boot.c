/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first C code: what the loader said (loader.c) becomes boot_info, the
 * direct map is extended over all RAM, and the machine-independent kernel starts.
 */
#include "x86.h"

#define GIB (1ull << 30)
#define MAX_DIRECT_MAP (512 * GIB) /* one page-directory-pointer table */

struct boot_info boot_info;
uint64_t direct_map_end = 4 * GIB;
uintptr_t __stack_chk_guard; /* set by entry.S */

void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
	panic("stack overrun detected in %p", __builtin_return_address(0));
}

static void list_range(uint64_t base, uint64_t end, bool usable)
{
	struct boot_range *last = &boot_info.ranges[boot_info.range_count - 1];

	if (base >= end)
		return;
	if (boot_info.range_count > 0 && last->usable == usable && last->base + last->bytes == base) {
		last->bytes += end - base;
		return;
	}
	if (boot_info.range_count == ARRAY_SIZE(boot_info.ranges)) {
		klog("boot: memory map too long, %llu KiB left out",
		     (unsigned long long)(end - base) >> 10);
		return;
	}
	boot_info.ranges[boot_info.range_count++] = (struct boot_range){ base, end - base, usable };
}

/* Takes [base, end) out of the usable ranges; it stays listed as unusable. */
static void carve_out(uint64_t base, uint64_t end)
{
	uint32_t count = boot_info.range_count;

	base = ALIGN_DOWN(base, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	for (uint32_t i = 0; i < count; i++) {
		struct boot_range *r = &boot_info.ranges[i];
		uint64_t r_end = r->base + r->bytes;
		uint64_t from = MAX(base, r->base), to = MIN(end, r_end);

		if (!r->usable || from >= to)
			continue;
		list_range(to, r_end, true);
		list_range(from, to, false);
		r->bytes = from - r->base; /* may be 0: harmless */
	}
}

void boot_add_range(uint64_t base, uint64_t bytes, bool usable)
{
	uint64_t end = base + bytes;

	if (end < base)
		return;
	if (usable)
		list_range(ALIGN_UP(base, PAGE_SIZE), ALIGN_DOWN(MIN(end, MAX_DIRECT_MAP), PAGE_SIZE), true);
	else
		list_range(base, end, false);
}

/* A page table page before frame_init(): any usable page that is mapped already. */
static paddr_t early_table(void)
{
	for (uint32_t i = boot_info.range_count; i-- > 0;) {
		struct boot_range *r = &boot_info.ranges[i];
		uint64_t end = r->base + r->bytes;

		if (!r->usable || r->bytes < PAGE_SIZE || end > 4 * GIB)
			continue;
		carve_out(end - PAGE_SIZE, end);
		/* Merge with the last page given out, to keep the list short. */
		struct boot_range *last = &boot_info.ranges[boot_info.range_count - 1];
		for (uint32_t k = 0; k + 1 < boot_info.range_count; k++) {
			struct boot_range *o = &boot_info.ranges[k];
			if (!o->usable && o->base == last->base + last->bytes) {
				o->base = last->base;
				o->bytes += last->bytes;
				boot_info.range_count--;
				break;
			}
		}
		memset(phys_to_virt(end - PAGE_SIZE), 0, PAGE_SIZE);
		return end - PAGE_SIZE;
	}
	panic("no memory for the direct map");
}

/* entry.S mapped 4 GiB; RAM beyond that follows in the largest pages there are. */
static void extend_direct_map(void)
{
	uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY;
	bool huge = cpuid(0x80000000u, 0).a >= 0x80000001u && (cpuid(0x80000001u, 0).d & (1u << 26));
	uint64_t top = 0;

	for (uint32_t i = 0; i < boot_info.range_count; i++)
		if (boot_info.ranges[i].usable)
			top = MAX(top, boot_info.ranges[i].base + boot_info.ranges[i].bytes);
	for (uint64_t base = 4 * GIB; base < top; base += GIB) {
		if (huge) {
			boot_pdpt[base / GIB] = base | flags | PTE_LARGE;
		} else {
			paddr_t table = early_table();
			uint64_t *pd = phys_to_virt(table);

			for (uint32_t i = 0; i < 512; i++)
				pd[i] = (base + i * (2ull << 20)) | flags | PTE_LARGE;
			boot_pdpt[base / GIB] = table | PTE_PRESENT | PTE_WRITE;
		}
		direct_map_end = base + GIB;
	}
}

/* What must not be given out, or is not there, although a usable range covers it. */
static void keep_what_is_used(void)
{
	carve_out(0, 1 << 20);
	carve_out(PANIC_RECORD, PANIC_RECORD + PANIC_RECORD_BYTES);
	carve_out((uint64_t)kernel_start - KERNEL_BASE, (uint64_t)kernel_end - KERNEL_BASE);
	if (boot_info.archive_bytes)
		carve_out(boot_info.archive_paddr, boot_info.archive_paddr + boot_info.archive_bytes);
	if (boot_info.rsdp_paddr >= 1 << 20)
		carve_out(boot_info.rsdp_paddr, boot_info.rsdp_paddr + RSDP_BYTES);
}

static void drop_empty_ranges(void)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < boot_info.range_count; i++)
		if (boot_info.ranges[i].bytes)
			boot_info.ranges[kept++] = boot_info.ranges[i];
	boot_info.range_count = kept;
}

static void log_boot_info(void)
{
	uint64_t usable = 0;

	for (uint32_t i = 0; i < boot_info.range_count; i++)
		if (boot_info.ranges[i].usable)
			usable += boot_info.ranges[i].bytes;
	klog("XINIM " XINIM_VERSION ": %llu MiB of memory, archive of %llu KiB, command line \"%s\"",
	     (unsigned long long)usable >> 20, (unsigned long long)boot_info.archive_bytes >> 10,
	     boot_info.cmdline);
}

void arch_start(uint64_t info_paddr, uint32_t loader_magic);
void arch_start(uint64_t info_paddr, uint32_t loader_magic)
{
	cpus[0].id = 0;
	cpu_init(&cpus[0]);
	console_init();
	read_loader_info(info_paddr, loader_magic);
	keep_what_is_used();
	extend_direct_map();
	drop_empty_ranges();
	panic_recall();
	log_boot_info();
	acpi_init();
	time_init();
	frame_init();
	arch_init_memory();
	kernel_lock();
	kernel_main();
}
