/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * minixfs: makes, fills, shows and checks MINIX images and disks, on a host
 * and in the guest, with the filesystem core of the server. See usage() for the commands.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <xinim/error.h>

#include "tools/minixfs/check.h"
#include "tools/minixfs/host.h"
#include "tools/minixfs/mkfs.h"

/*
 * The default can be checked by util-linux's fsck.minix, which knows blocks
 * of 1 KiB only.
 */
enum { DEFAULT_BLOCK_SIZE = 1024, COPY_BYTES = 1 << 20 };

struct arguments {
	const char *word[6];
	int word_count;
	uint64_t offset_bytes;
	uint32_t version, name_bytes;
	uint32_t block_size;
	uint32_t inode_count;
	uint32_t mode, uid, gid;
	bool has_mode, has_uid, has_gid;
};

static struct fsys_caller root;
static bool fixed_time;         /* SOURCE_DATE_EPOCH is set */

static const char usage_text[] =
	"usage: minixfs COMMAND [--offset BYTES] ...\n"
	"  mkfs IMAGE SIZE_MIB [--version 1|2|3] [--names 14|30] [--block-size BYTES] [--inodes N]\n"
	"  add IMAGE HOSTPATH PATH [--mode OCTAL] [--uid N] [--gid N]\n"
	"  tree IMAGE HOSTDIR [PATH] [--uid N] [--gid N]\n"
	"  mkdir IMAGE PATH [--mode OCTAL] [--uid N] [--gid N]\n"
	"  mknod IMAGE PATH c|b|p [MAJOR MINOR] [--mode OCTAL] ...\n"
	"  symlink IMAGE TARGET PATH\n"
	"  rm IMAGE PATH\n"
	"  ls IMAGE [PATH]\n"
	"  cat IMAGE PATH\n"
	"  check IMAGE\n"
	"  repair IMAGE\n"
	"SIZE_MIB 0: as large as the image is already.\n";

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	va_list arguments;

	fputs("minixfs: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

static const char *error_text(int64_t status)
{
	switch (-status) {
#define CASE(name, number, text) case number: return text;
	X_ERRORS(CASE)
#undef CASE
	}
	return "unknown error";
}

static void must(struct host_disk *disk, int64_t status, const char *path)
{
	if (status >= 0)
		return;
	if (status == -X_EUCLEAN)
		fail("%s: %s", path, disk->fs.reason);
	fail("%s: %s", path, error_text(status));
}

static struct host_disk *open_disk(const struct arguments *a, bool read_only)
{
	struct host_options options = { .offset_bytes = a->offset_bytes,
					.read_only = read_only };
	struct host_disk *disk;
	const char *reason;
	int status = host_open(a->word[0], &options, &disk, &reason);

	if (status)
		fail("%s: %s", a->word[0], reason ? reason : error_text(status));
	return disk;
}

static void close_disk(struct host_disk *disk, const char *image)
{
	int status = host_close(disk);

	if (status)
		fail("%s: %s", image, error_text(status));
}

/* ---- paths --------------------------------------------------------------- */

static uint32_t find(struct host_disk *disk, const char *path)
{
	struct fsys_walk walk = {
		.start_ino = FSYS_ROOT_INO, .path = path,
		.path_bytes = strlen(path), .flags = FSYS_WALK_NOFOLLOW,
	};

	must(disk, HOST_RUN(disk, fsys_walk(&disk->fs, &root, &walk)), path);
	return walk.ino;
}

/* The directory and last component of a path that is to be made. */
static uint32_t find_parent(struct host_disk *disk, const char *path,
			    struct fsys_name *name)
{
	struct fsys_walk walk = {
		.start_ino = FSYS_ROOT_INO, .path = path,
		.path_bytes = strlen(path), .flags = FSYS_WALK_PARENT,
	};

	must(disk, HOST_RUN(disk, fsys_walk(&disk->fs, &root, &walk)), path);
	name->text = path + walk.name_offset;
	name->bytes = walk.name_bytes;
	name->must_be_dir = walk.must_be_dir;
	return walk.ino;
}

static void set_owner(struct host_disk *disk, const char *path, uint32_t ino,
		      uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct fsys_setattr set = {
		.mask = FSYS_SET_MODE | FSYS_SET_UID | FSYS_SET_GID,
		.mode = mode, .uid = uid, .gid = gid,
	};

	must(disk, HOST_RUN(disk, fsys_setattr(&disk->fs, &root, ino, &set)), path);
}

/* ---- copying in and out ----------------------------------------------------- */

static void write_all(struct host_disk *disk, const char *path, uint32_t ino,
		      uint64_t at, char *data, size_t length)
{
	int64_t n = host_write(disk, &root, ino, at, data, length);

	must(disk, n, path);
	if ((size_t)n < length)
		must(disk, -X_ENOSPC, path);
}

/* Makes or overwrites a regular file with the content of a host's. */
static uint32_t add_file(struct host_disk *disk, const char *host_path,
			 const char *path)
{
	int fd = open(host_path, O_RDONLY);
	char *data = malloc(COPY_BYTES);
	struct fsys_name name;
	uint32_t dir = find_parent(disk, path, &name);
	uint32_t ino;
	uint64_t at = 0;
	bool created;
	ssize_t n;

	if (fd < 0 || !data)
		fail("%s: %s", host_path, strerror(errno));
	must(disk, HOST_RUN(disk, fsys_create(&disk->fs, &root, dir, name, 0644,
					       false, &ino, &created)), path);
	if (!created)
		must(disk, host_truncate(disk, &root, ino, 0, false), path);
	while ((n = read(fd, data, COPY_BYTES)) > 0) {
		write_all(disk, path, ino, at, data, n);
		at += n;
	}
	if (n < 0)
		fail("%s: %s", host_path, strerror(errno));
	free(data);
	close(fd);
	return ino;
}

static uint32_t add_dir(struct host_disk *disk, const char *path)
{
	struct fsys_name name;
	uint32_t dir = find_parent(disk, path, &name);
	uint32_t ino;
	int64_t status = HOST_RUN(disk, fsys_mkdir(&disk->fs, &root, dir, name,
						    0755, &ino));

	if (status == -X_EEXIST)
		return find(disk, path);
	must(disk, status, path);
	return ino;
}

static uint32_t add_link(struct host_disk *disk, const char *target,
			 const char *path)
{
	struct fsys_name name;
	uint32_t dir = find_parent(disk, path, &name);
	uint32_t ino;

	must(disk, HOST_RUN(disk, fsys_symlink(&disk->fs, &root, dir, name, target,
						strlen(target), &ino)), path);
	return ino;
}

static uint32_t add_node(struct host_disk *disk, const char *path, uint32_t mode,
			 uint32_t major_number, uint32_t minor_number)
{
	struct fsys_name name;
	uint32_t dir = find_parent(disk, path, &name);
	uint32_t ino;

	must(disk, HOST_RUN(disk, fsys_mknod(&disk->fs, &root, dir, name, mode,
					      major_number, minor_number, &ino)),
	     path);
	return ino;
}

/* ---- tree ---------------------------------------------------------------- */

/* Hard links of the host become hard links: the first path of each inode. */
struct seen {
	dev_t dev;
	ino_t host_ino;
	uint32_t ino;
	struct seen *next;
};

static struct seen *seen_table[4096];

static struct seen **seen_slot(const struct stat *st)
{
	struct seen **at = &seen_table[st->st_ino % 4096];

	while (*at && ((*at)->host_ino != st->st_ino || (*at)->dev != st->st_dev))
		at = &(*at)->next;
	return at;
}

static bool link_seen(struct host_disk *disk, const struct stat *st,
		      const char *path)
{
	struct seen *seen = *seen_slot(st);
	struct fsys_name name;
	uint32_t dir;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode) || !seen)
		return false;
	dir = find_parent(disk, path, &name);
	must(disk, HOST_RUN(disk, fsys_link(&disk->fs, &root, seen->ino, dir, name)),
	     path);
	return true;
}

