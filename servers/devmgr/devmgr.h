/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * devmgr, inside. It finds the PCI functions of the machine at its start, and
 * makes a device object of one when rs claims it for a driver.
 *
 *   acpi.c    tables: where ECAM is, how ISA interrupts are routed
 *   config.c  configuration space, by ECAM or by ports
 *   bus.c     enumeration
 *   bar.c     address ranges of a function
 *   match.c   match texts of manifests
 *   claim.c   the device object of a function
 *   main.c    the protocol
 *
 * Enumeration only reads. What disturbs a function (sizing its BARs) is done
 * when it is claimed: then no driver runs on it. So a restart of devmgr does
 * not touch devices in use.
 */
#ifndef DEVMGR_H
#define DEVMGR_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/ipc/server.h"

#define FUNCTIONS_MAX 256u
#define BARS_MAX      6u

struct function {
	uint32_t bdf;              /* bus << 8 | device << 3 | function */
	uint16_t vendor, device;
	uint32_t class_code;       /* class << 16 | subclass << 8 | interface */
	uint8_t header_type;
	uint8_t irq_line, irq_pin; /* pin 0: none */
	x_handle_t handle;         /* its object in the kernel, X_NO_HANDLE: not made */
	char name[16];             /* "0000:00:03.0" */
};

/* acpi.c: false: there is no such table. */
struct acpi_info {
	uint64_t ecam_base;        /* of bus 0; 0: no ECAM */
	uint32_t ecam_bus_last;
	struct { bool set; uint32_t gsi, flags; } isa[16]; /* flags X_IRQ_* */
};
void acpi_read(x_handle_t resource, struct acpi_info *info);

/* config.c */
void config_init(x_handle_t resource, const struct acpi_info *acpi);
uint32_t config_read(uint32_t bdf, uint32_t offset, uint32_t width); /* all ones if there is nothing */
void config_write(uint32_t bdf, uint32_t offset, uint32_t width, uint32_t value);
void config_write_command(uint32_t bdf, uint32_t value); /* by the kernel: changes what is decoded */
uint32_t config_capability(uint32_t bdf, uint8_t id); /* its offset, 0: none */

/* bus.c */
void bus_scan(void);
uint32_t function_count(void);
struct function *function_at(uint32_t index);

/* bar.c: sizes, and assigns those that firmware left out. Decoding is off meanwhile. */
void bars_read(const struct function *f, struct x_bar bars[BARS_MAX]);

/* match.c: -X_EINVAL for a text that is none, else 1 or 0. */
int match_function(const char *text, const struct function *f);

/* claim.c: 0 or negated error; f->handle is set. */
int claim_make(struct function *f, x_handle_t resource, const struct acpi_info *acpi);

#endif
