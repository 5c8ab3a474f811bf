/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes by a mapping, and wants it on the disk.
 *
 *   msynced FILE TEXT...        each TEXT at the start of a page of FILE, which is made
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "check.h"

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc - 2) * 4096;
	int fd = argc > 2 ? open(argv[1], O_RDWR | O_CREAT, 0644) : -1;
	char *at;

	if (fd < 0)
		return 2;
	CHECK(ftruncate(fd, (off_t)bytes) == 0);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED && close(fd) == 0);
	for (int i = 2; i < argc; i++)
		strcpy(at + (i - 2) * 4096, argv[i]);
	CHECK(msync(at, bytes, MS_SYNC) == 0);
	return check_end("msynced");
}
