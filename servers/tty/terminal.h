/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A terminal and its parts:
 *
 *   line.c     the line discipline: what is typed, up to what is read
 *   output.c   what is written and echoed, up to the output queue
 *   console.c  the driver's side of the console
 *   pty.c      the master's side of a pseudo-terminal
 *   jobs.c     sessions, groups, signals: who may do what (asks pm)
 *   ioctl.c    settings
 *   open.c     the objects programs hold: slaves and masters, readiness
 *   main.c     requests, and what arrives
 *
 * Bytes typed come from the driver or from the master; bytes written go to the
 * output queue, which the driver or the master empties.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include "lib/c/string.h"
#include "lib/ipc/file.h"
#include "lib/ipc/server.h"
#include "proto/dev.h"
#include "termios.h"

#define INPUT_BYTES  4096u /* power of two; also the longest line */
#define OUTPUT_BYTES 8192u /* power of two */
#define PTYS_MAX     64u
#define TERMINALS_MAX (1u + PTYS_MAX) /* 0: the console */
#define OPENS_MAX    512u
#define SERIAL_RDEV (4u << 8 | 64)  /* /dev/ttyS0, which the console is */
#define PTS_RDEV    (136u << 8)     /* + n: /dev/pts/n */
#define REQUESTS_MAX 128u

enum { SIGHUP_ = 1, SIGINT_ = 2, SIGQUIT_ = 3, SIGCONT_ = 18, SIGTSTP_ = 20, SIGTTIN_ = 21, SIGTTOU_ = 22, SIGWINCH_ = 28 };

/* What a byte of input is besides itself. */
#define MARK_LINE 1u /* ends a line: canonical reads stop after it */
#define MARK_EOF  2u /* an end-of-file mark: read as nothing */

struct terminal {
	bool used, pty;
	struct termios termios;
	struct winsize winsize;
	uint32_t sid, pgrp;          /* session it controls, its foreground group; 0: none */
	/* input: [head, ready) can be read; [ready, tail) is the line being typed */
	uint8_t input[INPUT_BYTES], marks[INPUT_BYTES];
	uint32_t head, ready, tail;
	bool literal_next;
	bool arrived;                /* input since readiness was told */
	/* output */
	uint8_t output[OUTPUT_BYTES];
	uint32_t out_head, out_tail;
	bool stopped;                /* by VSTOP or TCXONC */
	uint32_t column, line_column; /* of the cursor; where the line being typed began */
	bool exclusive;
	/* pty */
	uint64_t master;             /* object, 0: closed */
	x_handle_t gone;             /* event: told when it ends */
	bool locked, slave_seen, packet;
	uint8_t packet_status;
	uint32_t slaves;             /* open ones */
};

extern struct terminal terminals[TERMINALS_MAX];
#define console (&terminals[0])
static inline uint32_t terminal_number(const struct terminal *t) { return (uint32_t)(t - terminals); }

struct open {
	uint64_t object;             /* id, 0: free */
	struct terminal *terminal;
	bool master;
	bool hung;                   /* its terminal was hung up: EOF and EIO from now on */
	uint32_t ready;              /* as the kernel was told */
	uint64_t dev, ino, rdev;     /* of the node it was opened by */
};

enum request_state { FREE, ASKING, PARKED_READ, PARKED_WRITE, PARKED_DRAIN, SIGNALLING };

struct request {
	enum request_state state;
	struct x_in in;
	struct terminal *terminal;
	uint64_t object;
	uint32_t done;               /* writes: bytes taken */
	uint32_t pid, pgrp, sid, uid;
	bool known, orphaned;        /* pm knows the caller; its group has nobody to continue it */
	bool checked;                /* it may act from where it is */
	bool cancelled;
	uint32_t seen;               /* reads with VMIN and VTIME: bytes there were at the last look */
	struct server_timer timeout;
};

/* line.c */
void line_init(struct terminal *t);
void line_input(struct terminal *t, uint8_t byte);   /* one byte typed */
bool line_full(const struct terminal *t);            /* a byte more would be lost */
uint32_t line_readable(const struct terminal *t);    /* bytes, marks included */
uint32_t line_take(struct terminal *t, uint8_t *to, uint32_t max); /* 0 may be an end-of-file mark */
bool line_can_read(const struct terminal *t, uint32_t want); /* a read of `want` bytes need not wait */
void line_settings_changed(struct terminal *t, const struct termios *old);
void line_flush_input(struct terminal *t);

/* output.c */
uint32_t output_free(const struct terminal *t);
uint32_t output_pending(const struct terminal *t);
/* Post-processes (OPOST) and queues; returns how many of the bytes were taken. */
uint32_t output_write(struct terminal *t, const uint8_t *bytes, uint32_t len);
void output_echo(struct terminal *t, const char *bytes, uint32_t len); /* dropped when there is no room */
void output_flush(struct terminal *t);               /* drop what is not sent */
void output_stop(struct terminal *t, bool stop);
uint32_t output_take(struct terminal *t, uint8_t *to, uint32_t max);
/* How wide [from, to) of the input shows, from the line's start. */
uint32_t output_column_after(const struct terminal *t, uint32_t column, uint8_t byte);

/* console.c */
void console_init(x_handle_t driver);
void console_submit(void);                           /* give the driver what is queued */
uint32_t console_pending(void);                      /* bytes at the driver */
void console_send_now(uint8_t byte);                 /* before all else: START and STOP */

/* pty.c */
void pty_open_master(const struct x_in *in);
void pty_read(struct request *r);
void pty_write(struct request *r);
bool pty_ioctl(struct request *r);                   /* false: not one of the master's own */
void pty_master_closed(struct terminal *t);
void pty_slave_closed(struct terminal *t);
void pty_packet(struct terminal *t, uint8_t status); /* TIOCPKT: something happened */

/* jobs.c */
void jobs_init(x_handle_t pm);
void jobs_signal(const struct terminal *t, uint32_t signal); /* to the foreground group */
void jobs_ask(struct request *r);                    /* fills in who; request_run() follows */
/* True: it may. False: the request was ended, or will be by the signal sent. */
bool jobs_check_change(struct request *r);
bool jobs_check_read(struct request *r);
void jobs_set_controlling(struct request *r);
void jobs_take(struct terminal *t, const struct request *r); /* the session's from now on */
void jobs_set_group(struct request *r);
void jobs_give_up(struct request *r);
void jobs_session_end(const struct x_in *in);
void jobs_hangup(struct terminal *t);                /* SIGHUP and SIGCONT to the session */
struct terminal *jobs_terminal_of(uint32_t sid);     /* NULL: it has none */

/* ioctl.c */
bool ioctl_needs_who(uint32_t command);
void ioctl_run(struct request *r);

/* open.c */
struct open *open_find(uint64_t object);
void open_call(const struct x_in *in);               /* DEV_OPEN */
void open_who_known(struct request *r);
int64_t open_new(struct terminal *t, bool master, const struct x_in *in, struct open **out);
void open_stat(const struct open *o, const struct x_in *in);
void open_closed(uint64_t object);
void opens_tell(void);                               /* readiness, where it changed */
void opens_hang_up(struct terminal *t);              /* all slaves */

/* main.c */
struct request *request_new(const struct x_in *in);  /* NULL: answered */
void request_end(struct request *r, int64_t status);
void request_run(struct request *r);
void requests_run(struct terminal *t, enum request_state which);
void requests_fail(struct terminal *t, uint32_t sid, int64_t read_status); /* sid 0: all */
void terminal_room(struct terminal *t);              /* output has room again */
void terminal_input(struct terminal *t);             /* something was typed */

#endif
