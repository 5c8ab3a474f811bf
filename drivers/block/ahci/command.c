/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command slots of a port (AHCI 1.3.1, 5.5 and 5.6): filling them, telling the
 * device, taking what is finished.
 *
 * NCQ commands and others are never at the device together. A device with NCQ
 * gets other commands one at a time; one without may have as many as there are
 * slots: the adapter does them one after the other.
 *
 * What is finished is known by PxSACT (NCQ) or PxCI (others) going to 0. A
 * failed command leaves its bit set, and an interrupt says so: recover.c.
 */
#include "drivers/block/ahci/ahci.h"
#include "lib/c/string.h"

#define PACKET_READ_BYTES 2048u

void command_forget_all(struct port *p)
{
	memset(p->slots, 0, sizeof(p->slots));
	p->issued = p->fresh = 0;
	p->queued = p->internal_done = p->internal_failed = p->scratch_used = false;
	p->serial_left = 0;
}

/* ------------------------------------------------------------------------- filling */

/* Register FIS, host to device. */
static void fill_fis(struct ahci_table *t, uint32_t command, uint32_t feature, uint64_t lba, uint32_t count,
		     uint32_t device)
{
	uint8_t *f = t->fis;

	memset(f, 0, 20);
	f[0] = FIS_H2D;
	f[1] = FIS_H2D_COMMAND;
	f[2] = command;
	f[3] = feature;
	f[4] = lba;
	f[5] = lba >> 8;
	f[6] = lba >> 16;
	f[7] = device;
	f[8] = lba >> 24;
	f[9] = lba >> 32;
	f[10] = lba >> 40;
	f[11] = feature >> 8;
	f[12] = count;
	f[13] = count >> 8;
}

static void fill_header(struct port *p, uint32_t slot, uint32_t flags, uint32_t prds)
{
	p->list[slot].flags = AHCI_HEADER_FIS_WORDS | flags | prds << 16;
	p->list[slot].transferred = 0;
}

static void fill_prd(struct ahci_table *t, uint32_t i, uint64_t iova, uint32_t bytes)
{
	t->prd[i] = (struct ahci_prd){ .base_lo = (uint32_t)iova, .base_hi = iova >> 32, .bytes = bytes - 1 };
}

/* 0, or why the device can't reach the memory. */
static int fill_data(struct port *p, uint32_t slot, const struct blockdrv_request *r)
{
	if (r->segment_count > AHCI_PRDS)
		return -X_E2BIG;
	for (uint32_t i = 0; i < r->segment_count; i++) {
		const struct x_dma_segment *s = &r->segments[i];

		if (s->iova & 1 || s->bytes & 1 || s->bytes > AHCI_PRD_BYTES_MAX)
			return -X_EINVAL;
		if (!(hba.cap & HBA_CAP_64) && (s->iova + s->bytes) >> 32)
			return -X_EINVAL;
		fill_prd(&p->tables[slot], i, s->iova, s->bytes);
	}
	return 0;
}

static void fill_queued(struct port *p, uint32_t slot, const struct blockdrv_request *r)
{
	bool write = r->op == BLOCK_WRITE;

	fill_fis(&p->tables[slot], write ? ATA_WRITE_FPDMA : ATA_READ_FPDMA, COMMAND_SECTORS(p, r->length_bytes),
		 COMMAND_SECTORS(p, r->offset_bytes), slot << 3, ATA_DEVICE_LBA);
	fill_header(p, slot, write ? AHCI_HEADER_WRITE : 0, r->segment_count);
}

static void fill_dma(struct port *p, uint32_t slot, const struct blockdrv_request *r)
{
	bool write = r->op == BLOCK_WRITE;
	uint64_t lba = COMMAND_SECTORS(p, r->offset_bytes);
	uint32_t count = COMMAND_SECTORS(p, r->length_bytes), device = ATA_DEVICE_LBA, command;

	if (p->lba48) {
		command = write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT;
	} else {
		command = write ? ATA_WRITE_DMA : ATA_READ_DMA;
		device |= lba >> 24 & 0xf;
		lba &= 0xffffff;
	}
	fill_fis(&p->tables[slot], command, 0, lba, count, device);
	fill_header(p, slot, write ? AHCI_HEADER_WRITE : 0, r->segment_count);
}

static void fill_packet_read(struct port *p, uint32_t slot, const struct blockdrv_request *r)
{
	uint32_t lba = COMMAND_SECTORS(p, r->offset_bytes), count = COMMAND_SECTORS(p, r->length_bytes);
	const uint8_t packet[12] = {
		PACKET_READ_12, 0, lba >> 24, lba >> 16, lba >> 8, lba, count >> 24, count >> 16, count >> 8, count,
	};

	fill_fis(&p->tables[slot], ATA_PACKET, ATA_PACKET_DMA, (uint64_t)PACKET_READ_BYTES << 8, 0, 0);
	memcpy(p->tables[slot].packet, packet, sizeof(packet));
	fill_header(p, slot, AHCI_HEADER_ATAPI, r->segment_count);
}

/* One block of ranges, in the port's scratch sector. */
static void fill_trim(struct port *p, uint32_t slot, const struct blockdrv_request *r)
{
	uint64_t lba = COMMAND_SECTORS(p, r->offset_bytes), left = COMMAND_SECTORS(p, r->length_bytes);

	memset(p->scratch, 0, ATA_SECTOR_BYTES);
	for (uint32_t i = 0; i < DSM_RANGES && left; i++) {
		uint64_t count = left < DSM_RANGE_SECTORS_MAX ? left : DSM_RANGE_SECTORS_MAX;
		uint64_t range = lba | count << 48;

		memcpy(p->scratch + 8 * i, &range, 8);
		lba += count;
		left -= count;
	}
	p->scratch_used = true;
	fill_prd(&p->tables[slot], 0, p->scratch_iova, ATA_SECTOR_BYTES);
	fill_fis(&p->tables[slot], ATA_DATA_SET_MANAGEMENT, ATA_DSM_TRIM, 0, 1, ATA_DEVICE_LBA);
	fill_header(p, slot, AHCI_HEADER_WRITE, 1);
}

