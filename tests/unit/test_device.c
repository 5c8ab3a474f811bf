/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices against a fake PCI function and a fake IOAPIC: what a driver may and
 * may not reach, and that its death leaves device, line and memory harmless.
 */
// sources: kernel/core/frame.c kernel/core/heap.c kernel/core/account.c kernel/core/memory.c kernel/core/content.c kernel/core/span.c kernel/core/space.c kernel/core/fault.c kernel/core/device.c kernel/core/dma.c kernel/core/irq.c kernel/core/hardware.c tests/unit/fake_arch.c
// cflags: -DDIRECT_MAP_BASE=fake_ram_base -DFAKE_CURRENT_THREAD -DFAKE_USER_COPY -include tests/unit/fake_arch.h
#include "kernel/core/call.h"
#include "kernel/core/device.h"
#include "kernel/core/pci_reg.h"
#include "kernel/core/resource.h"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define MIB (1ull << 20)
#define BAR_BASE 0xfe000000ull
#define MSIX_AT  0x60
#define MSI_AT   0x80
#define GSI      11

/* ---- handles: a slot is an index here ---- */

static struct handle slots[64];
static uint32_t slot_count;
static bool table_full;

int resource_check(uint32_t slot, uint32_t rights)
{
	(void)rights;
	return slot == 0 ? 0 : -X_EBADF;
}

struct handle handle_hold(struct object *o, uint32_t rights)
{
	object_ref(o);
	o->handles++;
	return (struct handle){ .object = o, .rights = rights };
}

void handle_drop(struct handle h)
{
	h.object->handles--;
	object_unref(h.object);
}

int64_t handle_install(struct process *p, struct handle h, uint32_t min, uint32_t end)
{
	(void)p;
	(void)min;
	(void)end;
	if (table_full)
		return -X_EMFILE;
	slots[++slot_count] = h;
	return slot_count;
}

int64_t object_hand_out(struct object *o, uint32_t rights)
{
	struct handle h = handle_hold(o, rights);
	int64_t slot = handle_install(NULL, h, 0, X_SLOT_MAX);

	if (slot < 0)
		handle_drop(h);
	object_unref(o);
	return slot;
}

struct object *handle_get(uint32_t slot, uint32_t type, uint32_t rights, int *err)
{
	*err = 0;
	if (slot == 0 || slot > slot_count || slots[slot].object == NULL)
		*err = -X_EBADF;
	else if (slots[slot].object->type != type)
		*err = -X_EWRONGTYPE;
	else if ((slots[slot].rights & rights) != rights)
		*err = -X_ERIGHTS;
	if (*err != 0)
		return NULL;
	object_ref(slots[slot].object);
	return slots[slot].object;
}

static void close_all(void)
{
	for (; slot_count > 0; slot_count--)
		if (slots[slot_count].object != NULL)
			handle_drop(slots[slot_count]);
}

/* ---- events ---- */

static void event_destroy(struct object *o)
{
	kfree(container_of(o, struct event, obj));
}
static const struct object_ops event_ops = { .destroy = event_destroy };

static uint32_t new_event(struct event **out)
{
	struct event *e = kzalloc(sizeof(*e));

	object_init(&e->obj, X_TYPE_EVENT, &event_ops);
	*out = e;
	return (uint32_t)object_hand_out(&e->obj, X_R_WRITE | X_R_READ);
}

void event_signal(struct object *event, uint64_t bits)
{
	container_of(event, struct event, obj)->bits |= bits;
}

static uint64_t take(struct event *e)
{
	uint64_t bits = e->bits;

	e->bits = 0;
	return bits;
}

/* ---- the machine ---- */

static uint8_t config[2][256];       /* functions 00:01.0 and 00:02.0 */
static uint32_t pci_address = 0x1234;
static uint32_t msix_table[4 * 4];
static bool masked[24];
static bool vector_used[256];
static struct { uint16_t port; uint32_t width, value; } last_out;

static uint8_t *config_at(uint16_t port)
{
	uint32_t bdf = pci_address >> 8 & 0xffff, offset = (pci_address & 0xfc) + port % 4;

	return bdf == 0x08 || bdf == 0x10 ? &config[bdf / 8 - 1][offset] : NULL;
}

