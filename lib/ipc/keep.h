/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named checkpoints of a service that restarts cold: what it saved is there for its
 * next incarnation. They lie in memory of rs, which the manifest asks for (`keep KIB`)
 * and which the service has mapped: saving and loading are copies, no calls.
 *
 * Each has a name, a version (of the layout of its data: another one's is not for us)
 * and a checksum, and takes two slots of KEEP_SLOT_BYTES in turn. So a death in the
 * middle of saving leaves the one before; one that is damaged is discarded with a word
 * in the log. rs discards all of them with a cold restart by `svc`, and when the
 * service keeps dying of late: perhaps of them.
 *
 * Not for services that restart warm: this memory is not rolled back.
 */
#ifndef LIB_IPC_KEEP_H
#define LIB_IPC_KEEP_H

#include <stdint.h>

#define KEEP_SLOT_BYTES 1024u
#define KEEP_NAME_BYTES 16u   /* with the NUL */
#define KEEP_DATA_BYTES (KEEP_SLOT_BYTES - KEEP_NAME_BYTES - 32u) /* the most one may hold */

/* 0; -X_ENOENT the manifest says no `keep`; -X_EINVAL a name or size that is not
 * possible; -X_ENOSPC no two slots for another name. */
int keep_save(const char *name, uint32_t version, const void *data, uint32_t bytes);
/* The bytes loaded, all that were saved; -X_ENOENT there is none (or it was of no use:
 * damaged, of another version, larger than `size`, and is gone now). */
int keep_load(const char *name, uint32_t version, void *data, uint32_t size);

#endif