static void note_seen(const struct stat *st, uint32_t ino)
{
	struct seen **at = seen_slot(st);

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode) || *at)
		return;
	*at = calloc(1, sizeof(**at));
	if (!*at)
		fail("out of memory");
	(*at)->dev = st->st_dev;
	(*at)->host_ino = st->st_ino;
	(*at)->ino = ino;
}

static char *join(const char *a, const char *b)
{
	char *path;

	if (asprintf(&path, "%s/%s", a, b) < 0)
		fail("out of memory");
	return path;
}

static uint32_t add_by_type(struct host_disk *disk, const struct stat *st,
			    const char *host_path, const char *path)
{
	char target[4096];
	ssize_t n;

	if (S_ISREG(st->st_mode))
		return add_file(disk, host_path, path);
	if (S_ISDIR(st->st_mode))
		return add_dir(disk, path);
	if (!S_ISLNK(st->st_mode))
		return add_node(disk, path, st->st_mode, major(st->st_rdev),
				minor(st->st_rdev));
	n = readlink(host_path, target, sizeof(target) - 1);
	if (n < 0)
		fail("%s: %s", host_path, strerror(errno));
	target[n] = 0;
	return add_link(disk, target, path);
}

static void copy_attributes(struct host_disk *disk, const struct arguments *a,
			    const struct stat *st, const char *path, uint32_t ino)
{
	struct fsys_setattr set = {
		.mask = FSYS_SET_ATIME | FSYS_SET_MTIME,
		.atime_ns = st->st_mtime * FSYS_SEC, .mtime_ns = st->st_mtime * FSYS_SEC,
	};

	set_owner(disk, path, ino, a->has_uid ? a->uid : st->st_uid,
		  a->has_gid ? a->gid : st->st_gid, st->st_mode & 07777);
	if (fixed_time)
		set.atime_ns = set.mtime_ns = root.time_ns;
	must(disk, HOST_RUN(disk, fsys_setattr(&disk->fs, &root, ino, &set)), path);
}