uint32_t arch_io_read(uint16_t port, uint32_t width)
{
	uint32_t value = 0xffffffffu;

	if (port == PCI_ADDRESS_PORT)
		return pci_address;
	if (port >= PCI_DATA_PORT && port < PCI_DATA_PORT + 4 && config_at(port) != NULL) {
		value = 0;
		memcpy(&value, config_at(port), width);
	}
	return width == 4 ? value : value & ((1u << width * 8) - 1);
}

void arch_io_write(uint16_t port, uint32_t width, uint32_t value)
{
	if (port == PCI_ADDRESS_PORT)
		pci_address = value;
	else if (port >= PCI_DATA_PORT && port < PCI_DATA_PORT + 4 && config_at(port) != NULL)
		memcpy(config_at(port), &value, width);
	last_out.port = port;
	last_out.width = width;
	last_out.value = value;
}

void arch_pause_others(void) {}
void arch_resume_others(void) {}
uint64_t arch_pci_ecam(uint32_t bus) { (void)bus; return 0; }
void *arch_map_device(paddr_t base, uint64_t bytes)
{
	assert_int_equal(base, BAR_BASE + 0x4000);
	assert_int_equal(bytes, PAGE_SIZE);
	return msix_table;
}
int arch_irq_alloc_vector(void)
{
	for (int v = 0x30; v < 0xf0; v++)
		if (!vector_used[v]) {
			vector_used[v] = true;
			return v;
		}
	return -X_ENOSPC;
}
void arch_irq_free_vector(int vector) { assert_true(vector_used[vector]); vector_used[vector] = false; }
static int line_vector;
void arch_ioapic_route(uint32_t gsi, int vector, uint32_t flags)
{
	(void)flags;
	line_vector = vector;
	masked[gsi] = true;
}
void arch_ioapic_mask(uint32_t gsi, bool on) { masked[gsi] = on; }
int arch_isa_to_gsi(uint32_t isa_irq, uint32_t *flags) { *flags = 0; return (int)isa_irq; }
void arch_msi_message(uint32_t bdf, int vector, uint64_t *address, uint32_t *data)
{
	(void)bdf;
	*address = 0xfee00000;
	*data = (uint32_t)vector;
}

/* An IOMMU that counts what a domain may reach. */
static struct iommu_domain { uint64_t granted, window; uint32_t one_way; bool exists; } domain;
static bool iommu;
static uint64_t told;
void binding_post(struct object *o, uint64_t bits) { (void)o; told |= bits; }
bool arch_iommu_on(void) { return iommu; }
struct iommu_domain *arch_domain_create(uint32_t bdf)
{
	(void)bdf;
	assert_false(domain.exists);
	domain = (struct iommu_domain){ .exists = true };
	return &domain;
}
int arch_domain_map(struct iommu_domain *d, paddr_t base, uint64_t bytes)
{
	assert_true(d->exists && base % PAGE_SIZE == 0);
	d->granted += bytes;
	return 0;
}
int arch_domain_window(struct iommu_domain *d, uint64_t address, const paddr_t *frames, uint32_t count, bool write)
{
	assert_true(d->exists && address % (2 * MIB) == 0 && frames[0] % PAGE_SIZE == 0);
	d->window = address;
	d->one_way = write ? 2 : 1;
	d->granted += count * PAGE_SIZE;
	return 0;
}
void arch_domain_unmap(struct iommu_domain *d, uint64_t address, uint64_t bytes)
{
	assert_true(d->exists);
	assert_int_equal(address, d->window);
	d->granted -= bytes;
}
void arch_domain_destroy(struct iommu_domain *d)
{
	assert_true(d->exists);
	d->exists = false;
}

/* ---- one open call with a window ---- */

static const struct object_ops port_ops;
static struct port port;
static struct call open_call;
static bool is_open;

struct call *port_find_call(struct port *p, uint64_t id)
{
	return p == &port && is_open && id == open_call.id ? &open_call : NULL;
}

static struct call *device_done;

void call_device_done(struct call *c)
{
	device_done = c;
}

static uint32_t command(unsigned f)
{
	return config[f][PCI_COMMAND] | (uint32_t)config[f][PCI_COMMAND + 1] << 8;
}

