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
 *             more until it was asked (READ LOG EXT) or reset: COMRESET, for QEMU
 *             goes on with the others, and may write to their memory, until then.
 *             After it all are done again one by one, not as NCQ commands, so that
 *             the next error names its command, and NCQ begins again when as
 *             many were good
 *   ATAPI     a sense key that tells of a medium taken out or exchanged: requests
 *             under way are for the old one, and fail
 *   link or bus error, or the device stays busy: everything from COMRESET on
 */
#include "drivers/block/ahci/ahci.h"

#define FATAL (PORT_INT_FATAL | PORT_INT_BUS | PORT_INT_BUS_DATA)

void recover_begin(struct port *p, uint32_t interrupts)
{
	uint32_t command = port_read(p, PORT_CMD), task = port_read(p, PORT_TFD);

	if (p->state != PORT_READY && p->state != PORT_IDENTIFY && p->state != PORT_CAPACITY)
		return;
	command_take(p);
	p->halted_from = p->state;
	p->failed_slot = p->queued ? SLOTS : PORT_CMD_SLOT(command);
	p->sense_key = SENSE_KEY(task);
	if (p->state == PORT_READY || !p->atapi) /* an empty drive is asked again and again */
		server_log("%s: error, interrupt 0x%08x task file 0x%04x SError 0x%08x, %u commands",
			   blockdrv_name(p->number), interrupts, task & 0xffff, port_read(p, PORT_SERR),
			   __builtin_popcount(p->issued));
	if (interrupts & FATAL) {
		if (p->halted_from == PORT_READY)
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
	uint32_t serial_left;

	port_write(p, PORT_SERR, port_read(p, PORT_SERR));
	if (port_read(p, PORT_TFD) & (PORT_TFD_BUSY | PORT_TFD_DRQ)) {
		if (p->halted_from == PORT_READY)
			blockdrv_broken(p->number, "the device stays busy after an error");
		else
			port_start(p);
		return;
	}
	end_all(p);
	serial_left = p->serial_left;
	if (was_queued) {
		port_start(p);
		p->serial_left = serial_left;
		return;
	}
	port_run(p);
	/* Commands of the bringing up are looked after there. */
	port_enter(p, p->halted_from);
	if (p->atapi && p->state == PORT_READY && (p->sense_key == SENSE_NOT_READY || p->sense_key == SENSE_UNIT_ATTENTION))
		port_medium_gone(p);
}
