/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The root resource: the right to create processes (X_R_EXEC) and devices, I/O
 * ranges, physical memory objects, and to stop the machine (X_R_MANAGE). The
 * first process gets it from the kernel.
 */
#ifndef RESOURCE_H
#define RESOURCE_H

#include "object.h"

int resource_check(uint32_t slot, uint32_t rights); /* of the current process: 0 or an error */
struct object *resource_create(void);

#endif