static uint32_t create(unsigned f, bool msix, bool msi)
{
	struct x_device_create c = {
		.bdf = (f + 1) << 3, .irq_gsi = GSI, .irq_flags = X_IRQ_LEVEL | X_IRQ_ACTIVE_LOW,
		.msix_cap = msix ? MSIX_AT : 0, .msi_cap = msi ? MSI_AT : 0,
		.bar = { { BAR_BASE, 0x8000, 0, 0 }, { 0xc000, 0x20, 1, 0 } },
	};
	int64_t h = sys_device_create((uint64_t)&c);

	assert_true(h > 0);
	return (uint32_t)h;
}

static struct process driver;
static uint64_t heap_before, objects_before[16];

static int setup(void **state)
{
	static const uint8_t msix_cap[] = { PCI_CAP_MSIX, 0, 3, 0, 0x00, 0x40, 0, 0, 0x00, 0x50, 0, 0 };
	static const uint8_t msi_cap[] = { PCI_CAP_MSI, 0, MSI_CONTROL_64BIT, 0 };

	(void)state;
	heap_before = kheap_bytes();
	memcpy(objects_before, object_counts, sizeof(object_counts));
	memset(config, 0, sizeof(config));
	memset(msix_table, 0, sizeof(msix_table));
	for (unsigned f = 0; f < 2; f++) {
		memcpy(&config[f][MSIX_AT], msix_cap, sizeof(msix_cap));
		memcpy(&config[f][MSI_AT], msi_cap, sizeof(msi_cap));
		config[f][PCI_VENDOR_ID] = 0x86;
	}
	driver.obj.koid = 99999;
	fake_process = &driver;
	return space_create(true, &kernel_account, &driver.space);
}

static int teardown(void **state)
{
	(void)state;
	object_unref(&driver.space->obj);
	close_all();
	assert_memory_equal(objects_before, object_counts, sizeof(object_counts));
	assert_true(kheap_bytes() <= heap_before + 256); /* lines and mappings are for good */
	for (int v = 0; v < 256; v++)
		assert_true(!vector_used[v] || v == line_vector || v < 0x33);
	return 0;
}

/* ---- tests ---- */

static void test_create_refuses(void **state)
{
	struct x_device_create c = { .resource = 5, .bdf = 8, .irq_gsi = X_NO_HANDLE };

	(void)state;
	assert_int_equal(sys_device_create((uint64_t)&c), -X_EBADF);
	c.resource = 0;
	c.bdf = 0x20;
	assert_int_equal(sys_device_create((uint64_t)&c), -X_ENODEV);
	c.bdf = 8;
	c.bar[0] = (struct x_bar){ 2 * MIB, 0x1000, 0, 0 }; /* RAM */
	assert_int_equal(sys_device_create((uint64_t)&c), -X_EINVAL);
	c.bar[0] = (struct x_bar){ UINT64_MAX - 10, 0x1000, 0, 0 };
	assert_int_equal(sys_device_create((uint64_t)&c), -X_EINVAL);
	memset(c.bar, 0, sizeof(c.bar));
	c.msi_cap = 0x70; /* nothing there */
	assert_int_equal(sys_device_create((uint64_t)&c), -X_EINVAL);
	c.msi_cap = 0;
	table_full = true;
	assert_int_equal(sys_device_create((uint64_t)&c), -X_EMFILE);
	table_full = false;
	assert_int_equal(sys_device_create(0), -X_EFAULT);
}

