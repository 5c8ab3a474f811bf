/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace of calls, for whoever wants to see what the services say to each other:
 * with `trace` on the command line every call and every answer leaves a record in a ring
 * of physical memory that the host reads (`./xinim exec --trace`, tools/calltrace.py:
 * the layout below is known there). Otherwise it costs a load and a branch each.
 */
#ifndef TRACE_H
#define TRACE_H

#include "port.h"

#define TRACE_MAGIC   "XINIM call trace"
#define TRACE_RECORDS 65536u

enum trace_kind { TRACE_CALL = 1, TRACE_ANSWER };

struct trace_record { /* 136 bytes */
	uint64_t number;          /* from 1; written last */
	uint64_t time_ns, call, object;
	uint64_t server;          /* koid: call: who received last at its port; answer: who answers */
	uint64_t a[4];            /* of the message */
	uint32_t kind, op;
	int32_t status;
	uint32_t window_bytes;    /* call: the first window's */
	char process[16];         /* who calls, or answers */
	char text[32];            /* call: what the first window begins with, if the server may read it */
};

struct trace_ring { /* at a page boundary */
	char magic[16];
	uint64_t next;            /* number of the next record, less one */
	uint64_t records;
	uint8_t reserved[96];
	struct trace_record record[TRACE_RECORDS];
};

extern struct trace_ring *trace_ring; /* NULL: no trace */

void trace_init(void);
void trace_record(const struct call *c, enum trace_kind kind);

static inline void trace_call(const struct call *c)
{
	if (trace_ring)
		trace_record(c, TRACE_CALL);
}

static inline void trace_answer(const struct call *c)
{
	if (trace_ring)
		trace_record(c, TRACE_ANSWER);
}

#endif
