/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader said, as boot_info: Xen PVH start info (QEMU's -kernel, -initrd
 * and -append; start_info.h of Xen's public headers) or Multiboot2 information
 * (GRUB, BIOS and UEFI; Multiboot2 specification, section 3.6). Both lie below
 * 4 GiB, in memory that is given out later: all is copied, but for ACPI's root
 * pointer and the archive, which boot.c keeps.
 */
#include "x86.h"

/* Memory types: the same numbers in both. */
#define MEMORY_RAM 1u

/* ------------------------------------------------------------------ PVH */

struct pvh_start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules_paddr, cmdline_paddr, rsdp_paddr;
	uint64_t memory_map_paddr; /* from version 1 on */
	uint32_t memory_map_entries, reserved;
};
struct pvh_module { uint64_t paddr, bytes, cmdline_paddr, reserved; };
struct pvh_memory { uint64_t base, bytes; uint32_t type, reserved; };

static void read_pvh(uint64_t info_paddr)
{
	const struct pvh_start_info *si = phys_to_virt(info_paddr);
	const struct pvh_memory *map = phys_to_virt(si->memory_map_paddr);

	if (si->magic != PVH_MAGIC || si->version < 1)
		panic("the PVH loader gave no start info with a memory map");
	if (si->cmdline_paddr)
		strlcpy(boot_info.cmdline, phys_to_virt(si->cmdline_paddr), sizeof boot_info.cmdline);
	boot_info.rsdp_paddr = si->rsdp_paddr;
	if (si->module_count > 0) {
		const struct pvh_module *m = phys_to_virt(si->modules_paddr);

		boot_info.archive_paddr = m->paddr;
		boot_info.archive_bytes = m->bytes;
	}
	for (uint32_t i = 0; i < si->memory_map_entries; i++)
		boot_add_range(map[i].base, map[i].bytes, map[i].type == MEMORY_RAM);
}

/* ----------------------------------------------------------- Multiboot2 */

enum { TAG_END = 0, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MEMORY_MAP = 6, TAG_RSDP1 = 14, TAG_RSDP2 = 15 };

struct tag { uint32_t type, bytes; }; /* what follows is aligned to 8 bytes */
struct tag_module { struct tag tag; uint32_t start, end; };
struct tag_memory_map { struct tag tag; uint32_t entry_bytes, version; };
struct mb2_memory { uint64_t base, bytes; uint32_t type, reserved; };

static void read_mb2_memory_map(const struct tag_memory_map *t)
{
	const char *e = (const char *)(t + 1), *end = (const char *)t + t->tag.bytes;

	if (t->entry_bytes < sizeof(struct mb2_memory))
		return;
	for (; e + sizeof(struct mb2_memory) <= end; e += t->entry_bytes) {
		const struct mb2_memory *m = (const void *)e;

		boot_add_range(m->base, m->bytes, m->type == MEMORY_RAM);
	}
}

static void read_mb2_tag(const struct tag *t)
{
	const struct tag_module *m = (const void *)t;

	switch (t->type) {
	case TAG_CMDLINE:
		strlcpy(boot_info.cmdline, (const char *)(t + 1), sizeof boot_info.cmdline);
		break;
	case TAG_MODULE: /* the first one is the archive */
		if (boot_info.archive_bytes == 0 && m->end > m->start) {
			boot_info.archive_paddr = m->start;
			boot_info.archive_bytes = m->end - m->start;
		}
		break;
	case TAG_MEMORY_MAP:
		read_mb2_memory_map((const void *)t);
		break;
	case TAG_RSDP1: /* a copy of the root pointer; the newer one wins */
		if (boot_info.rsdp_paddr != 0)
			break;
		/* fall through */
	case TAG_RSDP2:
		boot_info.rsdp_paddr = virt_to_phys(t + 1);
		break;
	}
}

static void read_multiboot2(uint64_t info_paddr)
{
	const char *info = phys_to_virt(info_paddr);
	const char *end = info + *(const uint32_t *)(const void *)info;
	const struct tag *t = (const void *)(info + 8);

	while ((const char *)(t + 1) <= end && t->type != TAG_END && t->bytes >= sizeof(*t)) {
		read_mb2_tag(t);
		t = (const void *)((const char *)t + ALIGN_UP((uint64_t)t->bytes, 8));
	}
}

void read_loader_info(uint64_t info_paddr, uint32_t loader_magic)
{
	if (loader_magic == MULTIBOOT2_MAGIC)
		read_multiboot2(info_paddr);
	else if (loader_magic == PVH_MAGIC)
		read_pvh(info_paddr);
	else
		panic("started by a loader that is neither PVH nor Multiboot2");
	if (boot_info.range_count == 0)
		panic("the loader gave no memory map");
}
