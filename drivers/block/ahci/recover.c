/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After an error (AHCI 1.3.1, 6.2.2).
 *
 * The port stops by itself at a failed command; the others it had stay with it
 * until ST goes to 0, which clears PxCI and PxSACT. So: take what is finished,
 * stop the engine (HALTING), and when it stands:
 *
 *   not NCQ   PxCMD.CCS says which command failed: that one is an error, the
 *             others are given to the library again
 *   NCQ       all that are left may have been the one. The device takes nothing
 *             more until READ LOG EXT 10h was asked (LOG; a device may refuse
 *             that, which is as good). Then all are done again one by one, not
 *             as NCQ commands, so that the next error names its command, and
 *             NCQ begins again when as many were good
 *   link or bus error, or the device stays busy: everything from COMRESET on
 */
#include "drivers/block/ahci/ahci.h"

#define FATAL (PORT_INT_FATAL | PORT_INT_BUS | PORT_INT_BUS_DATA)

void recover_begin(struct port *p, uint32_t interrupts)
{
	uint32_t command = port_read(p, PORT_CMD), task = port_read(p, PORT_TFD);

	if (p->state != PORT_READY && p->state != PORT_IDENTIFY && p->state != PORT_CAPACITY && p->state != PORT_LOG)
		return;
	command_take(p);
	p->halted_from = p->state;
	p->failed_slot = p->queued ? SLOTS : PORT_CMD_SLOT(command);
	/* A refused READ LOG is expected. So is a media error: the library counts it. */
	if (p->state != PORT_LOG)
		server_log("%s: error, interrupt 0x%08x task file 0x%04x SError 0x%08x, %u commands", blockdrv_name(p->number),
			   interrupts, task & 0xffff, port_read(p, PORT_SERR), __builtin_popcount(p->issued));
	if (interrupts & FATAL) {
		if (p->halted_from == PORT_READY || p->halted_from == PORT_LOG)
			blockdrv_broken(p->number, "link or bus error");
		else
			port_start(p);
		return;
	}
	port_stop_engine(p);
	port_enter(p, PORT_HALTING);
	port_step(p); /* most stop at once */
}

static void end_all(struct port *p)
{
	uint32_t left = p->issued, count = __builtin_popcount(left);
	bool queued = p->queued;

	for (; left; left &= left - 1) {
		uint32_t slot = __builtin_ctz(left);

		if (p->slots[slot].use == SLOT_INTERNAL)
			command_end(p, slot, -X_EIO);
		else
			command_end(p, slot, slot == p->failed_slot ? -X_EIO : -X_EAGAIN);
	}
	if (p->ncq && p->serial_left < (queued ? count : 1))
		p->serial_left = queued ? count : 1;
}

void recover_halted(struct port *p)
{
	bool was_queued = p->queued && p->issued;

	port_write(p, PORT_SERR, port_read(p, PORT_SERR));
	if (port_read(p, PORT_TFD) & (PORT_TFD_BUSY | PORT_TFD_DRQ)) {
		if (p->halted_from == PORT_READY || p->halted_from == PORT_LOG)
			blockdrv_broken(p->number, "the device stays busy after an error");
		else
			port_start(p);
		return;
	}
	end_all(p);
	port_run(p);
	if (was_queued) {
		port_enter(p, PORT_LOG);
		command_internal(p, ATA_READ_LOG_EXT, 0, ATA_LOG_NCQ_ERROR, 1);
		return;
	}
	/* Commands of the bringing up are looked after there. */
	port_enter(p, p->halted_from == PORT_LOG ? PORT_READY : p->halted_from);
}

void recover_logged(struct port *p)
{
	/* Byte 0: bit 7 is clear if it was an NCQ command, whose tag is in bits 4:0. */
	if (!p->internal_failed && !(p->scratch[0] & 0x80))
		server_log("%s: it was tag %u", blockdrv_name(p->number), p->scratch[0] & 0x1f);
	p->internal_done = false;
	port_enter(p, PORT_READY);
}
