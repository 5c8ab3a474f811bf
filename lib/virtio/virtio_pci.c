/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over PCI: capabilities, status, features, queues (contract in
 * virtio_pci.h).
 */
#include "lib/virtio/virtio_pci.h"

#include "lib/c/string.h"
#include <xinim/syscall.h>

#define CAPABILITIES_MAX 48u   /* what fits config space; ends a looping list */
#define CONFIG_TRIES     10u
#define REGION_MAX       (1u << 20)

#define COMMON(field) offsetof(struct virtio_pci_common, field)

/* --------------------------------------------------------------------- probing */

static uint32_t config_read(x_handle_t device, uint32_t offset, uint32_t width)
{
	int64_t value = x_device_config(device, offset, width, 0, 0);

	return value < 0 ? 0 : (uint32_t)value;
}

static int map_region(x_handle_t device, uint32_t cap, struct virtio_region *r)
{
	uint32_t bar = config_read(device, cap + VIRTIO_CAP_BAR, 1);
	uint32_t offset = config_read(device, cap + VIRTIO_CAP_OFFSET, 4);
	uint32_t bytes = config_read(device, cap + VIRTIO_CAP_LENGTH, 4);
	int64_t addr;

	if (r->base || bar > 5 || !bytes || offset + bytes < offset || offset % 4)
		return 0; /* a second one of its type, or one we can't use */
	if (bytes > REGION_MAX)
		bytes = REGION_MAX;
	addr = x_device_map(device, bar, offset, bytes);
	if (addr < 0)
		return addr;
	r->base = (volatile uint8_t *)(uintptr_t)addr;
	r->bytes = bytes;
	return 0;
}