static void test_config(void **state)
{
	uint32_t d = create(0, true, true);
	static const struct { uint32_t offset, width; } refused[] = {
		{ 0x04, 2 }, { 0x04, 4 }, { 0x05, 1 }, { 0x10, 4 }, { 0x24, 4 }, { 0x30, 4 },
		{ MSIX_AT + 2, 2 }, { MSIX_AT + 8, 4 }, { MSI_AT, 4 }, { MSI_AT + 12, 2 },
	};

	(void)state;
	pci_address = 0x80000444; /* devmgr's */
	assert_int_equal(sys_device_config(d, 0, 2, 0, 0), 0x86);
	assert_int_equal(pci_address, 0x80000444);
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(sys_device_config(d, refused[i].offset, refused[i].width, 0xff, 1), -X_EPERM);
	assert_int_equal(sys_device_config(d, 0x3c, 1, 7, 1), 0);
	assert_int_equal(config[0][0x3c], 7);
	assert_int_equal(sys_device_config(d, 6, 2, 0xf900, 1), 0); /* status: write 1 to clear */
	assert_int_equal(sys_device_config(d, 3, 2, 0, 0), -X_EINVAL);
	assert_int_equal(sys_device_config(d, 0x100, 4, 0, 0), -X_EINVAL);
	assert_int_equal(sys_device_config(d, UINT32_MAX - 3, 4, 0, 0), -X_EINVAL);
	assert_int_equal(sys_device_config(d, 8, 3, 0, 0), -X_EINVAL);
	config[0][PCI_HEADER_TYPE] = 1; /* a bridge: its windows too */
	assert_int_equal(sys_device_config(d, 0x3c, 1, 7, 1), -X_EPERM);
}

static void test_map(void **state)
{
	uint32_t d = create(0, true, false);
	int64_t at;

	(void)state;
	at = sys_device_map(d, 0, 0x104, 8);
	assert_true(at > 0);
	assert_int_equal(at % PAGE_SIZE, 0x104);
	assert_true(sys_device_map(d, 0, 0, 0x4000) > 0);
	assert_int_equal(sys_device_map(d, 0, 0, 0), -X_EPERM);          /* holds the table */
	assert_int_equal(sys_device_map(d, 0, 0x4ff0, 16), -X_EPERM);
	assert_int_equal(sys_device_map(d, 0, 0x5000, 16), -X_EPERM);    /* the pending bits */
	assert_true(sys_device_map(d, 0, 0x6000, 0) > 0);
	assert_int_equal(sys_device_map(d, 0, 0x6000, 0x2001), -X_EINVAL);
	assert_int_equal(sys_device_map(d, 0, UINT64_MAX, 2), -X_EINVAL);
	assert_int_equal(sys_device_map(d, 1, 0, 0), -X_EINVAL);         /* ports */
	assert_int_equal(sys_device_map(d, 2, 0, 0), -X_EINVAL);
	assert_int_equal(sys_device_map(d, 6, 0, 0), -X_EINVAL);
}

static void test_msix(void **state)
{
	uint32_t d = create(0, true, true);
	struct event *e;
	uint32_t h = new_event(&e);
	uint32_t v2, v3;

	(void)state;
	assert_int_equal(sys_device_ctl(d, X_DEV_VECTORS, 0), 4);
	assert_int_equal(sys_device_irq(d, 4, h, 1), -X_EINVAL);
	assert_int_equal(sys_device_irq(d, 2, h, 4), 0);
	assert_int_equal(sys_device_irq(d, 3, h, 8), 0);
	v2 = msix_table[2 * 4 + 2];
	v3 = msix_table[3 * 4 + 2];
	assert_true(v2 != v3 && msix_table[2 * 4 + 3] == 0 && msix_table[0 + 3] == 1);
	assert_int_equal(config[0][MSIX_AT + 3], 0x80); /* on, not masked */
	assert_true(command(0) & PCI_COMMAND_INTX_OFF);
	trap_irq(v2);
	assert_int_equal(take(e), 4);
	trap_irq(v3);
	assert_int_equal(take(e), 8);
	assert_int_equal(sys_device_irq(d, 2, X_NO_HANDLE, 0), 0);
	assert_int_equal(msix_table[2 * 4 + 3], 1);
	trap_irq(v2);
	assert_int_equal(take(e), 0);
	assert_int_equal(sys_device_ctl(d, X_DEV_REVOKE, 0), 0);
	assert_int_equal(config[0][MSIX_AT + 3], 0x40); /* off and masked */
	trap_irq(v3);
	assert_int_equal(take(e), 0);
}

static void test_msi(void **state)
{
	uint32_t d = create(0, false, true), data;
	struct event *e;
	uint32_t h = new_event(&e);

	(void)state;
	assert_int_equal(sys_device_ctl(d, X_DEV_VECTORS, 0), 1);
	assert_int_equal(sys_device_irq(d, 0, h, 2), 0);
	data = config[0][MSI_AT + MSI_DATA_64];
	assert_int_equal(config[0][MSI_AT + MSI_CONTROL] & MSI_CONTROL_ENABLE, 1);
	trap_irq(data);
	assert_int_equal(take(e), 2);
	device_process_died(&driver);
	assert_int_equal(config[0][MSI_AT + MSI_CONTROL] & MSI_CONTROL_ENABLE, 0);
}

