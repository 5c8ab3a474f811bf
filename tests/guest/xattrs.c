/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes of files and directories, by path, link and descriptor.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

static void values(void)
{
	char buf[64], big[2000], back[2000];

	CHECK(listxattr("file", buf, sizeof(buf)) == 0);
	FAILS(getxattr("file", "user.one", buf, sizeof(buf)), ENODATA);
	CHECK(setxattr("file", "user.one", "first", 5, XATTR_CREATE) == 0);
	FAILS(setxattr("file", "user.one", "again", 5, XATTR_CREATE), EEXIST);
	FAILS(setxattr("file", "user.two", "x", 1, XATTR_REPLACE), ENODATA);
	CHECK(setxattr("file", "user.two", "", 0, 0) == 0);
	CHECK(getxattr("file", "user.one", NULL, 0) == 5);
	FAILS(getxattr("file", "user.one", buf, 4), ERANGE);
	CHECK(getxattr("file", "user.one", buf, sizeof(buf)) == 5 && !memcmp(buf, "first", 5));
	CHECK(getxattr("file", "user.two", buf, sizeof(buf)) == 0);
	memset(big, 'b', sizeof(big));
	CHECK(setxattr("file", "user.one", big, sizeof(big), XATTR_REPLACE) == 0);
	CHECK(getxattr("file", "user.one", back, sizeof(back)) == sizeof(back) && !memcmp(big, back, sizeof(big)));
	CHECK(listxattr("file", NULL, 0) == 18);
	FAILS(listxattr("file", buf, 17), ERANGE);
	CHECK(listxattr("file", buf, sizeof(buf)) == 18);
	CHECK(removexattr("file", "user.one") == 0);
	FAILS(removexattr("file", "user.one"), ENODATA);
	CHECK(listxattr("file", buf, sizeof(buf)) == 9 && !strcmp(buf, "user.two"));
}

static void ways(void)
{
	char buf[64];
	int fd = open("file", O_RDONLY), path = open("file", O_PATH), fds[2];

	CHECK(fsetxattr(fd, "user.fd", "by fd", 5, 0) == 0);
	CHECK(getxattr("link", "user.fd", buf, sizeof(buf)) == 5 && !memcmp(buf, "by fd", 5));
	CHECK(flistxattr(fd, NULL, 0) == 17);
	CHECK(fremovexattr(fd, "user.two") == 0);
	FAILS(fgetxattr(path, "user.fd", buf, sizeof(buf)), EBADF);
	FAILS(fgetxattr(1000, "user.fd", buf, sizeof(buf)), EBADF);
	FAILS(lsetxattr("link", "user.link", "x", 1, 0), EPERM);
	FAILS(lgetxattr("link", "user.fd", buf, sizeof(buf)), ENODATA);
	CHECK(llistxattr("link", buf, sizeof(buf)) == 0);
	CHECK(setxattr("dir", "user.of-dir", "d", 1, 0) == 0 && getxattr("dir/", "user.of-dir", buf, 1) == 1);
	CHECK(pipe(fds) == 0);
	FAILS(fsetxattr(fds[0], "user.pipe", "x", 1, 0), EPERM);
	CHECK(rename("file", "dir/moved") == 0 && getxattr("dir/moved", "user.fd", buf, sizeof(buf)) == 5);
	CHECK(rename("dir/moved", "file") == 0);
	close(fd);
	close(path);
	close(fds[0]);
	close(fds[1]);
}

static void errors(void)
{
	static char value[65536 + 1];
	char name[255 + 2], buf[8];

	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[sizeof(name) - 1] = 0;
	FAILS(setxattr("file", name, "x", 1, 0), ERANGE);
	FAILS(setxattr("file", "", "x", 1, 0), ERANGE);
	FAILS(setxattr("file", "none.such", "x", 1, 0), EOPNOTSUPP);
	FAILS(setxattr("file", "plain", "x", 1, 0), EOPNOTSUPP);
	FAILS(setxattr("file", "user.flags", "x", 1, 4), EINVAL);
	FAILS(setxattr("file", "user.big", value, sizeof(value), 0), E2BIG);
	FAILS(setxattr("file", "user.bad", (void *)1, 1, 0), EFAULT);
	FAILS(setxattr("missing", "user.x", "x", 1, 0), ENOENT);
	FAILS(getxattr("file", (char *)1, buf, sizeof(buf)), EFAULT);
	FAILS(getxattr("file/x", "user.fd", buf, sizeof(buf)), ENOTDIR);
}

static void rights(void)
{
	char buf[8];

	CHECK(chmod("file", 0600) == 0 && setxattr("file", "user.mine", "x", 1, 0) == 0);
	if (geteuid() != 0)
		return;
	CHECK(setxattr("file", "trusted.t", "x", 1, 0) == 0);
	CHECK(chmod(".", 0755) == 0 && seteuid(1000) == 0);
	FAILS(getxattr("file", "user.mine", buf, sizeof(buf)), EACCES);
	FAILS(setxattr("file", "user.mine", "y", 1, 0), EACCES);
	FAILS(setxattr("file", "trusted.t", "y", 1, 0), EPERM);
	FAILS(getxattr("file", "trusted.t", buf, sizeof(buf)), ENODATA);
	CHECK(seteuid(0) == 0);
	CHECK(removexattr("file", "trusted.t") == 0);
}

int main(void)
{
	CHECK(mkdir("xattrs", 0755) == 0 && chdir("xattrs") == 0);
	close(open("file", O_CREAT | O_RDWR, 0644));
	CHECK(symlink("file", "link") == 0 && mkdir("dir", 0755) == 0);
	values();
	ways();
	errors();
	rights();
	unlink("file");
	unlink("link");
	rmdir("dir");
	CHECK(chdir("..") == 0);
	rmdir("xattrs");
	return check_end("xattrs");
}
