/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How large the argument of an ioctl command is and which way it goes: what a
 * window needs and only the program's side knows. Commands of the old style
 * are listed; the new style says it in its own number (ioctl(2), _IOC).
 */
#include "personality/linux/pers.h"

#define IN   X_WIN_READ
#define OUT  X_WIN_WRITE
#define BOTH (X_WIN_READ | X_WIN_WRITE)

static const struct { uint32_t command; uint16_t bytes, flags; } old_style[] = {
	{ 0x5401, 36, OUT },  /* TCGETS: struct termios */
	{ 0x5402, 36, IN },   /* TCSETS */
	{ 0x5403, 36, IN },   /* TCSETSW */
	{ 0x5404, 36, IN },   /* TCSETSF */
	{ 0x5405, 18, OUT },  /* TCGETA: struct termio */
	{ 0x5406, 18, IN },   /* TCSETA */
	{ 0x5407, 18, IN },   /* TCSETAW */
	{ 0x5408, 18, IN },   /* TCSETAF */
	{ 0x540f, 4, OUT },   /* TIOCGPGRP */
	{ 0x5410, 4, IN },    /* TIOCSPGRP */
	{ 0x5411, 4, OUT },   /* TIOCOUTQ */
	{ 0x5412, 1, IN },    /* TIOCSTI */
	{ 0x5413, 8, OUT },   /* TIOCGWINSZ: struct winsize */
	{ 0x5414, 8, IN },    /* TIOCSWINSZ */
	{ 0x5415, 4, OUT },   /* TIOCMGET */
	{ 0x5416, 4, IN },    /* TIOCMBIS */
	{ 0x5417, 4, IN },    /* TIOCMBIC */
	{ 0x5418, 4, IN },    /* TIOCMSET */
	{ 0x5419, 4, OUT },   /* TIOCGSOFTCAR */
	{ 0x541a, 4, IN },    /* TIOCSSOFTCAR */
	{ 0x541b, 4, OUT },   /* FIONREAD */
	{ 0x541c, 1, BOTH },  /* TIOCLINUX: subcode, byte in and out */
	{ 0x541e, 72, OUT },  /* TIOCGSERIAL */
	{ 0x5420, 4, IN },    /* TIOCPKT */
	{ 0x5423, 4, IN },    /* TIOCSETD */
	{ 0x5424, 4, OUT },   /* TIOCGETD */
	{ 0x5429, 4, OUT },   /* TIOCGSID */
	{ 0x1260, 8, OUT },   /* BLKGETSIZE */
	{ 0x125d, 4, IN },    /* BLKROSET */
	{ 0x125e, 4, OUT },   /* BLKROGET */
	{ 0x1263, 8, OUT },   /* BLKRAGET */
	{ 0x1268, 4, OUT },   /* BLKSSZGET */
	{ 0x127b, 4, OUT },   /* BLKPBSZGET */
	{ 0x1277, 16, IN },   /* BLKDISCARD */
	{ 0x127f, 16, IN },   /* BLKZEROOUT */
	{ 0x1267, 2, OUT },   /* BLKSECTGET */
	{ 0x1278, 4, OUT },   /* BLKIOMIN */
	{ 0x1279, 4, OUT },   /* BLKIOOPT */
	{ 0x127a, 4, OUT },   /* BLKALIGNOFF */
	{ 0x127c, 4, OUT },   /* BLKDISCARDZEROES */
	{ 0x127e, 2, OUT },   /* BLKROTATIONAL */
	{ 0x0301, 16, OUT },  /* HDIO_GETGEO */
	{ 0x4c02, 168, IN },  /* LOOP_SET_STATUS */
	{ 0x4c03, 168, OUT }, /* LOOP_GET_STATUS */
	{ 0x4c04, 232, IN },  /* LOOP_SET_STATUS64 */
	{ 0x4c05, 232, OUT }, /* LOOP_GET_STATUS64 */
	{ 0x4c0a, 304, IN },  /* LOOP_CONFIGURE */
	{ 0x8901, 4, IN },    /* FIOSETOWN */
	{ 0x8902, 4, IN },    /* SIOCSPGRP */
	{ 0x8903, 4, OUT },   /* FIOGETOWN */
	{ 0x8904, 4, OUT },   /* SIOCGPGRP */
	{ 0x8905, 4, OUT },   /* SIOCATMARK */
	{ 0x890b, 120, IN },  /* SIOCADDRT: struct rtentry */
	{ 0x890c, 120, IN },  /* SIOCDELRT */
	{ 0x8912, 16, BOTH }, /* SIOCGIFCONF: struct ifconf */
	{ 0x8953, 68, IN },   /* SIOCDARP: struct arpreq */
	{ 0x8954, 68, BOTH }, /* SIOCGARP */
	{ 0x8955, 68, IN },   /* SIOCSARP */
};

struct ioctl_shape ioctl_shape(uint32_t command)
{
	uint32_t bytes = (command >> 16) & 0x3fff, direction = command >> 30;

	for (size_t i = 0; i < sizeof(old_style) / sizeof(old_style[0]); i++)
		if (old_style[i].command == command)
			return (struct ioctl_shape){ old_style[i].bytes, old_style[i].flags };
	if (command >= 0x8910 && command <= 0x89ff) /* SIOC[GS]*: struct ifreq */
		return (struct ioctl_shape){ 40, BOTH };
	if (direction && bytes) /* 1: the program writes, 2: it reads */
		return (struct ioctl_shape){ bytes, (direction & 1 ? IN : 0u) | (direction & 2 ? OUT : 0u) };
	return (struct ioctl_shape){ 0, 0 };
}
