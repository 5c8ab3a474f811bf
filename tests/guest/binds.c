/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is reached by descriptors of what was opened in a bind: "..", what may not be written, or run.
 *
 *   binds DIR FILE      FILE in DIR, which is a bind's root or below it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

static void say(const char *what, long result)
{
	printf("%s %s\n", what, result < 0 ? strerror(errno) : "done");
}

int main(int argc, char **argv)
{
	int dir, file = -1, place;
	char text[256];
	void *at;

	if (argc < 3)
		return 2;
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
