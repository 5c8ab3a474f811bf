/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices as drivers see them: PCI functions (device.c), their DMA (dma.c),
 * interrupts (irq.c), I/O ports and physical ranges (hardware.c). The sys_
 * functions are the system calls of the same name in xinim/syscall.h; pointers
 * are user addresses.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "port.h"

/* ---- system calls ---- */
int64_t sys_device_create(uint64_t user);
int64_t sys_device_map(uint32_t device, uint32_t bar, uint64_t offset, uint64_t len);
int64_t sys_device_config(uint32_t device, uint32_t offset, uint32_t width, uint32_t value,
			  uint32_t write);
int64_t sys_device_irq(uint32_t device, uint32_t index, uint32_t event, uint64_t bits);
int64_t sys_device_ctl(uint32_t device, uint32_t op, uint64_t arg);
int64_t sys_dma_map(uint64_t user);
int64_t sys_window_lend(uint32_t port, uint64_t id, uint32_t window, uint32_t device);
int64_t sys_dma_window(uint64_t user);
int64_t sys_dma_release(uint32_t device, uint32_t number);
int64_t sys_ioports_create(uint32_t resource, uint32_t base, uint32_t count);
int64_t sys_ioport(uint32_t ports, uint32_t offset, uint32_t width, uint32_t value, uint32_t write);
int64_t sys_ioport_write(uint32_t ports, uint32_t offset, uint64_t user_bytes, uint64_t len);
int64_t sys_irq_create(uint32_t resource, uint32_t isa_irq, uint32_t event, uint64_t bits);
int64_t sys_irq_ack(uint32_t irq);
int64_t sys_memory_physical(uint32_t resource, uint64_t paddr, uint64_t len);

/* ---- the death of drivers ---- */

/* Make a device harmless, in the order of docs on recovery: interrupts masked
 * at the function, a pending INTx acknowledge completed, bus mastering off.
 * Memory it had for DMA is kept until X_DEV_BUS_MASTER_ON says it was reset. */
void device_quiesce(struct object *device);
/* Quiesce whatever p used last. Called as p dies, before its memory is freed. */
void device_process_died(struct process *p);

/* ---- what the IOMMU finds ---- */

/* Is the bus behind this bridge? */
bool device_behind_bridge(uint32_t bridge_bdf, uint32_t bus);
/* The function tried to do `what` at an address that it was not granted, and
 * could not. Logged; whoever bound the device is told. */
void device_fault(uint32_t bdf, const char *what, uint64_t address, uint32_t reason);

/* ---- interrupts (irq.c) ---- */

struct irq_line;
struct irq_source {              /* one thing that may interrupt, and whom to tell */
	struct object *event;    /* referenced; NULL: unused */
	uint64_t bits;
	int vector;              /* message signalled: its own vector */
	struct irq_line *line;   /* else: the shared line */
	struct list link;        /* line->sources */
	bool unacked;            /* level: signalled, the line waits for the acknowledge */
};

/* Tell `event` of a new message-signalled vector, source->vector: 0, -X_ENOSPC. */
int irq_attach_vector(struct irq_source *source, struct object *event, uint64_t bits);
/* ... of a line of the IOAPIC. 0, -X_ENOSPC, -X_ENOMEM. */
int irq_attach_line(struct irq_source *source, uint32_t gsi, uint32_t flags,
		    struct object *event, uint64_t bits);
/* Silence the hardware first. Counts as the acknowledge, if one is due. */
void irq_detach(struct irq_source *source);
void irq_source_ack(struct irq_source *source);

/* Write the command register of a function. */
void device_command(uint32_t bdf, uint32_t value);

/* ---- shared by these files ---- */

#define BAR_COUNT   6u
#define DMA_WINDOWS 512u

struct dma_pin {
	struct list link;         /* device->pins or device->quarantine */
	struct memory *memory;    /* referenced, which keeps all its frames */
};

struct bar_span { uint32_t bar; uint64_t offset, bytes; }; /* part of a BAR */

struct device {
	struct object obj;
	struct list link;         /* all_devices */
	uint32_t bdf;
	struct x_bar bar[BAR_COUNT];
	uint32_t irq_gsi, irq_flags, msi_cap, msix_cap;
	uint64_t user;            /* koid of a process, 0: none */
	struct bar_span msix_table, msix_pba;
	volatile uint32_t *msix_entries;
	struct irq_source *sources;
	uint32_t source_count;    /* MSI-X entries, or 1 */
	struct list pins, quarantine;
	struct iommu_domain *domain; /* NULL: no grant yet, or no IOMMU */
	struct dma_window *windows; /* DMA_WINDOWS of them, from the first use on */
	uint32_t window_next;     /* where to look for a free one */
};

/* A reference to a device of the caller, or NULL and *error. */
struct device *device_handle(uint32_t handle, uint32_t rights, int *error);
/* The calling process is its user from now on. */
void device_use(struct device *d);

/* ---- memory that a device may reach (dma.c) ---- */

/* Its driver is gone, the device may still write: all is kept ... */
void dma_quarantine(struct device *d);
/* ... until now. */
void dma_quarantine_ends(struct device *d);

/* Does a physical range touch RAM that the kernel manages? */
bool range_meets_ram(uint64_t base, uint64_t bytes);

#endif
