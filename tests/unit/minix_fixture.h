/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks for the tests of the MINIX filesystem: made, opened, checked. */
#ifndef TESTS_UNIT_MINIX_FIXTURE_H
#define TESTS_UNIT_MINIX_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xinim/error.h>

#include "tools/minixfs/check.h"
#include "tools/minixfs/host.h"
#include "tools/minixfs/mkfs.h"

static char image[64];
static struct host_disk *disk;
static struct host_options options;
static uint32_t image_version, image_names;    /* as in struct mkfs_options */
static struct fsys_caller root = { .time_ns = 1000000 * FSYS_SEC };

#define RUN(call) HOST_RUN(disk, call)
#define FS (&disk->fs)

__attribute__((unused))
static struct fsys_name name_of(const char *text)
{
	return (struct fsys_name){ text, strlen(text), false };
}

__attribute__((unused))
static struct fsys_name dir_name_of_text(const char *text)
{
	return (struct fsys_name){ text, strlen(text), true };
}

static void make_image(uint64_t size_bytes, uint32_t block_size, uint32_t inodes)
{
	struct mkfs_options make = { .size_bytes = size_bytes,
				     .block_size = block_size, .version = image_version,
				     .name_bytes = image_names,
				     .inode_count = inodes, .time_sec = 1000 };
	int fd;

	snprintf(image, sizeof(image), "/tmp/minix-test-%d.img", (int)getpid());
	fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size_bytes), 0);
	assert_null(mkfs(fd, &make));
	close(fd);
}

static void mount_image(void)
{
	const char *reason;

	assert_int_equal(host_open(image, &options, &disk, &reason), 0);
}

static void unmount_image(void)
{
	assert_int_equal(host_close(disk), 0);
	disk = NULL;
}

/* Both our check and, where it can, util-linux's find the image clean. */
static void assert_image_clean(void)
{
	struct check_result result;
	struct minix_super_disk super;
	char command[256];
	int fd = open(image, O_RDONLY);

	assert_true(fd >= 0);
	assert_null(check_disk(fd, 0, stderr, &result));
	assert_int_equal(pread(fd, &super, sizeof(super), MINIX_SUPER_OFFSET_BYTES),
			 sizeof(super));
	close(fd);
	assert_int_equal(result.problems, 0);
	if ((super.magic == MINIX_V3_MAGIC && super.block_size_bytes != 1024) ||
	    access("/usr/sbin/fsck.minix", X_OK))
		return;
	snprintf(command, sizeof(command),
		 "/usr/sbin/fsck.minix -f %s >%s.log 2>&1", image, image);
	if (system(command)) {
		snprintf(command, sizeof(command), "cat %s.log", image);
		(void)!system(command);
		fail_msg("fsck.minix finds fault with %s", image);
	}
}

__attribute__((unused))
static int tear_down(void **state)
{
	char log[80];

	(void)state;
	if (disk)
		host_abandon(disk);
	disk = NULL;
	memset(&options, 0, sizeof(options));
	image_version = image_names = 0;
	unlink(image);
	snprintf(log, sizeof(log), "%s.log", image);
	unlink(log);
	return 0;
}

/* As write(2) would: as much as there is room for, or the error. */
static inline int64_t write_file(uint32_t ino, uint64_t at, const void *data, size_t length)
{
	return host_write(disk, &root, ino, at, data, length);
}

static inline int64_t read_file(uint32_t ino, uint64_t at, void *data, size_t length)
{
	return host_read(disk, ino, at, data, length);
}

#endif
