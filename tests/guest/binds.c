/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is reached by descriptors of what was opened in a bind: "..", what may not be written, or run.
 *
 *   binds DIR FILE           FILE in DIR, which is a bind's root or below it
 *   binds DIR FILE SOURCE    DIR is a bind of SOURCE: names in both, many open files, noexec for what is open already
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

static void say(const char *what, long result)
{
	printf("%s %s\n", what, result < 0 ? strerror(errno) : "done");
}

static bool may_run(int file)
{
	return mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}

static void in_two_places(const char *dir, const char *name, const char *source)
{
	enum { MANY = 900 };
	char path[256], from[256], to[256], text[256];
	int at = open(dir, O_RDONLY | O_DIRECTORY), files[MANY], outside;

	snprintf(from, sizeof(from), "%s/%s", dir, name);
	snprintf(to, sizeof(to), "%s/moved", source);
	FAILS(rename(from, to), EXDEV);
	FAILS(link(from, to), EXDEV);
	snprintf(to, sizeof(to), "%s/%s", source, name);
	FAILS(link(from, to), EEXIST);
	outside = open(to, O_RDONLY);
	for (int i = 0; i < MANY; i++) {
		files[i] = openat(at, name, O_RDONLY);
		CHECK(files[i] >= 0);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", files[0]);
	memset(text, 0, sizeof(text));
	CHECK(readlink(path, text, sizeof(text) - 1) > 0 && !strcmp(text, from));
	FAILS(umount(dir), EBUSY);
	CHECK(may_run(files[0]) && may_run(outside));
	CHECK(mount("none", dir, NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC, NULL) == 0);
	for (int i = 0; i < MANY; i++) {
		CHECK(!may_run(files[i]) && errno == EPERM);
		if (i)
			close(files[i]);
	}
	CHECK(may_run(outside));
	CHECK(mount("none", dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0 && may_run(files[0]));
	close(at);
	FAILS(umount(dir), EBUSY);
	FAILS(fchmod(files[0], 0600), EROFS); /* the first that was opened, many ago */
	CHECK(umount2(dir, MNT_DETACH) == 0);
	FAILS(fchmod(files[0], 0600), EROFS); /* it is seen by it as long as it is open */
	CHECK(fchmod(outside, 0600) == 0);
	close(files[0]);
	close(outside);
}

int main(int argc, char **argv)
{
	int dir, file = -1, place;
	char text[256];
	void *at;

	if (argc < 3)
		return 2;
	if (argc > 3) {
		in_two_places(argv[1], argv[2], argv[3]);
		return check_end("binds");
	}
	dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	place = open(argv[1], O_PATH);
	for (int i = 0; i < 4; i++) {   /* from the third time on without its filesystem */
		if (file >= 0)
			close(file);
		file = openat(dir, argv[2], O_RDONLY);
	}
	CHECK(dir >= 0 && place >= 0 && file >= 0);
	say("openat", openat(dir, "new", O_CREAT | O_WRONLY, 0644));
	say("openat of a place", openat(place, "new", O_CREAT | O_WRONLY, 0644));
	say("mkdirat", mkdirat(dir, "d", 0755));
	say("renameat", renameat(dir, argv[2], dir, "other"));
	say("renameat back", renameat(dir, "other", dir, argv[2]));
	say("fchmod", fchmod(file, 0640));
	say("fchown", fchown(file, 0, 0));
	say("futimens", futimens(file, NULL));
	snprintf(text, sizeof(text), "/proc/self/fd/%d", file);
	say("open for writing", open(text, O_WRONLY));
	at = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	say("mmap", at == MAP_FAILED ? -1 : 0);
	at = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK(at != MAP_FAILED);
	say("mprotect", mprotect(at, 1, PROT_READ | PROT_EXEC));
	CHECK(fchdir(dir) == 0 && getcwd(text, sizeof(text)));
	printf("%s\n", text);
	CHECK(fchdir(openat(dir, "..", O_RDONLY | O_DIRECTORY)) == 0 && getcwd(text, sizeof(text)));
	printf("%s\n", text);
	CHECK(fstatat(dir, argv[2], &(struct stat){ 0 }, 0) == 0);
	return check_end("binds");
}