static void add_tree(struct host_disk *disk, const struct arguments *a,
		     const char *host_dir, const char *dir)
{
	struct dirent **entries;
	int count = scandir(host_dir, &entries, NULL, alphasort);
	int i;

	if (count < 0)
		fail("%s: %s", host_dir, strerror(errno));
	for (i = 0; i < count; i++) {
		char *host_path = join(host_dir, entries[i]->d_name);
		char *path = join(dir, entries[i]->d_name);
		struct stat st;
		uint32_t ino;

		if (strcmp(entries[i]->d_name, ".") &&
		    strcmp(entries[i]->d_name, "..")) {
			if (lstat(host_path, &st))
				fail("%s: %s", host_path, strerror(errno));
			if (!link_seen(disk, &st, path)) {
				ino = add_by_type(disk, &st, host_path, path);
				note_seen(&st, ino);
				if (S_ISDIR(st.st_mode))
					add_tree(disk, a, host_path, path);
				copy_attributes(disk, a, &st, path, ino);
			}
		}
		free(host_path);
		free(path);
		free(entries[i]);
	}
	free(entries);
}

/* ---- commands ------------------------------------------------------------ */

/* A disk in use is not changed behind its filesystem's back. */
static void refuse_mounted(const char *path)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	const struct mntent *m;

	while (mounts && (m = getmntent(mounts)))
		if (!strcmp(m->mnt_fsname, path))
			fail("%s: it is mounted on %s", path, m->mnt_dir);
	if (mounts)
		endmntent(mounts);
}

static int command_mkfs(const struct arguments *a)
{
	struct mkfs_options options = {
		.offset_bytes = a->offset_bytes, .block_size = a->block_size,
		.version = a->version, .name_bytes = a->name_bytes,
		.inode_count = a->inode_count, .time_sec = root.time_ns / FSYS_SEC,
		.size_bytes = strtoull(a->word[1], NULL, 0) << 20,
	};
	const char *wrong;
	uint64_t bytes;
	int fd;

	refuse_mounted(a->word[0]);
	fd = open(a->word[0], O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		fail("%s: %s", a->word[0], strerror(errno));
	bytes = disk_bytes(fd);
	if (!options.size_bytes && bytes > a->offset_bytes)
		options.size_bytes = bytes - a->offset_bytes;
	if (bytes < a->offset_bytes + options.size_bytes &&
	    ftruncate(fd, a->offset_bytes + options.size_bytes))
		fail("%s: %s", a->word[0], strerror(errno));
	wrong = mkfs(fd, &options);
	if (wrong)
		fail("%s: %s", a->word[0], wrong);
	close(fd);
	return 0;
}

static int command_add(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, false);
	struct stat st;
	uint32_t ino;

	if (stat(a->word[1], &st))
		fail("%s: %s", a->word[1], strerror(errno));
	ino = add_file(disk, a->word[1], a->word[2]);
	set_owner(disk, a->word[2], ino, a->uid, a->gid,
		  a->has_mode ? a->mode : st.st_mode & 07777);
	close_disk(disk, a->word[0]);
	return 0;
}

