/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of lib/ipc only.
 *
 * A cookie names one use of one table slot: kind, generation, index. The
 * generation makes an answer or event for an earlier use of the slot
 * recognisable, so that every callback runs at most once for its own cause.
 */
#ifndef LIB_IPC_INTERNAL_H
#define LIB_IPC_INTERNAL_H

#include "lib/ipc/server.h"
#include "lib/region/region.h"

enum cookie_kind { COOKIE_STARTED = 1, COOKIE_BOUND, COOKIE_CONTROL };

static inline uint64_t cookie_make(enum cookie_kind kind, uint32_t generation, uint32_t index)
{
	return (uint64_t)kind << 60 | (uint64_t)generation << 16 | index;
}
static inline enum cookie_kind cookie_kind(uint64_t cookie) { return cookie >> 60; }
static inline uint32_t cookie_generation(uint64_t cookie) { return cookie >> 16; }
static inline uint32_t cookie_index(uint64_t cookie) { return cookie & 0xffff; }

/* outbox.c */
extern struct x_out outbox[X_MAX_OUT];
extern uint32_t outbox_count;
/* Commit what is there without receiving. */
void outbox_spill(void);

/* One commit_receive with the outbox; dies if it is refused. Returns items. */
uint32_t server_commit(struct x_in *in, uint32_t in_max, uint64_t deadline_ns);

/* Nothing of it is to be sent any more. */
void outbox_forget(void);

/* spoil.c: `svc inject NAME garbage` */
extern bool outbox_garbage;
void spoil_start(uint32_t seed); /* 0: all words of all answers */
void outbox_spoil(void);
size_t spoil_window(size_t len, uint64_t *word); /* where this is to be written besides; SIZE_MAX: nowhere */

extern bool outbox_starts; /* it has started calls in it */
bool outbox_is_high(void); /* to be committed between two items */

/* warm.c */
struct warm_item { uint64_t kind, id, object; }; /* kind: x_in_kind, or one of these */
#define WARM_TIMER     100u /* id: address of the timer */
#define WARM_BATCH_END 101u
#define WARM_PART      102u /* of batch_end: server_part() */
/* What is being worked on from now on; true: it is to be failed instead. */
bool warm_begin(uint64_t kind, uint64_t id, uint64_t object);
uint32_t warm_batch_max(void);
void warm_verify(void);                  /* check the log at each commit from now on */
void warm_die_at_entry(uint64_t number); /* the next `number`th entry to the kernel is the last */
/* Around a commit: of the region. */
void warm_before_commit(void);
void warm_after_commit(uint64_t epoch);
bool warm_log_is_half_full(void);
extern uint64_t server_delay_ns;         /* `svc inject NAME slow`: for each item */
/* Begins at the top of the loop again, or exits to be started cold. */
__attribute__((noreturn)) void warm_start(uint64_t arg);
bool server_state_check(void);                   /* server.c: ops->state_check */
__attribute__((noreturn)) void server_loop(void);

/* outbox.c, bind.c */
void started_reply(const struct x_in *in);
void bound_event(const struct x_in *in);

void bound_again(void); /* after a warm restart */

/* control.c */
void control_bind(void);
bool control_is_ready(void);
void control_ready_again(void);
void control_warm(uint64_t epoch);
void tell_rs(uint64_t bits);
void control_event(const struct server_ops *ops, uint64_t bits);
void control_ready_by_default(void); /* at the first commit */

/* timer.c */
uint64_t timer_next_deadline(void); /* X_FOREVER: none */
void timer_run_due(void);

/* memory.c */
uint64_t server_memory_end(void); /* of the region that is in use */

/* boot.c */
void boot_init(const struct x_boot_page *page);

#endif