/* RECOVERY: a driver killed between interrupt and acknowledge must not silence
 * its neighbour on the line. */
static void test_shared_line(void **state)
{
	uint32_t d0 = create(0, false, false), d1 = create(1, false, false);
	struct process other = { .obj = { .koid = 88888 } };
	struct event *e0, *e1;
	uint32_t h0 = new_event(&e0), h1 = new_event(&e1);

	(void)state;
	assert_int_equal(sys_device_ctl(d0, X_DEV_VECTORS, 0), 0);
	config[0][PCI_COMMAND + 1] = 4;
	assert_int_equal(sys_device_irq(d0, 0, h0, 1), 0);
	assert_false(command(0) & PCI_COMMAND_INTX_OFF);
	fake_process = &other;
	assert_int_equal(sys_device_irq(d1, 0, h1, 2), 0);
	assert_false(masked[GSI]);

	trap_irq((uint32_t)line_vector);
	assert_true(masked[GSI]);
	assert_int_equal(take(e0), 1);
	assert_int_equal(take(e1), 2);
	assert_int_equal(sys_device_ctl(d1, X_DEV_IRQ_ACK, 0), 0);
	assert_int_equal(sys_device_ctl(d1, X_DEV_IRQ_ACK, 0), 0); /* counts once */
	assert_true(masked[GSI]);
	device_process_died(&driver);
	assert_false(masked[GSI]);
	assert_true(command(0) & PCI_COMMAND_INTX_OFF);

	trap_irq((uint32_t)line_vector);
	assert_int_equal(take(e0), 0);
	assert_int_equal(take(e1), 2);
	device_process_died(&other);
	assert_true(masked[GSI]); /* nobody left */
	fake_process = &driver;
}

static uint32_t dma_memory(struct memory **out)
{
	struct x_mem_create c = { .bytes = 6 * PAGE_SIZE };
	paddr_t p, hole;

	assert_int_equal(memory_create(&c, NULL, out), 0);
	for (unsigned i = 0; i < 6; i++) { /* two runs at least */
		hole = i == 3 ? frame_alloc_run(3, PAGE_SIZE, 0) : NO_FRAME;
		assert_int_equal(memory_page(*out, i, &p), 0);
		frame_unref(p);
		for (unsigned k = 0; hole != NO_FRAME && k < 3; k++)
			frame_unref(hole + k * PAGE_SIZE);
	}
	return (uint32_t)object_hand_out(&(*out)->obj, X_R_READ | X_R_WRITE);
}

static void test_dma_and_quarantine(void **state)
{
	struct x_dma_segment segments[6];
	struct memory *m;
	uint32_t d = create(0, false, false), mem = dma_memory(&m);
	struct x_dma_map map = { .device = d, .memory = mem, .len = 6 * PAGE_SIZE,
				 .segments = (uint64_t)segments, .segment_max = 6 };
	uint64_t bytes = 0;
	paddr_t p;

	(void)state;
	assert_int_equal(sys_device_ctl(d, X_DEV_BUS_MASTER_ON, 0), 0);
	assert_true(command(0) & PCI_COMMAND_MASTER);
	assert_int_equal(sys_dma_map((uint64_t)&map), 0);
	assert_int_equal(sys_dma_map((uint64_t)&map), 0);
	for (uint32_t i = 0; i < map.segment_count; i++) {
		for (uint64_t at = 0; at < segments[i].bytes; at += PAGE_SIZE, bytes += PAGE_SIZE) {
			assert_int_equal(memory_page(m, bytes / PAGE_SIZE, &p), 0);
			assert_int_equal(p, segments[i].iova + at);
			frame_unref(p);
		}
	}
	assert_int_equal(bytes, map.len);
	assert_true(map.segment_count < 6);
	map.segment_max = map.segment_count - 1;
	assert_int_equal(sys_dma_map((uint64_t)&map), -X_E2BIG);
	map.len = 7 * PAGE_SIZE;
	assert_int_equal(sys_dma_map((uint64_t)&map), -X_EINVAL);
	map.len = PAGE_SIZE;
	map.offset = UINT64_MAX - PAGE_SIZE + 1;
	assert_int_equal(sys_dma_map((uint64_t)&map), -X_EINVAL);

	/* The driver dies with its handle; the frames stay until the next has reset. */
	memory_page(m, 0, &p);
	frame_unref(p);
	device_process_died(&driver);
	assert_false(command(0) & PCI_COMMAND_MASTER);
	handle_drop(slots[mem]);
	slots[mem].object = NULL;
	assert_int_equal(frame_refs(p), 1);
	assert_int_equal(sys_device_ctl(d, X_DEV_BUS_MASTER_ON, 0), 0);
	assert_int_equal(frame_struct(p)->state == FRAME_USED, 0);
}

