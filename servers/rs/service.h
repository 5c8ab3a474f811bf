/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services: the table, their states, and who does what to them.
 *
 *   DEAD ----start----> STARTING --ready--> RUNNING --stop--> STOPPING --> DEAD
 *                          |                 |  ^                |
 *                          |   exit, fault,  |  | ready          | restart
 *                          |   hang, kill    v  |                v
 *                          +------------> CRASHED --> RECOVERING (= starting again)
 *                          v                 |
 *                        FAILED <--given up--+
 *
 * A service with `restart warm` whose process halted goes straight from CRASHED
 * to RECOVERING: the process is reset in place and keeps all it has.
 *
 * In CRASHED either the old process is still dying (process != X_NO_HANDLE) or
 * the restart waits for its back-off. The port is made once and outlives all
 * incarnations; everything else of an incarnation is closed when it ends.
 * FAILED: nobody is going to serve the port; undertaker.c answers its calls.
 */
#ifndef RS_SERVICE_H
#define RS_SERVICE_H

#include "lib/ipc/server.h"
#include "proto/rs.h"
#include "servers/rs/archive.h"
#include "servers/rs/graph.h"
#include "servers/rs/manifest.h"
#include "servers/rs/outage.h"
#include "servers/rs/policy.h"

#define SERVICE_MAX 64u /* manifests and further instances of drivers */

enum service_state {
	SERVICE_DEAD, SERVICE_STARTING, SERVICE_RUNNING, SERVICE_STOPPING,
	SERVICE_CRASHED, SERVICE_RECOVERING, SERVICE_FAILED,
};

enum cause {
	CAUSE_NONE, CAUSE_EXIT, CAUSE_EXCEPTION, CAUSE_MEMORY, CAUSE_HANG, CAUSE_TIMEOUT,
	CAUSE_KILLED, CAUSE_REQUESTED, CAUSE_DEPENDENCY, CAUSE_DMA, CAUSE_CPU, CAUSE_GARBAGE,
	CAUSE_COUNT,
};

enum stop_goal { STOP_FOR_GOOD, STOP_TO_RESTART };

#define STARTUP_DEADLINE_NS 10000000000ull /* from process to ready */
#define DEADLINE_PARTS 10u                 /* of those by which a service is judged, see service_on_deadline() */
#define STARTUP_TRIES 3u
#define CANNOT_START_NS     500000000ull /* after it said so, to the next try of one that once served */
#define STOP_DEADLINE_NS      500000000ull /* to finish what is open */
#define STOP_FILES_NS       30000000000ull /* ... of a filesystem that gets on with nothing */
#define STOP_FILES_MOST_NS 600000000000ull /* ... of one that does: to write it all out */
#define STOP_FILES_ITEMS 8u                /* so many delivered in a part of the deadline are getting on; a tick a second is not */
#define DEATH_DEADLINE_NS   10000000000ull /* from kill to the kernel's notice */
#define WARM_DEADLINE_NS     1000000000ull /* from reset in place to the next commit */
#define WARM_TRIES 5u                      /* without a good run between: then cold */
#define WARM_GOOD_RUN_NS     1000000000ull
#define KEEP_DEATHS 3u                     /* so many without a good run: without its checkpoints */
#define PREPARE_AFTER_NS      20000000ull /* a run of that: make the next process */
#define PING_PERIOD_NS       1000000000ull
#define PING_DEADLINE_NS     2000000000ull

struct spare { x_handle_t process; uint64_t entry; }; /* process: X_NO_HANDLE if there is none */

struct service {
	char name[NAME_BYTES];          /* of the instance: "virtio_blk.1" */
	const struct manifest *manifest;
	uint32_t base, instance;        /* index of instance 0; 0, 1, ... */
	uint64_t needs, uses;           /* masks over the table */
	bool is_rs;
	bool broken;                    /* never to be started: manifest, cycle, binary */

	enum service_state state;
	uint64_t state_since_ns;
	char why[128];                  /* of the state: shown by status and tree */
	bool wanted;                    /* to be started as soon as its needs are met */
	enum stop_goal stop_goal;

	x_handle_t port, process, control, rs_event, device;
	x_handle_t keep;                /* memory of its checkpoints (lib/ipc/keep.h); made when needed */
	char device_name[16];
	uint64_t incarnation;
	struct server_timer deadline;   /* of the state */
	uint64_t part_ns;               /* ... one part of it, and how many went by */
	uint32_t parts;
	uint64_t seen_delivered;        /* to its port, at the end of the last part */
	struct server_timer random_kill; /* `svc inject NAME random` */
	struct spare spare;             /* the next incarnation's process, memory only */

	/* claiming a device */
	bool claiming;
	bool absent;                    /* no such device: failed, but no mishap */
	uint32_t claim_tries;

