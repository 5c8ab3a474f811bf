/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal and its parts.
 *
 * Bytes from the line go through line.c (editing, signals, echo) into `input`;
 * readers take them from there, a line at a time in canonical mode. Bytes of
 * writers and echoes go through output.c to the line's driver.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include "lib/ipc/server.h"
#include "termios.h"

#define INPUT_BYTES  4096u /* power of two; also the longest line */
#define OUTPUT_BYTES 8192u /* power of two */

struct terminal {
	struct termios termios;
	struct winsize winsize;
	uint32_t sid, pgrp;          /* session it controls, its foreground group; 0: none */
	/* input: [head, ready) can be read; [ready, tail) is the line being typed */
	uint8_t input[INPUT_BYTES];
	bool ends_line[INPUT_BYTES]; /* this byte ends a line (canonical reads stop after it) */
	bool is_eof[INPUT_BYTES];    /* an end-of-file mark: read as nothing */
	uint32_t head, ready, tail;
	bool literal_next;
};

extern struct terminal terminal;

/* line.c */
void line_init(void);
void line_input(uint8_t byte);          /* one byte from the line */
uint32_t line_readable(void);           /* bytes that a read may take now, or 1 for a mark */
uint32_t line_take(uint8_t *to, uint32_t max); /* 0 may be an end-of-file mark */
bool line_can_read(uint32_t want);      /* a read of `want` bytes need not wait */
void line_settings_changed(const struct termios *old);
void line_flush_input(void);

/* output.c */
void output_init(x_handle_t driver);
uint32_t output_free(void);
uint32_t output_pending(void);
/* Post-processes (OPOST) and queues; returns how many of the bytes were taken. */
uint32_t output_write(const uint8_t *bytes, uint32_t len);
void output_echo(const char *bytes, uint32_t len); /* dropped when there is no room */
void output_flush(void);                /* drop what is not sent */
void output_submit(void);               /* give the driver what is queued */

/* main.c: told by the others */
void terminal_signal(uint32_t signal);  /* to the foreground group */
void terminal_room(void);               /* output has room again */

/* jobs.c: who may do what (asks pm); requests go on in main.c */

#endif
