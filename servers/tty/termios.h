/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminal settings as Linux programs know them (asm-generic/termbits.h,
 * termios(3)): only what this server acts on or hands back.
 */
#ifndef TERMIOS_H
#define TERMIOS_H

#include <stdint.h>

#define TERMIOS_CCS 19u

struct termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line;
	uint8_t cc[TERMIOS_CCS];
};
struct winsize { uint16_t rows, columns, x_pixels, y_pixels; };

_Static_assert(sizeof(struct termios) == 36, "the kernel's struct termios");

enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL,
       VREPRINT, VDISCARD, VWERASE, VLNEXT, VEOL2 };

/* iflag */
#define ISTRIP 0000040u
#define INLCR  0000100u
#define IGNCR  0000200u
#define ICRNL  0000400u
#define IXON   0002000u
#define IUTF8  0040000u
/* oflag */
#define OPOST 0000001u
#define ONLCR 0000004u
#define OCRNL 0000010u
/* cflag */
#define B38400 0000017u
#define CS8    0000060u
#define CREAD  0000200u
/* lflag */
#define ISIG    0000001u
#define ICANON  0000002u
#define ECHO    0000010u
#define ECHOE   0000020u
#define ECHOK   0000040u
#define ECHONL  0000100u
#define NOFLSH  0000200u
#define TOSTOP  0000400u
#define ECHOCTL 0001000u
#define ECHOKE  0004000u
#define IEXTEN  0100000u

/* ioctl commands */
#define TCGETS     0x5401u
#define TCSETS     0x5402u
#define TCSETSW    0x5403u
#define TCSETSF    0x5404u
#define TCSBRK     0x5409u
#define TCXONC     0x540au
#define TCFLSH     0x540bu
#define TIOCSCTTY  0x540eu
#define TIOCGPGRP  0x540fu
#define TIOCSPGRP  0x5410u
#define TIOCOUTQ   0x5411u
#define TIOCGWINSZ 0x5413u
#define TIOCSWINSZ 0x5414u
#define FIONREAD   0x541bu
#define TIOCNOTTY  0x5422u
#define TCSBRKP    0x5425u
#define TIOCGSID   0x5429u

#endif
