/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminal settings as Linux programs know them (asm-generic/termbits.h,
 * termios(3), ioctl_tty(2)): only what this server acts on or hands back.
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
struct termios2 { struct termios t; uint32_t ispeed, ospeed; };
struct termio { /* the old one, of TCGETA */
	uint16_t iflag, oflag, cflag, lflag;
	uint8_t line;
	uint8_t cc[8];
};
struct winsize { uint16_t rows, columns, x_pixels, y_pixels; };

_Static_assert(sizeof(struct termios) == 36, "the kernel's struct termios");
_Static_assert(sizeof(struct termios2) == 44, "the kernel's struct termios2");
_Static_assert(sizeof(struct termio) == 18, "the kernel's struct termio");

enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL,
       VREPRINT, VDISCARD, VWERASE, VLNEXT, VEOL2 };

/* iflag */
#define ISTRIP  0000040u
#define INLCR   0000100u
#define IGNCR   0000200u
#define ICRNL   0000400u
#define IUCLC   0001000u
#define IXON    0002000u
#define IXANY   0004000u
#define IMAXBEL 0020000u
#define IUTF8   0040000u
/* oflag */
#define OPOST  0000001u
#define OLCUC  0000002u
#define ONLCR  0000004u
#define OCRNL  0000010u
#define ONOCR  0000020u
#define ONLRET 0000040u
#define TABDLY 0014000u /* all set: tabs are expanded */
/* cflag */
#define CBAUD  0010017u
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
#define ECHOPRT 0002000u
#define ECHOKE  0004000u
#define IEXTEN  0100000u

/* ioctl commands */
#define TCGETS      0x5401u
#define TCSETS      0x5402u
#define TCSETSW     0x5403u
#define TCSETSF     0x5404u
#define TCGETA      0x5405u
#define TCSETA      0x5406u
#define TCSETAW     0x5407u
#define TCSETAF     0x5408u
#define TCSBRK      0x5409u
#define TCXONC      0x540au
#define TCFLSH      0x540bu
#define TIOCEXCL    0x540cu
#define TIOCNXCL    0x540du
#define TIOCSCTTY   0x540eu
#define TIOCGPGRP   0x540fu
#define TIOCSPGRP   0x5410u
#define TIOCOUTQ    0x5411u
#define TIOCSTI     0x5412u
#define TIOCGWINSZ  0x5413u
#define TIOCSWINSZ  0x5414u
#define FIONREAD    0x541bu
#define TIOCPKT     0x5420u
#define TIOCNOTTY   0x5422u
#define TIOCSETD    0x5423u
#define TIOCGETD    0x5424u
#define TCSBRKP     0x5425u
#define TIOCSBRK    0x5427u
#define TIOCCBRK    0x5428u
#define TIOCGSID    0x5429u
#define TIOCVHANGUP 0x5437u
#define TCGETS2     0x802c542au
#define TCSETS2     0x402c542bu
#define TCSETSW2    0x402c542cu
#define TCSETSF2    0x402c542du
#define TIOCGPTN    0x80045430u
#define TIOCSPTLCK  0x40045431u
#define TIOCSIG     0x40045436u
#define TIOCGPKT    0x80045438u
#define TIOCGPTLCK  0x80045439u
#define TIOCGEXCL   0x80045440u

/* TIOCPKT: the first byte of a read */
#define PKT_FLUSHREAD  1u
#define PKT_FLUSHWRITE 2u
#define PKT_STOP       4u
#define PKT_START      8u
#define PKT_NOSTOP    16u
#define PKT_DOSTOP    32u

#endif