static int command_tree(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, false);

	add_tree(disk, a, a->word[1], a->word_count > 2 ? a->word[2] : "");
	close_disk(disk, a->word[0]);
	return 0;
}

static int command_mkdir(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, false);
	uint32_t ino = add_dir(disk, a->word[1]);

	set_owner(disk, a->word[1], ino, a->uid, a->gid,
		  a->has_mode ? a->mode : 0755);
	close_disk(disk, a->word[0]);
	return 0;
}

static int command_mknod(const struct arguments *a)
{
	uint32_t type = a->word[2][0] == 'c' ? FSYS_S_IFCHR
		      : a->word[2][0] == 'b' ? FSYS_S_IFBLK
		      : a->word[2][0] == 'p' ? FSYS_S_IFIFO : 0;
	struct host_disk *disk;
	uint32_t ino;

	if (!type || (type != FSYS_S_IFIFO && a->word_count < 5))
		fail("mknod: c or b with MAJOR and MINOR, or p");
	disk = open_disk(a, false);
	ino = add_node(disk, a->word[1], type | 0600,
		       type == FSYS_S_IFIFO ? 0 : strtoul(a->word[3], NULL, 0),
		       type == FSYS_S_IFIFO ? 0 : strtoul(a->word[4], NULL, 0));
	set_owner(disk, a->word[1], ino, a->uid, a->gid,
		  a->has_mode ? a->mode : 0600);
	close_disk(disk, a->word[0]);
	return 0;
}

static int command_symlink(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, false);

	add_link(disk, a->word[1], a->word[2]);
	close_disk(disk, a->word[0]);
	return 0;
}

static int command_rm(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, false);
	struct fsys_name name;
	uint32_t dir = find_parent(disk, a->word[1], &name);
	int64_t status = HOST_RUN(disk, fsys_unlink(&disk->fs, &root, dir, name));

	if (status == -X_EISDIR)
		status = HOST_RUN(disk, fsys_rmdir(&disk->fs, &root, dir, name));
	must(disk, status, a->word[1]);
	close_disk(disk, a->word[0]);
	return 0;
}

static void print_entry(struct host_disk *disk, const struct fsys_dirent *entry)
{
	static const char types[] = "?pc?d?b?-?l?s???";
	struct fsys_attr attr;
	char target[MINIX_BLOCK_SIZE_MAX + 1];
	int64_t length;

	must(disk, HOST_RUN(disk, fsys_getattr(&disk->fs, entry->ino, &attr)),
	     entry->name);
	printf("%7u %c%04o %5u %5u:%-5u %10llu %s", attr.ino,
	       types[attr.mode >> 12 & 15], attr.mode & 07777, attr.link_count,
	       attr.uid, attr.gid, (unsigned long long)attr.size_bytes, entry->name);
	if (FSYS_ISLNK(attr.mode)) {
		length = HOST_RUN(disk, fsys_readlink(&disk->fs, entry->ino, target,
						       MINIX_BLOCK_SIZE_MAX));
		must(disk, length, entry->name);
		printf(" -> %.*s", (int)length, target);
	}
	if (FSYS_ISDEV(attr.mode))
		printf(" (%u, %u)", attr.major, attr.minor);
	putchar('\n');
}

static int command_ls(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, true);
	const char *path = a->word_count > 1 ? a->word[1] : "/";
	uint32_t ino = find(disk, path);
	struct fsys_dirent entries[32];
	uint32_t cursor = 0;
	int64_t count, i;

	for (;;) {
		count = HOST_RUN(disk, fsys_readdir(&disk->fs, &root, ino, cursor,
						     entries, 32));
		must(disk, count, path);
		if (!count)
			break;
		for (i = 0; i < count; i++)
			print_entry(disk, &entries[i]);
		cursor = entries[count - 1].next_cursor;
	}
	host_abandon(disk);
	return 0;
}

static int command_cat(const struct arguments *a)
{
	struct host_disk *disk = open_disk(a, true);
	uint32_t ino = find(disk, a->word[1]);
	char *data = malloc(COPY_BYTES);
	uint64_t at = 0;
	int64_t n;

	if (!data)
		fail("out of memory");
	while ((n = host_read(disk, ino, at, data, COPY_BYTES)) > 0) {
		if (fwrite(data, 1, n, stdout) != (size_t)n)
			fail("cannot write");
		at += n;
	}
	must(disk, n, a->word[1]);
	free(data);
	host_abandon(disk);
	return 0;
}

