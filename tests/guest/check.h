/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest programs share. Each runs on the host and in the guest; the
 * outputs must be equal, so they print no pids, addresses or times.
 */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition) do { \
	if (!(condition)) { \
		printf("FAILED line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
		failures++; \
	} \
} while (0)

/* The call fails with exactly this errno. */
#define FAILS(call, error) do { \
	errno = 0; \
	long result_ = (long)(call); \
	if (result_ != -1 || errno != (error)) { \
		printf("FAILED line %d: %s gave %ld, errno %d, wanted %s\n", __LINE__, #call, result_, errno, #error); \
		failures++; \
	} \
} while (0)

static inline int check_end(const char *name)
{
	printf("%s: %s\n", name, failures ? "failed" : "ok");
	fflush(stdout);
	return failures != 0;
}

#endif
