/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the socket files of the personality share.
 */
#ifndef PERSONALITY_LINUX_SOCKET_H
#define PERSONALITY_LINUX_SOCKET_H

#include "personality/linux/pers.h"
#include "proto/socket.h"

struct socket_address { uint8_t bytes[SOCK_CONTROL_AT], control[SOCK_CONTROL_MOST]; };

/* A call on a socket: Linux's error, ENOTSOCK if it is something else. */
int64_t socket_call(uint64_t fd, struct x_call *c);
int64_t socket_result(int64_t result);
/* `error`, unless fd is no socket at all. */
int64_t socket_check(uint64_t fd, int64_t error);

/* readv (or writev) of a whole message: the vectors as the call has them. */
int64_t socket_vectors(struct sys *s, bool read);

/* The program's address at addr into the call; the structure lives until it is made. */
int64_t put_address(struct x_call *c, struct socket_address *a, uint64_t addr, uint64_t length);
/* Room for the answer's address, after all other windows. */
void want_address(struct x_call *c, struct socket_address *a);
/* The answer's address to the program, cut to `room`; *length is its own. */
int64_t give_address(const struct x_call *c, struct socket_address *a, uint64_t addr, uint32_t room, uint32_t *length);

/* ---- socket_control.c ---- */
struct linux_msghdr {
	uint64_t name;
	uint32_t name_length, pad1;
	uint64_t iov, iov_count;
	uint64_t control, control_length;
	int32_t flags;
	uint32_t pad2;
};
_Static_assert(sizeof(struct linux_msghdr) == 56, "struct msghdr");

/* The message's control messages into the call: descriptors (SCM_RIGHTS) as such, those of other
 * levels by way of a. */
int64_t control_send(uint64_t fd, struct x_call *c, struct socket_address *a, const struct linux_msghdr *m);
/* Room for descriptors in the answer; then what came, into the program's
 * buffer, with m's control_length and flags as recvmsg(2) says. */
void control_want(struct x_call *c, const struct linux_msghdr *m, uint32_t flags);
int64_t control_give(uint64_t fd, struct x_call *c, const struct socket_address *a, struct linux_msghdr *m,
		     uint32_t flags);

#endif
