/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ahci, inside:
 *   main.c      the host bus adapter: hand-off, reset, interrupts
 *   port.c      a port's states, from nothing to a disk that serves
 *   command.c   slots: issuing commands, taking what is finished
 *   recover.c   what is done after an error
 *   identify.c  what IDENTIFY data say
 *   mmio.c      register access
 */
#ifndef AHCI_H
#define AHCI_H

#include "drivers/block/ahci/ahci_reg.h"
#include "drivers/block/ahci/ata_reg.h"
#include "lib/blockdrv/blockdrv.h"
#include "lib/ipc/server.h"

#define MS 1000000ull
#define SLOTS 32u

enum port_state {
	PORT_ABSENT,      /* no link; an interrupt tells of a plug */
	PORT_WAITING,     /* for the adapter's reset, or (staggered spin-up) for another port */
	PORT_STOPPING,    /* ST and FRE are 0: until the engines stand */
	PORT_COMRESET,    /* DET is 1 for a while */
	PORT_LINK,        /* until communication is up */
	PORT_SIGNATURE,   /* until the device is not busy and has told what it is */
	PORT_IDENTIFY,    /* IDENTIFY is under way */
	PORT_CAPACITY,    /* ATAPI: READ CAPACITY is under way; also of a drive that serves */
	PORT_NO_MEDIUM,   /* ATAPI: the drive is empty; asked again every second */
	PORT_READY,
	PORT_HALTING,     /* after an error: ST is 0, until the engine stands */
};

/* What a slot is used for. */
enum slot_use { SLOT_FREE, SLOT_REQUEST, SLOT_INTERNAL };

struct slot {
	enum slot_use use;
	struct blockdrv_request *request;
};

struct port {
	uint32_t number;
	bool implemented;
	enum port_state state;
	uint64_t deadline_ns;      /* of the state */
	uint32_t tries;            /* of bringing it up */
	bool reset;                /* just now, with the adapter */
	enum port_state halted_from;
	uint32_t failed_slot;      /* HALTING: of a command that was not queued, or SLOTS */
	enum port_state looked_from; /* CAPACITY: IDENTIFY, NO_MEDIUM or READY */
	uint32_t sense_key;        /* HALTING, ATAPI: what the command failed with */
	/* memory the device reads and writes */
	struct dma_buffer memory;
	struct ahci_header *list;
	struct ahci_table *tables;
	uint8_t *scratch;          /* a sector: IDENTIFY data, DSM ranges, log */
	uint64_t scratch_iova, received_iova, list_iova, tables_iova;
	/* commands */
	uint32_t issued;           /* slots the device has */
	uint32_t fresh;            /* filled, not yet told to the device */
	bool queued;               /* those issued are NCQ commands */
	bool runs;                 /* ST is 1: PxCI and PxSACT tell of commands. They are 0 otherwise! */
	uint32_t slot_limit;
	struct slot slots[SLOTS];
	uint32_t serial_left;      /* good commands to do one by one before NCQ again */
	bool internal_done, internal_failed;
	bool scratch_used;         /* by a DSM command under way */
	/* the device */
	bool atapi, lba48, ncq, trim;
	uint32_t logical_bytes;
	struct blockdrv_geometry identified; /* ATAPI: of the drive; with the medium's size, while it serves */
	uint64_t nonce;            /* of the cache epoch: when it was plugged in */
	bool cache_kept;           /* no sign of an exchange since the driver before us */
	bool off;                  /* switched off by BLOCK_CONTROL ... */
	uint64_t on_ns;            /* ... until then */
};

struct hba {
	x_handle_t device, event;
	uint32_t cap, implemented, port_count;
	bool up;
	bool intx;
	bool interrupted;          /* HBA_IS is to be looked at */
	struct port ports[AHCI_PORTS];
};
extern struct hba hba;

/* mmio.c */
int ahci_map(x_handle_t device);
uint32_t hba_read(uint32_t reg);
void hba_write(uint32_t reg, uint32_t value);
static inline uint32_t port_read(const struct port *p, uint32_t reg) { return hba_read(HBA_PORT(p->number) + reg); }
static inline void port_write(const struct port *p, uint32_t reg, uint32_t value)
{
	hba_write(HBA_PORT(p->number) + reg, value);
}

/* main.c */
void ahci_wake(void); /* the states are looked at again in a moment */
bool ahci_may_spin_up(const struct port *p); /* staggered: one port at a time */

/* port.c */
void port_start(struct port *p);
void port_step(struct port *p);             /* a state that waits looks again */
void port_enter(struct port *p, enum port_state state);
void port_link_changed(struct port *p, bool exchanged);
void port_unplugged(struct port *p);
void port_stop_engine(struct port *p);      /* ST to 0; it stands a little later */
bool port_engine_stands(const struct port *p);
void port_run(struct port *p);              /* ST to 1 */
bool port_waits(const struct port *p);
void port_medium_gone(struct port *p);      /* ATAPI: the drive serves no more until there is one */
int port_control(struct port *p, const char *command);

/* command.c */
void command_forget_all(struct port *p);    /* slots are free; the library takes requests back itself */
int command_submit(struct blockdrv_request *r);
void command_kick(struct port *p);
void command_take(struct port *p);          /* finished ones: completed */
void command_internal(struct port *p, uint32_t command, uint32_t feature, uint64_t lba, uint32_t count);
void command_packet(struct port *p, const uint8_t packet[12], uint32_t bytes);
void command_end(struct port *p, uint32_t slot, int status);
#define COMMAND_SECTORS(p, bytes) ((bytes) / (p)->logical_bytes)

/* recover.c */
void recover_begin(struct port *p, uint32_t interrupts);
void recover_halted(struct port *p);        /* PORT_HALTING: the engine stands */

/* identify.c: true if the data describe a disk that can be used. */
bool identify_disk(struct port *p, struct blockdrv_geometry *g);
bool identify_atapi(struct port *p, struct blockdrv_geometry *g);
bool identify_capacity(struct port *p, struct blockdrv_geometry *g);

#endif