static int fill(struct port *p, uint32_t slot, const struct blockdrv_request *r, bool queued)
{
	int err;

	if (r->op == BLOCK_FLUSH) {
		fill_fis(&p->tables[slot], p->lba48 ? ATA_FLUSH_CACHE_EXT : ATA_FLUSH_CACHE, 0, 0, 0, ATA_DEVICE_LBA);
		fill_header(p, slot, 0, 0);
		return 0;
	}
	if (r->op == BLOCK_DISCARD) {
		fill_trim(p, slot, r);
		return 0;
	}
	err = fill_data(p, slot, r);
	if (err)
		return err;
	if (p->atapi)
		fill_packet_read(p, slot, r);
	else if (queued)
		fill_queued(p, slot, r);
	else
		fill_dma(p, slot, r);
	return 0;
}

/* ---------------------------------------------------------------------- submitting */

static uint32_t free_slot(const struct port *p)
{
	uint32_t busy = p->issued | p->fresh, slot = busy == ~0u ? SLOTS : (uint32_t)__builtin_ctz(~busy);

	return slot < p->slot_limit ? slot : SLOTS;
}

static bool may_go(const struct port *p, const struct blockdrv_request *r, bool queued)
{
	bool busy = p->issued | p->fresh;

	if (!busy)
		return true;
	if (queued || p->queued)
		return queued && p->queued;
	return !p->ncq && !p->serial_left && !(r->op == BLOCK_DISCARD && p->scratch_used);
}

int command_submit(struct blockdrv_request *r)
{
	struct port *p = &hba.ports[r->disk];
	bool queued = p->ncq && !p->serial_left && (r->op == BLOCK_READ || r->op == BLOCK_WRITE);
	uint32_t slot = free_slot(p);
	int err;

	if (p->state != PORT_READY || slot == SLOTS || !may_go(p, r, queued))
		return -X_EAGAIN;
	err = fill(p, slot, r, queued);
	if (err)
		return err;
	p->slots[slot] = (struct slot){ SLOT_REQUEST, r };
	r->device_slot = slot;
	p->queued = queued;
	p->fresh |= 1u << slot;
	return 0;
}

void command_kick(struct port *p)
{
	if (!p->fresh)
		return;
	dma_sync_for_device();
	p->issued |= p->fresh;
	if (p->queued)
		port_write(p, PORT_SACT, p->fresh);
	port_write(p, PORT_CI, p->fresh);
	p->fresh = 0;
}

/* Our own commands, with the scratch sector; nothing else is under way. */
static void issue_internal(struct port *p)
{
	p->slots[0] = (struct slot){ SLOT_INTERNAL, NULL };
	p->internal_done = p->internal_failed = false;
	p->queued = false;
	p->fresh = 1;
	command_kick(p);
}

void command_internal(struct port *p, uint32_t command, uint32_t feature, uint64_t lba, uint32_t count)
{
	memset(p->scratch, 0, ATA_SECTOR_BYTES);
	fill_prd(&p->tables[0], 0, p->scratch_iova, ATA_SECTOR_BYTES);
	fill_fis(&p->tables[0], command, feature, lba, count, ATA_DEVICE_LBA);
	fill_header(p, 0, 0, 1);
	issue_internal(p);
}

void command_packet(struct port *p, const uint8_t packet[12], uint32_t bytes)
{
	memset(p->scratch, 0, ATA_SECTOR_BYTES);
	fill_prd(&p->tables[0], 0, p->scratch_iova, bytes);
	fill_fis(&p->tables[0], ATA_PACKET, ATA_PACKET_DMA, (uint64_t)bytes << 8, 0, 0);
	memset(p->tables[0].packet, 0, sizeof(p->tables[0].packet));
	memcpy(p->tables[0].packet, packet, 12);
	fill_header(p, 0, AHCI_HEADER_ATAPI, 1);
	issue_internal(p);
}

/* -------------------------------------------------------------------------- taking */

void command_end(struct port *p, uint32_t slot, int status)
{
	struct slot s = p->slots[slot];

	p->issued &= ~(1u << slot);
	p->slots[slot] = (struct slot){ SLOT_FREE, NULL };
	if (s.use == SLOT_INTERNAL) {
		p->internal_done = true;
		p->internal_failed = status != 0;
		return;
	}
	if (s.request->op == BLOCK_DISCARD)
		p->scratch_used = false;
	if (!status && !p->queued && p->serial_left)
		p->serial_left--;
	blockdrv_complete(s.request, status);
}

/* A read that brought fewer bytes than asked for, as far as the adapter counts
 * them (not for NCQ, 4.2.2), is none. */
static int result(const struct port *p, uint32_t slot)
{
	const struct slot *s = &p->slots[slot];

	if (p->queued || s->use != SLOT_REQUEST || s->request->op != BLOCK_READ)
		return 0;
	return p->list[slot].transferred < s->request->length_bytes ? -X_EIO : 0;
}

void command_take(struct port *p)
{
	uint32_t done;

	if (!p->issued || !p->runs)
		return;
	done = p->issued & ~port_read(p, p->queued ? PORT_SACT : PORT_CI);
	dma_sync_for_cpu();
	for (; done; done &= done - 1) {
		uint32_t slot = __builtin_ctz(done);

		command_end(p, slot, result(p, slot));
	}
}