/* With an IOMMU the domain ends with the driver, but what is under way may still be
 * written: the frames stay until the next has reset, as without. */
static void test_iommu(void **state)
{
	struct x_dma_segment segments[6];
	struct memory *m;
	uint32_t d = create(0, false, false), mem = dma_memory(&m);
	struct x_dma_map map = { .device = d, .memory = mem, .len = 4 * PAGE_SIZE,
				 .segments = (uint64_t)segments, .segment_max = 6 };
	paddr_t p;

	(void)state;
	iommu = true;
	assert_int_equal(sys_dma_map((uint64_t)&map), 0);
	assert_true(domain.exists);
	assert_int_equal(domain.granted, 4 * PAGE_SIZE); /* not the object's other pages */
	memory_page(m, 0, &p);
	frame_unref(p);
	handle_drop(slots[mem]);
	slots[mem].object = NULL;
	assert_int_equal(frame_refs(p), 1);
	device_fault(2 << 3, "write", 0x1000, 5); /* another function's */
	assert_int_equal(told, 0);
	device_fault(1 << 3, "write", 0x1000, 5);
	assert_int_equal(told, 1);
	device_process_died(&driver);
	assert_false(domain.exists);
	assert_int_equal(frame_refs(p), 1);
	assert_int_equal(sys_device_ctl(d, X_DEV_BUS_MASTER_ON, 0), 0);
	assert_int_equal(frame_struct(p)->state == FRAME_USED, 0);
	iommu = false;
}

/* Three pages, the first two neighbours, data from 0x200 of the first on. */
static uint32_t open_with_window(paddr_t frames_[3])
{
	struct call_window *w = &open_call.win[0];
	paddr_t run = frame_alloc_run(2, PAGE_SIZE, 0), hole = frame_alloc(0);

	open_call = (struct call){ .id = 77, .win_count = 1 };
	*w = (struct call_window){ .len = 2 * PAGE_SIZE, .flags = X_WIN_WRITE, .page_offset = 0x200, .frame_count = 3 };
	w->frames = kmalloc(3 * sizeof(paddr_t));
	w->frames[0] = frames_[0] = run;
	w->frames[1] = frames_[1] = run + PAGE_SIZE;
	w->frames[2] = frames_[2] = frame_alloc(0);
	frame_unref(hole);
	is_open = true;
	object_ref(&port.obj);
	return (uint32_t)object_hand_out(&port.obj, X_R_RECEIVE);
}

/* As the call's end does it (call.c). */
static void close_window(void)
{
	struct call_window *w = &open_call.win[0];

	is_open = false;
	if (w->dma) {
		w->dma->of = NULL;
	} else {
		frames_unref(w->frames, w->frame_count);
		kfree(w->frames);
	}
}

