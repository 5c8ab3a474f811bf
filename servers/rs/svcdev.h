/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/svc: what is written is a command, what is read is its result.
 */
#ifndef RS_SVCDEV_H
#define RS_SVCDEV_H

#include "lib/ipc/server.h"

void svcdev_open(const struct x_in *in);   /* DEV_OPEN on the port */
void svcdev_call(const struct x_in *in);   /* a call on an open file */
void svcdev_closure(uint64_t object, uint64_t mints);

#endif