static int command_check(const struct arguments *a)
{
	int fd = open(a->word[0], O_RDONLY);
	struct check_result result;
	const char *wrong;

	if (fd < 0)
		fail("%s: %s", a->word[0], strerror(errno));
	wrong = check_disk(fd, a->offset_bytes, stdout, &result);
	close(fd);
	if (wrong)
		fail("%s: %s", a->word[0], wrong);
	printf("%u directories, %u files, %u others; %u inodes and %u zones used; "
	       "%u problems\n", result.directories, result.files, result.others,
	       result.inodes_used, result.zones_used, result.problems);
	return result.problems ? 1 : 0;
}

/* Says what it did; what can't be put right is told by a check. */
static int command_repair(const struct arguments *a)
{
	const char *wrong;
	int fd;

	refuse_mounted(a->word[0]);
	fd = open(a->word[0], O_RDWR);
	if (fd < 0)
		fail("%s: %s", a->word[0], strerror(errno));
	wrong = repair_disk(fd, a->offset_bytes, stdout);
	if (!wrong && fsync(fd))
		wrong = strerror(errno);
	close(fd);
	if (wrong)
		fail("%s: %s", a->word[0], wrong);
	return command_check(a);
}

/* ---- the command line ------------------------------------------------------ */

static const struct command {
	const char *name;
	int words_min, words_max;
	int (*run)(const struct arguments *a);
} commands[] = {
	{ "mkfs", 2, 2, command_mkfs },
	{ "add", 3, 3, command_add },
	{ "tree", 2, 3, command_tree },
	{ "mkdir", 2, 2, command_mkdir },
	{ "mknod", 3, 5, command_mknod },
	{ "symlink", 3, 3, command_symlink },
	{ "rm", 2, 2, command_rm },
	{ "ls", 1, 2, command_ls },
	{ "cat", 2, 2, command_cat },
	{ "check", 1, 1, command_check },
	{ "repair", 1, 1, command_repair },
};

__attribute__((noreturn)) static void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static void set_option(struct arguments *a, const char *name, const char *value)
{
	if (!strcmp(name, "--offset")) {
		a->offset_bytes = strtoull(value, NULL, 0);
	} else if (!strcmp(name, "--version")) {
		a->version = strtoul(value, NULL, 0);
	} else if (!strcmp(name, "--names")) {
		a->name_bytes = strtoul(value, NULL, 0);
	} else if (!strcmp(name, "--block-size")) {
		a->block_size = strtoul(value, NULL, 0);
	} else if (!strcmp(name, "--inodes")) {
		a->inode_count = strtoul(value, NULL, 0);
	} else if (!strcmp(name, "--mode")) {
		a->mode = strtoul(value, NULL, 8);
		a->has_mode = true;
	} else if (!strcmp(name, "--uid")) {
		a->uid = strtoul(value, NULL, 0);
		a->has_uid = true;
	} else if (!strcmp(name, "--gid")) {
		a->gid = strtoul(value, NULL, 0);
		a->has_gid = true;
	} else {
		usage();
	}
}

static void parse(int argc, char **argv, struct arguments *a)
{
	int i;

	a->block_size = DEFAULT_BLOCK_SIZE;
	for (i = 2; i < argc; i++) {
		if (!strncmp(argv[i], "--", 2)) {
			if (i + 1 == argc)
				usage();
			set_option(a, argv[i], argv[i + 1]);
			i++;
		} else if (a->word_count < 6) {
			a->word[a->word_count++] = argv[i];
		} else {
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	size_t i;

	if (argc < 2)
		usage();
	/* The same tree gives the same image where the date is fixed. */
	fixed_time = epoch;
	root.time_ns = (epoch ? strtoul(epoch, NULL, 0) : (uint32_t)time(NULL)) * FSYS_SEC;
	parse(argc, argv, &arguments);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (strcmp(argv[1], command->name))
			continue;
		if (arguments.word_count < command->words_min ||
		    arguments.word_count > command->words_max)
			usage();
		return command->run(&arguments);
	}
	usage();
}
