/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the holder of the root resource may carve out of the machine: ranges of
 * I/O ports and of physical addresses, each an object to be granted.
 */
#include "device.h"
#include "resource.h"

#define IO_PORTS   0x10000u
#define ECAM_BYTES (256ull << 20)

struct ioports {
	struct object obj;
	uint32_t base, count;
};

/* ---- I/O ports ---- */

static void ioports_destroy(struct object *o)
{
	kfree(container_of(o, struct ioports, obj));
}

static const struct object_ops ioports_ops = { .destroy = ioports_destroy };

int64_t sys_ioports_create(uint32_t resource, uint32_t base, uint32_t count)
{
	int error = resource_check(resource, X_R_MANAGE);
	struct ioports *p;

	if (error != 0)
		return error;
	if (count == 0 || base >= IO_PORTS || count > IO_PORTS - base)
		return -X_EINVAL;
	p = kzalloc(sizeof(*p));
	if (p == NULL)
		return -X_ENOMEM;
	object_init(&p->obj, X_TYPE_IOPORTS, &ioports_ops);
	p->base = base;
	p->count = count;
	return object_hand_out(&p->obj, X_R_READ | X_R_WRITE | X_R_DUP | X_R_TRANSFER);
}

static int64_t ioport_access(const struct ioports *p, uint32_t offset, uint32_t width,
			     uint32_t value, bool write)
{
	uint16_t port;

	if ((width != 1 && width != 2 && width != 4) || width > p->count ||
	    offset > p->count - width)
		return -X_EINVAL;
	port = (uint16_t)(p->base + offset);
	if (!write)
		return arch_io_read(port, width);
	arch_io_write(port, width, value);
	return 0;
}

int64_t sys_ioport(uint32_t ports, uint32_t offset, uint32_t width, uint32_t value, uint32_t write)
{
	int error;
	struct object *o = handle_get(ports, X_TYPE_IOPORTS, write ? X_R_WRITE : X_R_READ, &error);
	int64_t result;

	if (o == NULL)
		return error;
	result = ioport_access(container_of(o, struct ioports, obj), offset, width, value, write);
	object_unref(o);
	return result;
}

int64_t sys_ioport_write(uint32_t ports, uint32_t offset, uint64_t user_bytes, uint64_t len)
{
	uint8_t bytes[X_IOPORT_WRITE_MAX];
	int error;
	struct object *o = handle_get(ports, X_TYPE_IOPORTS, X_R_WRITE, &error);
	int64_t result = 0;

	if (o == NULL)
		return error;
	if (len > sizeof(bytes))
		result = -X_EINVAL;
	else
		result = copy_from_user(bytes, user_bytes, len);
	for (uint64_t i = 0; i < len && result == 0; i++)
		result = ioport_access(container_of(o, struct ioports, obj), offset, 1, bytes[i], true);
	object_unref(o);
	return result;
}

/* ---- physical ranges ---- */

static bool meets_range(uint64_t base, uint64_t bytes, bool usable)
{
	for (uint32_t i = 0; i < boot_info.range_count; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		if (r->usable == usable && r->base < base + bytes && base < r->base + r->bytes)
			return true;
	}
	return false;
}

bool range_meets_ram(uint64_t base, uint64_t bytes)
{
	return meets_range(base, bytes, true);
}

static bool is_ecam(uint64_t paddr, uint64_t len)
{
	uint64_t ecam = arch_pci_ecam(0);

	return ecam != 0 && paddr >= ecam && paddr + len <= ecam + ECAM_BYTES;
}

/* Firmware's tables, in ranges it reserves, are cached and read-only; what is in
 * no range, and PCI's configuration space, is device memory. */
int64_t sys_memory_physical(uint32_t resource, uint64_t paddr, uint64_t len)
{
	uint32_t rights = X_R_READ | X_R_DUP | X_R_TRANSFER;
	int error = resource_check(resource, X_R_MANAGE);
	struct memory *m;
	bool device;

	if (error != 0)
		return error;
	if (paddr % PAGE_SIZE != 0 || len == 0 || paddr >= 1ull << 52 || len > 1ull << 47)
		return -X_EINVAL;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (range_meets_ram(paddr, len))
		return -X_EPERM;
	device = is_ecam(paddr, len) || !meets_range(paddr, len, false);
	error = memory_create_physical(paddr, len, !device, &m);
	if (error != 0)
		return error;
	return object_hand_out(&m->obj, device ? rights | X_R_WRITE : rights);
}