static void test_windows(void **state)
{
	struct x_dma_segment s[4];
	paddr_t p[3];
	uint32_t d = create(0, false, false), other = create(1, false, false), at = open_with_window(p);
	struct x_dma_window use = { .device = d, .port = at, .call = 77, .write = 1, .offset = 0x100, .len = 2 * PAGE_SIZE - 0x100,
				    .segments = (uint64_t)s, .segment_max = 4 };
	int64_t n;

	(void)state;
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_ERIGHTS); /* not lent */
	assert_int_equal(sys_window_lend(at, 78, 0, d), -X_ENOENT);
	assert_int_equal(sys_window_lend(at, 77, 1, d), -X_EINVAL);
	assert_int_equal(sys_window_lend(at, 77, 0, other), 0);
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_ERIGHTS); /* to another device */
	assert_int_equal(sys_window_lend(at, 77, 0, d), 0);
	use.write = 0;
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_ERIGHTS); /* the wrong way */
	use.write = 1;
	use.segment_max = 1;
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_E2BIG);
	use.segment_max = 4;
	use.offset++;
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_EINVAL);
	use.offset = UINT64_MAX;
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_EINVAL);
	use.offset = 0x100;
	n = sys_dma_window((uint64_t)&use);
	assert_true(n >= 0);
	assert_int_equal(s[0].iova, p[0] + 0x300);
	assert_int_equal(s[0].bytes + (use.segment_count == 2 ? s[1].bytes : 0), use.len);
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_EBUSY);
	assert_int_equal(sys_dma_release(other, (uint32_t)n), -X_ENOENT);
	assert_null(device_done);
	assert_int_equal(sys_dma_release(d, (uint32_t)n), 0);
	assert_ptr_equal(device_done, &open_call);
	device_done = NULL;
	assert_int_equal(sys_dma_release(d, (uint32_t)n), -X_ENOENT);

	/* The caller goes while the device writes: the frames stay until it is done. */
	n = sys_dma_window((uint64_t)&use);
	close_window();
	assert_int_equal(sys_dma_window((uint64_t)&use), -X_ENOENT);
	assert_int_equal(frame_refs(p[2]), 1);
	assert_int_equal(sys_dma_release(d, (uint32_t)n), 0);
	assert_int_not_equal(frame_struct(p[2])->state, FRAME_USED);
	assert_null(device_done); /* the call is no more */

	/* ... or, if its driver dies too, until it is reset. */
	use.port = open_with_window(p);
	assert_int_equal(sys_window_lend(use.port, 77, 0, d), 0);
	n = sys_dma_window((uint64_t)&use);
	assert_true(n >= 0);
	close_window();
	device_process_died(&driver);
	assert_int_equal(sys_dma_release(d, (uint32_t)n), -X_ENOENT);
	assert_int_equal(frame_refs(p[0]), 1);
	assert_int_equal(sys_device_ctl(d, X_DEV_BUS_MASTER_ON, 0), 0);
	assert_int_not_equal(frame_struct(p[0])->state, FRAME_USED);
}

static void test_windows_iommu(void **state)
{
	struct x_dma_segment s[4];
	paddr_t p[3];
	uint32_t d = create(0, false, false), at = open_with_window(p);
	struct x_dma_window use = { .device = d, .port = at, .call = 77, .write = 1, .len = 2 * PAGE_SIZE,
				    .segments = (uint64_t)s, .segment_max = 1 };
	int64_t n;

	(void)state;
	iommu = true;
	assert_int_equal(sys_window_lend(at, 77, 0, d), 0);
	n = sys_dma_window((uint64_t)&use);
	assert_true(n >= 0);
	assert_int_equal(use.segment_count, 1); /* scattered as it is */
	assert_int_equal(s[0].iova, domain.window + 0x200);
	assert_int_equal(domain.one_way, 2);
	assert_int_equal(domain.granted, 3 * PAGE_SIZE);
	assert_int_equal(sys_dma_release(d, (uint32_t)n), 0);
	assert_int_equal(domain.granted, 0);
	n = sys_dma_window((uint64_t)&use);
	assert_true(n >= 0);
	close_window();
	device_process_died(&driver);
	assert_int_equal(frame_refs(p[0]), 1); /* what is under way may still come */
	assert_int_equal(sys_device_ctl(d, X_DEV_BUS_MASTER_ON, 0), 0);
	assert_int_not_equal(frame_struct(p[0])->state, FRAME_USED);
	iommu = false;
}

static void test_rights(void **state)
{
	uint32_t d = create(0, false, false);

	(void)state;
	slots[d].rights = X_R_READ | X_R_WRITE;
	assert_int_equal(sys_device_ctl(d, X_DEV_REVOKE, 0), -X_ERIGHTS);
	assert_int_equal(sys_device_ctl(d, 77, 0), -X_EINVAL);
	slots[d].rights = X_R_READ;
	assert_int_equal(sys_device_ctl(d, X_DEV_ENABLE, 0), -X_ERIGHTS);
	assert_int_equal(sys_device_map(d, 0, 0, 16), -X_ERIGHTS);
	assert_int_equal(sys_device_config(d, 0x3c, 1, 1, 1), -X_ERIGHTS);
	assert_int_equal(sys_device_config(d, 0x3c, 1, 1, 0), 0);
}