static int take_capability(struct virtio_pci *v, uint32_t cap)
{
	switch (config_read(v->device, cap + VIRTIO_CAP_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON:
		return map_region(v->device, cap, &v->common);
	case VIRTIO_PCI_CAP_NOTIFY:
		if (!v->notify.base)
			v->notify_multiplier = config_read(v->device, cap + VIRTIO_CAP_NOTIFY_MULT, 4);
		return map_region(v->device, cap, &v->notify);
	case VIRTIO_PCI_CAP_ISR:
		return map_region(v->device, cap, &v->isr);
	case VIRTIO_PCI_CAP_DEVICE:
		return map_region(v->device, cap, &v->config);
	}
	return 0;
}

int virtio_pci_probe(struct virtio_pci *v, x_handle_t device)
{
	uint32_t cap, left = CAPABILITIES_MAX;
	int64_t err;

	memset(v, 0, sizeof(*v));
	v->device = device;
	if (config_read(device, 0, 2) != VIRTIO_PCI_VENDOR ||
	    !(config_read(device, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return -X_ENODEV;
	err = x_device_ctl(device, X_DEV_ENABLE, 0);
	if (err < 0)
		return err;
	for (cap = config_read(device, PCI_CAPABILITIES, 1) & ~3u; cap >= 0x40 && left; left--) {
		if (config_read(device, cap, 1) == PCI_CAP_VENDOR) {
			err = take_capability(v, cap);
			if (err)
				return err;
		}
		cap = config_read(device, cap + 1, 1) & ~3u;
	}
	if (v->common.bytes < sizeof(struct virtio_pci_common) || v->notify.bytes < 2 || !v->isr.bytes)
		return -X_ENODEV;
	return 0;
}

/* ---------------------------------------------------------------- status, reset */

static uint8_t status_read(struct virtio_pci *v)
{
	return reg_read8(&v->common, COMMON(device_status));
}

static void status_add(struct virtio_pci *v, uint8_t bits)
{
	reg_write8(&v->common, COMMON(device_status), status_read(v) | bits);
}

void virtio_pci_reset_begin(struct virtio_pci *v)
{
	v->features = 0;
	reg_write8(&v->common, COMMON(device_status), 0);
}

int virtio_pci_reset_finished(struct virtio_pci *v)
{
	int64_t err;

	if (status_read(v))
		return -X_EAGAIN;
	/* Only now is it sure that the device writes to nobody's memory. */
	err = x_device_ctl(v->device, X_DEV_BUS_MASTER_ON, 0);
	if (err < 0)
		return err;
	status_add(v, VIRTIO_STATUS_ACKNOWLEDGE);
	status_add(v, VIRTIO_STATUS_DRIVER);
	return 0;
}

static uint64_t features_offered(struct virtio_pci *v)
{
	uint64_t features;

	reg_write32(&v->common, COMMON(device_feature_select), 0);
	features = reg_read32(&v->common, COMMON(device_feature));
	reg_write32(&v->common, COMMON(device_feature_select), 1);
	return features | (uint64_t)reg_read32(&v->common, COMMON(device_feature)) << 32;
}

int virtio_pci_negotiate(struct virtio_pci *v, uint64_t wanted, uint64_t needed)
{
	uint64_t features = features_offered(v) & (wanted | needed);

	if ((features & needed) != needed)
		return -X_EOPNOTSUPP;
	reg_write32(&v->common, COMMON(driver_feature_select), 0);
	reg_write32(&v->common, COMMON(driver_feature), (uint32_t)features);
	reg_write32(&v->common, COMMON(driver_feature_select), 1);
	reg_write32(&v->common, COMMON(driver_feature), features >> 32);
	status_add(v, VIRTIO_STATUS_FEATURES_OK);
	if (!(status_read(v) & VIRTIO_STATUS_FEATURES_OK))
		return -X_EOPNOTSUPP;
	v->features = features;
	return 0;
}

void virtio_pci_driver_ok(struct virtio_pci *v)
{
	status_add(v, VIRTIO_STATUS_DRIVER_OK);
}

void virtio_pci_failed(struct virtio_pci *v)
{
	status_add(v, VIRTIO_STATUS_FAILED);
}

bool virtio_pci_needs_reset(struct virtio_pci *v)
{
	return status_read(v) & VIRTIO_STATUS_NEEDS_RESET;
}

/* ------------------------------------------------------------------- interrupts */

/* Vector 0 for configuration changes, from 1 on for queues; one for both; or INTx. */
int virtio_pci_interrupts(struct virtio_pci *v, x_handle_t event)
{
	int64_t vectors = x_device_ctl(v->device, X_DEV_VECTORS, 0), err = 0;
	uint32_t wanted = 1 + (v->queue_vectors ? v->queue_vectors : 1);

	if (!v->irq_connected) {
		v->vectors = vectors < 0 ? 0 : vectors > wanted ? wanted : (uint32_t)vectors;
		if (!v->vectors)
			err = x_device_irq(v->device, 0, event, VIRTIO_EVENT_INTX);
		else if (v->vectors == 1)
			err = x_device_irq(v->device, 0, event, VIRTIO_EVENT_QUEUE | VIRTIO_EVENT_CONFIG);
		else
			err = x_device_irq(v->device, 0, event, VIRTIO_EVENT_CONFIG);
		for (uint32_t i = 1; !err && i < v->vectors; i++)
			err = x_device_irq(v->device, i, event, VIRTIO_EVENT_QUEUE);
		if (err < 0)
			return err;
		v->irq_connected = true;
	}
	if (!v->vectors)
		return 0;
	reg_write16(&v->common, COMMON(config_msix_vector), 0);
	return reg_read16(&v->common, COMMON(config_msix_vector)) == 0 ? 0 : -X_EIO;
}

uint32_t virtio_pci_interrupt_cause(struct virtio_pci *v, uint64_t bits)
{
	uint32_t cause = bits & (VIRTIO_EVENT_QUEUE | VIRTIO_EVENT_CONFIG);
	uint8_t isr;

	if (!(bits & VIRTIO_EVENT_INTX))
		return cause;
	isr = reg_read8(&v->isr, 0); /* this read lowers the line, then it may be unmasked */
	x_device_ctl(v->device, X_DEV_IRQ_ACK, 0);
	if (isr & VIRTIO_ISR_QUEUE)
		cause |= VIRTIO_EVENT_QUEUE;
	if (isr & VIRTIO_ISR_CONFIG)
		cause |= VIRTIO_EVENT_CONFIG;
	return cause;
}

/* ----------------------------------------------------------------------- queues */

uint32_t virtio_pci_queue_size(struct virtio_pci *v, uint16_t index)
{
	if (index >= reg_read16(&v->common, COMMON(num_queues)))
		return 0;
	reg_write16(&v->common, COMMON(queue_select), index);
	return reg_read16(&v->common, COMMON(queue_size));
}

static void write_address(struct virtio_pci *v, uint32_t at, uint64_t iova)
{
	reg_write32(&v->common, at, (uint32_t)iova);
	reg_write32(&v->common, at + 4, iova >> 32);
}

int virtio_pci_queue_setup(struct virtio_pci *v, uint16_t index, const struct virtqueue *q)
{
	uint16_t vector = v->vectors < 2 ? v->vectors ? 0 : VIRTIO_NO_VECTOR : 1 + index % (v->vectors - 1);

	reg_write16(&v->common, COMMON(queue_select), index);
	reg_write16(&v->common, COMMON(queue_size), q->size);
	reg_write16(&v->common, COMMON(queue_msix_vector), vector);
	if (reg_read16(&v->common, COMMON(queue_msix_vector)) != vector)
		return -X_EIO;
	write_address(v, COMMON(queue_desc_lo), q->desc_iova);
	write_address(v, COMMON(queue_driver_lo), q->avail_iova);
	write_address(v, COMMON(queue_device_lo), q->used_iova);
	reg_write16(&v->common, COMMON(queue_enable), 1);
	return 0;
}

int virtio_pci_notify_offset(struct virtio_pci *v, uint16_t index)
{
	uint64_t offset;

	reg_write16(&v->common, COMMON(queue_select), index);
	offset = (uint64_t)reg_read16(&v->common, COMMON(queue_notify_off)) * v->notify_multiplier;
	return offset + 2 <= v->notify.bytes && !(offset & 1) ? (int)offset : -X_EPROTO;
}

void virtio_pci_kick(struct virtio_pci *v, uint16_t index, uint32_t notify_offset)
{
	reg_write16(&v->notify, notify_offset, index);
}

/* --------------------------------------------------------- device configuration */

static void config_copy(struct virtio_pci *v, uint32_t offset, uint8_t *to, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = offset + i < v->config.bytes ? reg_read8(&v->config, offset + i) : 0;
}

bool virtio_pci_config_changed(struct virtio_pci *v)
{
	uint8_t before = v->config_generation;

	v->config_generation = reg_read8(&v->common, COMMON(config_generation));
	return v->config_generation != before;
}

void virtio_pci_config(struct virtio_pci *v, uint32_t offset, void *buf, uint32_t bytes)
{
	for (unsigned i = 0; i < CONFIG_TRIES; i++) {
		uint8_t generation = reg_read8(&v->common, COMMON(config_generation));

		config_copy(v, offset, buf, bytes);
		if (reg_read8(&v->common, COMMON(config_generation)) == generation)
			return;
	}
}
