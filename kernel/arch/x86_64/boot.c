/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first C code: what the loader said (Xen PVH start info, as QEMU's
 * -kernel/-initrd/-append gives it) becomes boot_info, the direct map is
 * extended over all RAM, and the machine-independent kernel starts.
 */
#include "x86.h"

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules_paddr, cmdline_paddr, rsdp_paddr;
	uint64_t memory_map_paddr; /* from version 1 on */
	uint32_t memory_map_entries, reserved;
};
struct pvh_module { uint64_t paddr, bytes, cmdline_paddr, reserved; };
struct pvh_memory { uint64_t base, bytes; uint32_t type, reserved; };
#define PVH_MEMORY_RAM 1u

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

static void add_range(uint64_t base, uint64_t end, bool usable)
{
	if (base >= end)
		return;
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
		add_range(to, r_end, true);
		add_range(from, to, false);
		r->bytes = from - r->base; /* may be 0: harmless */
	}
}

static void read_memory_map(const struct pvh_start_info *si)
{
	const struct pvh_memory *map = phys_to_virt(si->memory_map_paddr);

	if (si->version < 1 || si->memory_map_entries == 0)
		panic("the loader gave no memory map");
	for (uint32_t i = 0; i < si->memory_map_entries; i++) {
		uint64_t base = map[i].base, end = base + map[i].bytes;

		if (end < base)
			continue;
		if (map[i].type == PVH_MEMORY_RAM) {
			end = MIN(end, MAX_DIRECT_MAP);
			add_range(ALIGN_UP(base, PAGE_SIZE), ALIGN_DOWN(end, PAGE_SIZE), true);
		} else {
			add_range(base, end, false);
		}
	}
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

static void read_start_info(uint64_t start_info_paddr)
{
	struct pvh_start_info si;

	memcpy(&si, phys_to_virt(start_info_paddr), sizeof si);
	if (si.magic != PVH_MAGIC)
		panic("not started by a PVH loader");
	if (si.cmdline_paddr)
		strlcpy(boot_info.cmdline, phys_to_virt(si.cmdline_paddr), sizeof boot_info.cmdline);
	boot_info.rsdp_paddr = si.rsdp_paddr;
	if (si.module_count > 0) {
		const struct pvh_module *m = phys_to_virt(si.modules_paddr);

		boot_info.archive_paddr = m->paddr;
		boot_info.archive_bytes = m->bytes;
	}
	/* Everything that the start info points to, but the archive, is copied now. */
	read_memory_map(&si);
	carve_out(0, 1 << 20);
	carve_out((uint64_t)kernel_start - KERNEL_BASE, (uint64_t)kernel_end - KERNEL_BASE);
	if (boot_info.archive_bytes)
		carve_out(boot_info.archive_paddr, boot_info.archive_paddr + boot_info.archive_bytes);
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

void arch_start(uint64_t start_info_paddr);
void arch_start(uint64_t start_info_paddr)
{
	cpus[0].id = 0;
	cpu_init(&cpus[0]);
	console_init();
	read_start_info(start_info_paddr);
	extend_direct_map();
	drop_empty_ranges();
	log_boot_info();
	acpi_init();
	time_init();
	frame_init();
	arch_init_memory();
	kernel_lock();
	kernel_main();
}