	/* this incarnation */
	uint64_t started_ns, ready_ns, down_ns;
	uint64_t ping_ns;               /* ping under way since, 0: none */
	uint64_t last_ping_ns;
	uint64_t seen_iteration_ns;     /* heartbeat: iteration at the last look ... */
	uint32_t seen_looks;            /* ... and how often it was the same */
	uint64_t seen_ran_ns;           /* ... and how long it had run */
	uint64_t last_look_ns;
	uint64_t patient_ns;            /* until then the full deadline counts: it hung of late */
	bool verifying;                 /* compares its region at each commit, which takes long */
	uint64_t last_asked_ns, last_ran_ns; /* for its chance to run: when, and its running time then */
	uint64_t little_ns;             /* running time in looks without a chance */
	uint64_t cpu_window_ns, cpu_ran_ns; /* budget.c: a second, and its running time then */
	uint32_t cpu_over;              /* windows over its budget, one after the other */
	char budget_text[80];           /* what it was killed for, "": not for that */
	uint8_t peer[RS_EVENT_PEERS];   /* index of the service behind each boot handle, SERVICE_MAX: none */
	bool probing;                   /* after a complaint of a peer; with this question */
	uint64_t probe, complained_ns;
	bool cannot_start;              /* it said so: RS_EVENT_FAILED */
	bool has_served;                /* in this or another incarnation it has been ready */
	bool injected;                  /* a fault was asked for: does not count */
	bool was_ready;                 /* so there is a state to go on with */
	bool cold;                      /* the next restart is to be cold */
	uint64_t entry;                 /* of its program */
	uint32_t warm_streak;           /* warm restarts without a good run between */
	uint64_t warm_ns;               /* the last one, 0: none */
	enum cause kill_cause;          /* why rs is killing it */

	/* all incarnations */
	uint64_t complaints, restarts, warm_restarts, failed_recoveries, items_failed, cause_count[CAUSE_COUNT];
	enum cause last_cause;
	char last_text[112];
	struct policy policy;
	struct outages outages;
};

extern struct service services[SERVICE_MAX];
extern uint32_t service_count;
extern struct graph graph;
extern struct archive archive;
extern bool shutting_down;

/* ---- service.c: the table ---- */
struct service *service_find(const char *name);
const char *service_state_name(enum service_state s);
/* For people: "absent" for a driver whose device is not there. */
const char *service_shown_state(const struct service *s);
const char *cause_name(enum cause c);
/* The one setter: logs old -> new, arms the deadline (0: none). */
__attribute__((format(printf, 4, 5)))
void service_set_state(struct service *s, enum service_state state, uint64_t deadline_ns, const char *why, ...);
/* A further instance of s's driver, or NULL if the table is full. */
struct service *service_add_instance(struct service *s, uint32_t instance);
void service_init(struct service *s, const char *name, const struct manifest *m, uint32_t base,
		  uint32_t instance);
static inline uint32_t service_index(const struct service *s) { return s - services; }

/* ---- spawn.c: one incarnation's process ---- */
int spawn_init(void);
/* Its image in the archive, or NULL. */
const void *spawn_binary(const struct service *s, uint64_t *bytes);
bool spawn_has_binary(const struct service *s, const char **wrong);
/* NULL: it runs; else what failed (nothing is left behind). */
const char *spawn(struct service *s);
/* Make the next incarnation's process beforehand, as far as possible; drop it. */
void spawn_prepare(struct service *s);
void spawn_unprepare(struct service *s);
/* After rs itself has died: the process made beforehand may have been given things
 * in the iteration that was undone. Another one is made soon. */
void spawn_distrust(struct service *s);
/* The halted process goes on at its last commit, when ours takes effect. */
void spawn_warm(struct service *s, bool blame);
/* After death: close everything of the incarnation, quiet its device, reset its port. */
void spawn_reap(struct service *s);
/* Its checkpoints, if it has any, are not for its next incarnation. */
void spawn_forget(struct service *s, const char *why);

/* ---- supervise.c: events of a service's life ---- */
void service_start(struct service *s);
void service_stop(struct service *s, enum stop_goal goal);
void service_kill(struct service *s, enum cause cause);
void service_launch(struct service *s);               /* in STARTING, device at hand */
void service_fail(struct service *s, const char *why);
void service_absent(struct service *s, const char *why); /* the same without a word on the console */
void service_on_death(void *service, uint64_t bits);  /* event_fn */
void service_on_event(void *service, uint64_t bits);  /* event_fn: rs_event */
void service_on_deadline(void *service);              /* timer */
void service_record_death(struct service *s, const struct x_proc_info *i);
/* Start what waits for others and can go now; cheap when nothing changed. */
void service_start_eligible(void);
void service_graph_changed(void);

/* ---- the other files ---- */
void claim_device(struct service *s);                 /* claim.c */
bool service_is_hidden(const struct service *s);      /* of `svc list`: a spare instance */
void heartbeat_start(void);                           /* heartbeat.c */
/* In the time since it was last asked: did the service wait for something, or run
 * for a good part of it, or for as much as all of it since there was a chance? If others kept the CPU from it, or the host the whole
 * machine, its deadlines move. */
bool heartbeat_had_a_chance(struct service *s);
/* An instance for a further device, of which there is none. */
static inline bool service_is_spare(const struct service *s)
{
	return s->state == SERVICE_DEAD && s->instance && s->device == X_NO_HANDLE && !s->wanted;
}
bool self_restarted(void);                            /* self.c: rs has died; is the table sound? */
void self_kill(enum cause cause);                     /* self.c: rs ends, to be restarted by the kernel */
void budget_look(struct service *s);                  /* budget.c: kills it if it takes too much */
void service_probe(struct service *s);                /* complaint.c: puts a question, unless one is under way */
void complaints_of(const struct service *who, uint64_t bits); /* complaint.c: RS_EVENT_PEER() */
void undertaker_bury(struct service *s);              /* undertaker.c: answer what is queued */
void init_check(void);                                /* init.c: first Linux process */
void init_again(void);                                /* init.c: after it gave up */
void safe_begin(const char *why);                     /* safe.c: commands on the console */
void init_on_death(const struct service *s);          /* init.c: programs end with pm and vfs */
void poweroff_start(bool reboot);                     /* poweroff.c */
void poweroff_step(void);
void poweroff_goes_on(void); /* no step, but who is stopping gets on */

#endif
