/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restart policy of one service: at once the first time; crashes in quick
 * succession wait 1, 2, 4 ... 1000 ms; a run of a second makes good; more than
 * POLICY_CRASHES in POLICY_WINDOW_NS and it is given up. What was asked for
 * (svc kill, restart, inject) counts for nothing. Pure, no system calls.
 */
#ifndef RS_POLICY_H
#define RS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_CRASHES     10u
#define POLICY_WINDOW_NS   30000000000ull
#define POLICY_GOOD_RUN_NS 1000000000ull
#define POLICY_DELAY_MAX_NS 1000000000ull
#define POLICY_DELAY_MIN_NS 1000000ull

struct policy { /* all zero: nothing has happened */
	uint32_t streak;                   /* crashes without a good run between */
	uint32_t crashes;                  /* ever counted */
	uint64_t crash_ns[POLICY_CRASHES]; /* ring of the last ones */
};

enum policy_verdict { POLICY_RESTART, POLICY_GIVE_UP };
struct policy_decision { enum policy_verdict verdict; uint64_t delay_ns; };

/* A crash at now_ns after uptime_ns of service (0: it never became ready). */
struct policy_decision policy_crash(struct policy *p, uint64_t now_ns, uint64_t uptime_ns, bool requested);
/* Half as many crashes in the window as make it be given up. */
bool policy_is_shaky(const struct policy *p, uint64_t now_ns);
void policy_reset(struct policy *p);

#endif
