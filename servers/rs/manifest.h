/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Manifests: the text that says what a service is, may have and needs
 * (docs/manifest.md). Pure parsing, no system calls.
 */
#ifndef RS_MANIFEST_H
#define RS_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_BYTES     16u  /* a service's name with its NUL */
#define MANIFEST_NAMES 16u  /* services in one `needs` or `uses` line set */

enum service_kind { KIND_NONE, KIND_DRIVER, KIND_FS, KIND_SERVER };
enum resource_grant { RESOURCE_NONE, RESOURCE_PROCESSES, RESOURCE_ALL };

struct manifest {
	char name[NAME_BYTES];
	enum service_kind kind;
	uint32_t need_count, use_count;
	char needs[MANIFEST_NAMES][NAME_BYTES];
	char uses[MANIFEST_NAMES][NAME_BYTES];
	uint32_t needs_line[MANIFEST_NAMES], uses_line[MANIFEST_NAMES]; /* where each stands */
	char match[128];             /* "": no device */
	uint32_t ioport_base, ioport_count; /* count 0: none */
	int32_t irq;                 /* ISA line, -1: none */
	enum resource_grant resource;
	uint32_t band;               /* X_BAND_* */
	uint32_t heartbeat_period_ms, heartbeat_deadline_ms; /* 0: not watched */
	bool restart;                /* `restart always` (default), `warm` or `never` */
	uint32_t warm_log_kib;       /* `restart warm`: of the undo log; 0: cold */
	uint32_t memory_mib;         /* 0: no limit given */
	uint32_t keep_kib;           /* of checkpoints that outlive an incarnation; 0: none */
	uint32_t instances;          /* `instances`: how many there may be; further ones start when asked for */
	uint32_t cpu_percent, cpu_seconds; /* more of a CPU for so long is too much; 0: no limit */
	uint32_t answer_ms;          /* how long a call may be open, 0: as long as it likes */
	char args[512];              /* NUL-separated */
	uint32_t arg_bytes;
	bool gives_personality;
	bool node;                   /* it serves /dev/<its name> */
	bool takes_nodes;            /* it is given all of these: vfs */
	uint32_t seen;               /* keys met so far, for duplicates */
	uint32_t errors;             /* lines refused: the service is not to be started */
};

#define WARM_LOG_KIB 512u
#define HEARTBEAT_PERIOD_MS   100u
#define HEARTBEAT_DEADLINE_MS 500u

/* Called for each mistake; line 0: the file as a whole. */
typedef void (*manifest_report)(void *ctx, const char *service, uint32_t line, const char *reason);

/* A service's name: 1 to 15 of a-z 0-9 _, beginning with a letter. */
bool manifest_name_valid(const char *name);

/* Parse all of the text; returns the number of mistakes, each reported.
 * *m is complete (with defaults) in any case. */
uint32_t manifest_parse(struct manifest *m, const char *name, const char *text, size_t bytes,
			manifest_report report, void *ctx);

#endif
