/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Coverage-guided fuzzing of the MINIX filesystem core: the input is an image,
 * mostly nonsense. It is mounted, all that can be reached is looked at and read,
 * then names and files are made, changed and removed, and it is unmounted and
 * checked. Whatever the image says, no operation may crash, read or write
 * outside its memory, or go on for ever.
 *
 * clang -fsanitize=fuzzer,address,undefined; see tests/fuzz/run.
 */
#define _GNU_SOURCE /* memfd_create */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/minixfs/check.h"
#include "tools/minixfs/host.h"

enum { IMAGE_BYTES_MAX = 1 << 20, STEPS_MAX = 400, DEPTH_MAX = 6, RUNS_MAX = 100000 };

static int image_fd = -1;
static char image_path[64];
static struct host_disk *disk;
static struct fsys_caller root = { .time_ns = 1000 * FSYS_SEC };
static uint32_t steps;

/* As HOST_RUN, but not for ever: an operation that always waits is a bug. */
#define RUN(call) ({                                                            \
	int64_t status_;                                                        \
	uint32_t runs_ = 0;                                                     \
	do {                                                                    \
		status_ = (call);                                               \
		if (++runs_ > RUNS_MAX)                                         \
			abort();                                                \
	} while (host_again(disk, status_));                                    \
	status_;                                                                \
})

static void look_at_file(uint32_t ino)
{
	static char buffer[65536];
	struct fsys_attr attr;
	uint64_t at;

	if (RUN(fsys_getattr(&disk->fs, ino, &attr)))
		return;
	if (FSYS_ISLNK(attr.mode))
		RUN(fsys_readlink(&disk->fs, ino, buffer, sizeof(buffer)));
	if (!FSYS_ISREG(attr.mode))
		return;
	host_read(disk, ino, 0, buffer, sizeof(buffer));
	for (at = 1 << 18; at < attr.size_bytes && at < 1ull << 32; at <<= 3)
		host_read(disk, ino, at, buffer, 4096);
	host_read(disk, ino, attr.size_bytes - 1, buffer, 100);
}

static void look_at_tree(uint32_t dir, uint32_t depth)
{
	static struct fsys_dirent all[DEPTH_MAX + 1][16];
	struct fsys_dirent *entries = all[depth];
	uint32_t cursor = 0, listings;
	char path[4096];

	RUN(fsys_path_of(&disk->fs, dir, path, sizeof(path)));
	for (listings = 0; listings < 20; listings++) {
		int64_t n = RUN(fsys_readdir(&disk->fs, &root, dir, cursor, entries, 16)), i;

		if (n <= 0)
			return;
		cursor = entries[n - 1].next_cursor;
		for (i = 0; i < n && steps < STEPS_MAX; i++, steps++) {
			struct fsys_walk walk = {
				.start_ino = dir, .path = entries[i].name,
				.path_bytes = entries[i].name_bytes, .flags = FSYS_WALK_NOFOLLOW,
			};

			if (RUN(fsys_walk(&disk->fs, &root, &walk)))
				continue;
			look_at_file(walk.ino);
			if (entries[i].name[0] != '.' && depth < DEPTH_MAX && FSYS_ISDIR(entries[i].mode))
				look_at_tree(walk.ino, depth + 1);
		}
	}
}

static struct fsys_name name_of(const char *text)
{
	return (struct fsys_name){ text, strlen(text), false };
}

static void change_things(void)
{
	static char data[20000];
	struct fsys_dirent entries[32];
	uint32_t ino, dir;
	bool created;
	int64_t n, i;

	n = RUN(fsys_readdir(&disk->fs, &root, FSYS_ROOT_INO, 0, entries, 32));
	if (!RUN(fsys_mkdir(&disk->fs, &root, FSYS_ROOT_INO, name_of("new"), 0755, &dir)))
		for (i = 0; i < n; i++)
			RUN(fsys_rename(&disk->fs, &root, FSYS_ROOT_INO, name_of(entries[i].name), dir,
					name_of("moved"), 0));
	RUN(fsys_symlink(&disk->fs, &root, FSYS_ROOT_INO, name_of("link"), "target", 6, &ino));
	if (!RUN(fsys_create(&disk->fs, &root, FSYS_ROOT_INO, name_of("file"), 0644, false, &ino, &created))) {
		host_write(disk, &root, ino, 0, data, sizeof(data));
		host_write(disk, &root, ino, 300000, data, 3000);
		host_truncate(disk, &root, ino, 100, false);
	}
	for (i = 0; i < n; i++) {
		struct fsys_walk walk = {
			.start_ino = FSYS_ROOT_INO, .path = entries[i].name,
			.path_bytes = entries[i].name_bytes, .flags = FSYS_WALK_NOFOLLOW,
		};

		if (!RUN(fsys_walk(&disk->fs, &root, &walk))) {
			host_write(disk, &root, walk.ino, 5000, data, 9000);
			host_truncate(disk, &root, walk.ino, 700, false);
		}
		RUN(fsys_unlink(&disk->fs, &root, FSYS_ROOT_INO, name_of(entries[i].name)));
		RUN(fsys_rmdir(&disk->fs, &root, FSYS_ROOT_INO, name_of(entries[i].name)));
	}
}

static void check_image(void)
{
	struct check_result result;
	int fd = open(image_path, O_RDONLY);

	(void)check_disk(fd, 0, NULL, &result);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_options options = { .meta_frames_bytes = 2 << 20, .inode_slots = 64 };
	const char *reason;

	if (size > IMAGE_BYTES_MAX)
		return 0;
	if (image_fd < 0) {
		image_fd = memfd_create("image", 0);
		snprintf(image_path, sizeof(image_path), "/proc/self/fd/%d", image_fd);
	}
	if (ftruncate(image_fd, 0) || ftruncate(image_fd, size < 65536 ? 65536 : size) ||
	    pwrite(image_fd, data, size, 0) != (ssize_t)size)
		abort();
	check_image();
	if (host_open(image_path, &options, &disk, &reason))
		return 0;
	steps = 0;
	look_at_tree(FSYS_ROOT_INO, 0);
	change_things();
	steps = 0;
	look_at_tree(FSYS_ROOT_INO, 0);
	host_close(disk);
	check_image();
	return 0;
}
