/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkctl DISK COMMAND...: a command to the driver of a disk (proto/block.h):
 *   scheduler none|deadline|fair, rescan, and with a SATA disk replug MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "proto/bdev.h"

int main(int argc, char **argv)
{
	char node[80], command[BDEV_CONTROL_BYTES] = "";
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: blkctl DISK scheduler none|deadline|fair | rescan | replug MS\n");
		return 2;
	}
	snprintf(node, sizeof(node), "%s%s", strncmp(argv[1], "/dev/", 5) ? "/dev/" : "", argv[1]);
	for (int i = 2; i < argc; i++)
		snprintf(command + strlen(command), sizeof(command) - strlen(command), "%s%s", i > 2 ? " " : "", argv[i]);
	fd = open(node, O_RDWR | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, BDEV_IOCTL_CONTROL, command) < 0) {
		fprintf(stderr, "blkctl: %s: %s\n", node, strerror(errno));
		return 1;
	}
	return 0;
}