/* A restarted devmgr gets the same object, and disturbs no driver. */
static void test_created_again(void **state)
{
	uint32_t d = create(0, false, false), again;

	(void)state;
	assert_int_equal(sys_device_ctl(d, X_DEV_BUS_MASTER_ON, 0), 0);
	again = create(0, false, false);
	assert_ptr_equal(slots[d].object, slots[again].object);
	assert_true(command(0) & PCI_COMMAND_MASTER);
}

static void test_ports_and_irq(void **state)
{
	int64_t p, i;
	struct event *e;
	uint32_t h = new_event(&e);

	(void)state;
	assert_int_equal(sys_ioports_create(0, 0xffff, 2), -X_EINVAL);
	assert_int_equal(sys_ioports_create(0, 0x10000, 1), -X_EINVAL);
	assert_int_equal(sys_ioports_create(0, 0x3f8, 0), -X_EINVAL);
	assert_int_equal(sys_ioports_create(1, 0x3f8, 8), -X_EBADF);
	p = sys_ioports_create(0, 0x3f8, 8);
	assert_int_equal(sys_ioport((uint32_t)p, 4, 4, 0x55, 1), 0);
	assert_int_equal(last_out.port, 0x3fc);
	assert_int_equal(sys_ioport((uint32_t)p, 5, 4, 0, 1), -X_EINVAL);
	assert_int_equal(sys_ioport((uint32_t)p, 8, 1, 0, 0), -X_EINVAL);
	assert_int_equal(sys_ioport((uint32_t)p, UINT32_MAX, 1, 0, 0), -X_EINVAL);
	assert_int_equal(sys_ioport((uint32_t)p, 0, 3, 0, 0), -X_EINVAL);

	i = sys_irq_create(0, 4, h, 16);
	assert_false(masked[4]);
	trap_irq((uint32_t)line_vector);
	assert_int_equal(take(e), 16);
	assert_false(masked[4]); /* edge: masking would lose the next */
	assert_int_equal(sys_irq_ack((uint32_t)i), 0);
	assert_int_equal(sys_irq_create(0, 16, h, 1), -X_EINVAL);
	assert_int_equal(sys_irq_create(0, 4, h, 0), -X_EINVAL);
}

static void test_memory_physical(void **state)
{
	int64_t h;

	(void)state;
	assert_int_equal(sys_memory_physical(0, 2 * MIB, 4096), -X_EPERM);
	assert_int_equal(sys_memory_physical(0, 64 * MIB - 4096, 8192), -X_EPERM);
	assert_int_equal(sys_memory_physical(0, 0xe0001, 4096), -X_EINVAL);
	assert_int_equal(sys_memory_physical(0, UINT64_MAX - 4095, 4096), -X_EINVAL);
	h = sys_memory_physical(0, 0xe0000, 100);
	assert_true(h > 0);
	assert_false(slots[h].rights & X_R_WRITE);
	assert_true(container_of(slots[h].object, struct memory, obj)->cached);
	h = sys_memory_physical(0, 0xfed00000, 4096);
	assert_true(slots[h].rights & X_R_WRITE);
	assert_false(container_of(slots[h].object, struct memory, obj)->cached);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create_refuses), TEST(test_config), TEST(test_map), TEST(test_msix),
		TEST(test_msi), TEST(test_shared_line), TEST(test_dma_and_quarantine), TEST(test_iommu),
		TEST(test_windows), TEST(test_windows_iommu),
		TEST(test_rights), TEST(test_created_again), TEST(test_ports_and_irq),
		TEST(test_memory_physical),
	};

	object_init(&port.obj, X_TYPE_PORT, &port_ops);
	fake_machine(64 * MIB);
	fake_range(0, 0xa0000, true);
	fake_range(0xe0000, 0x20000, false);
	fake_range(MIB, 63 * MIB, true);
	frame_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
