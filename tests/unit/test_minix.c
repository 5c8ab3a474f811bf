/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MINIX filesystem: errors and permissions as Linux has them, files with
 * holes, running out of space, failing disks, what a power cut leaves behind,
 * and disks full of nonsense. (test_minix_model.c compares random operations
 * with a model.)
 *
 * sources: fs/minix/bitmap.c fs/minix/cache.c fs/minix/dir.c fs/minix/index.c
 * sources: fs/minix/inode.c fs/minix/known.c fs/minix/map.c fs/minix/op.c fs/minix/room.c
 * sources: lib/fs/access.c lib/fs/attr.c lib/fs/named.c lib/fs/names.c lib/fs/path.c
 * sources: lib/fs/rename.c
 * sources: fs/minix/super.c tools/minixfs/check.c tools/minixfs/repair.c tools/minixfs/host.c
 * sources: tools/minixfs/mkfs.c
 */

#include "fs/minix/dir.h"
#include "tests/unit/minix_fixture.h"

static struct fsys_caller alice = { .uid = 1000, .gid = 100, .time_ns = 2000000 * FSYS_SEC };
static struct fsys_caller bob = { .uid = 1001, .gid = 100, .time_ns = 3000000 * FSYS_SEC };
static struct fsys_caller carol = { .uid = 1002, .gid = 200, .time_ns = 3000000 * FSYS_SEC };

static int set_up(void **state)
{
	(void)state;
	make_image(8 << 20, 1024, 0);
	mount_image();
	return 0;
}

static int set_up_4k(void **state)
{
	(void)state;
	make_image(16 << 20, 4096, 0);
	mount_image();
	return 0;
}

/* ---- short forms ----------------------------------------------------------- */

static int64_t create_as(struct fsys_caller *who, uint32_t dir, const char *name,
			 uint32_t mode, uint32_t *ino)
{
	bool created;

	return RUN(fsys_create(FS, who, dir, name_of(name), mode, true, ino, &created));
}

static uint32_t make_file(uint32_t dir, const char *name)
{
	uint32_t ino = 0;

	assert_int_equal(create_as(&root, dir, name, 0644, &ino), 0);
	return ino;
}

static uint32_t make_dir_as(struct fsys_caller *who, uint32_t dir,
			    const char *name, uint32_t mode)
{
	uint32_t ino = 0;

	assert_int_equal(RUN(fsys_mkdir(FS, who, dir, name_of(name), mode, &ino)), 0);
	return ino;
}

static uint32_t make_dir(uint32_t dir, const char *name)
{
	return make_dir_as(&root, dir, name, 0755);
}

static int64_t do_unlink(struct fsys_caller *who, uint32_t dir, const char *name)
{
	return RUN(fsys_unlink(FS, who, dir, name_of(name)));
}

static int64_t do_rename(uint32_t from_dir, const char *from, uint32_t to_dir,
			 const char *to)
{
	return RUN(fsys_rename(FS, &root, from_dir, name_of(from), to_dir,
				name_of(to), 0));
}

static struct fsys_attr attributes(uint32_t ino)
{
	struct fsys_attr attr;

	assert_int_equal(RUN(fsys_getattr(FS, ino, &attr)), 0);
	return attr;
}

static int64_t set_mode(struct fsys_caller *who, uint32_t ino, uint32_t mode)
{
	struct fsys_setattr set = { .mask = FSYS_SET_MODE, .mode = mode };

	return RUN(fsys_setattr(FS, who, ino, &set));
}

static int64_t set_ids(struct fsys_caller *who, uint32_t ino, uint32_t mask,
		       uint32_t uid, uint32_t gid)
{
	struct fsys_setattr set = { .mask = mask, .uid = uid, .gid = gid };

	return RUN(fsys_setattr(FS, who, ino, &set));
}

static struct fsys_statfs space(void)
{
	struct fsys_statfs statfs;
	int status;

	while ((status = fsys_reap(FS)) != 0)
		host_again(disk, status == -X_EWAIT ? status : 0);
	fsys_statfs(FS, &statfs);
	return statfs;
}

static char link_text[4096];

static int64_t walk(struct fsys_caller *who, const char *path, uint32_t flags,
		    struct fsys_walk *out)
{
	*out = (struct fsys_walk){
		.start_ino = FSYS_ROOT_INO, .path = path,
		.path_bytes = strlen(path), .flags = flags,
		.link = link_text, .link_capacity = sizeof(link_text),
	};
	return RUN(fsys_walk(FS, who, out));
}

static const char *const name_60 =
	"012345678901234567890123456789012345678901234567890123456789";
static const char *const name_61 =
	"0123456789012345678901234567890123456789012345678901234567890";

/* ---- walking ------------------------------------------------------------- */

static void test_walk(void **state)
{
	uint32_t a = make_dir(FSYS_ROOT_INO, "a"), b = make_dir(a, "b");
	uint32_t f = make_file(b, "f");
	struct fsys_walk w;

	(void)state;
	assert_int_equal(walk(&root, "/a/b/f", 0, &w), 0);
	assert_int_equal(w.ino, f);
	assert_int_equal(w.parent_ino, b);
	assert_int_equal(walk(&root, "a//b/./../b///f", 0, &w), 0);
	assert_int_equal(w.ino, f);
	assert_int_equal(walk(&root, "", 0, &w), 0);
	assert_int_equal(w.ino, FSYS_ROOT_INO);
	assert_int_equal(walk(&root, "a/b/", 0, &w), 0);
	assert_int_equal(w.ino, b);
	assert_int_equal(walk(&root, "a/b/f/", 0, &w), -X_ENOTDIR);
	assert_int_equal(walk(&root, "a/b/f/x", 0, &w), -X_ENOTDIR);
	assert_int_equal(walk(&root, "a/x/f", 0, &w), -X_ENOENT);
	assert_int_equal(walk(&root, name_61, 0, &w), -X_ENAMETOOLONG);
	assert_int_equal(walk(&root, name_61, FSYS_WALK_PARENT, &w), -X_ENAMETOOLONG);
	assert_int_equal(walk(&root, name_60, 0, &w), -X_ENOENT);

	assert_int_equal(walk(&root, "a/b/new/", FSYS_WALK_PARENT, &w), 0);
	assert_int_equal(w.ino, b);
	assert_int_equal(w.name_offset, 4);
	assert_int_equal(w.name_bytes, 3);
	assert_true(w.must_be_dir);
	assert_int_equal(walk(&root, "///", FSYS_WALK_PARENT, &w), 0);
	assert_int_equal(w.name_bytes, 0);
}

static void test_walk_links_and_mounts(void **state)
{
	uint32_t a = make_dir(FSYS_ROOT_INO, "a"), b = make_dir(a, "b"), l;
	struct fsys_walk w;

	(void)state;
	assert_int_equal(RUN(fsys_symlink(FS, &root, a, name_of("l"), "../t", 4, &l)), 0);
	assert_int_equal(walk(&root, "/a/l//x", 0, &w), -X_ESYMLINK);
	assert_int_equal(w.ino, l);
	assert_int_equal(w.parent_ino, a);
	assert_int_equal(w.consumed_bytes, 6);
	assert_int_equal(w.link_bytes, 4);
	assert_memory_equal(link_text, "../t", 4);
	assert_int_equal(walk(&root, "/a/l", 0, &w), -X_ESYMLINK);
	assert_int_equal(walk(&root, "/a/l", FSYS_WALK_NOFOLLOW, &w), 0);
	assert_int_equal(w.ino, l);
	assert_int_equal(walk(&root, "/a/l/", FSYS_WALK_NOFOLLOW, &w), -X_ESYMLINK);
	assert_int_equal(walk(&root, "/a/l", FSYS_WALK_PARENT, &w), 0);
	assert_int_equal(w.ino, a);

	assert_int_equal(walk(&root, "a/../../x", 0, &w), -X_ECROSS);
	assert_true(w.up);
	assert_int_equal(w.consumed_bytes, 8);
	w = (struct fsys_walk){ .start_ino = b, .root_ino = a, .path = "../../b",
				 .path_bytes = 7 };
	assert_int_equal(RUN(fsys_walk(FS, &root, &w)), 0);
	assert_int_equal(w.ino, b);

	assert_int_equal(RUN(fsys_mark_mount(FS, b, true)), 0);
	assert_int_equal(RUN(fsys_mark_mount(FS, b, true)), -X_EBUSY);
	assert_int_equal(walk(&root, "a/b/c/d", 0, &w), -X_ECROSS);
	assert_false(w.up);
	assert_int_equal(w.ino, b);
	assert_int_equal(w.consumed_bytes, 4);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, a, name_of("b"))), -X_EBUSY);
	assert_int_equal(do_rename(a, "b", a, "c"), -X_EBUSY);
	assert_int_equal(RUN(fsys_mark_mount(FS, b, false)), 0);
	assert_int_equal(walk(&root, "a/b/c", 0, &w), -X_ENOENT);
}

static void test_path_of(void **state)
{
	uint32_t a = make_dir(FSYS_ROOT_INO, "a"), b = make_dir(a, name_60);
	char path[100];

	(void)state;
	assert_int_equal(RUN(fsys_path_of(FS, FSYS_ROOT_INO, path, 100)), 1);
	assert_int_equal(path[0], '/');
	assert_int_equal(RUN(fsys_path_of(FS, b, path, 100)), 63);
	assert_memory_equal(path, "/a/", 3);
	assert_memory_equal(path + 3, name_60, 60);
	assert_int_equal(RUN(fsys_path_of(FS, b, path, 62)), -X_ERANGE);
}

/* ---- names ---------------------------------------------------------------- */

static void test_names_that_are_none(void **state)
{
	uint32_t a = make_dir(FSYS_ROOT_INO, "a"), ino;

	(void)state;
	make_file(a, "f");
	make_dir(a, "d");
	assert_int_equal(RUN(fsys_mkdir(FS, &root, a, name_of("."), 0755, &ino)), -X_EEXIST);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, a, name_of("."))), -X_EINVAL);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, a, name_of(".."))), -X_ENOTEMPTY);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, a, name_of(""))), -X_EBUSY);
	assert_int_equal(do_unlink(&root, a, "."), -X_EISDIR);
	assert_int_equal(do_unlink(&root, a, "d"), -X_EISDIR);
	assert_int_equal(do_unlink(&root, a, name_61), -X_ENAMETOOLONG);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, a, name_of("f"))), -X_ENOTDIR);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, FSYS_ROOT_INO, name_of("a"))),
			 -X_ENOTEMPTY);
	assert_int_equal(create_as(&root, a, name_61, 0644, &ino), -X_ENAMETOOLONG);
	assert_int_equal(create_as(&root, a, name_60, 0644, &ino), 0);
	assert_int_equal(do_rename(a, ".", a, "x"), -X_EBUSY);
	assert_int_equal(do_rename(a, "f", a, ".."), -X_EBUSY);
	assert_int_equal(do_rename(a, "none", a, "x"), -X_ENOENT);
	assert_int_equal(RUN(fsys_unlink(FS, &root, a, dir_name_of_text("f"))), -X_ENOTDIR);
	assert_int_equal(RUN(fsys_link(FS, &root, a, a, name_of("hard"))), -X_EPERM);
	assert_int_equal(RUN(fsys_symlink(FS, &root, a, name_of("s"), "", 0, &ino)),
			 -X_ENOENT);
	assert_int_equal(RUN(fsys_symlink(FS, &root, a, name_of("s"), link_text, 1024,
					   &ino)), -X_ENAMETOOLONG);
	unmount_image();
	assert_image_clean();
}

static void test_rename_flags_and_times(void **state)
{
	uint32_t a = make_dir(FSYS_ROOT_INO, "a"), b = make_dir(FSYS_ROOT_INO, "b");
	uint32_t f = make_file(a, "f"), d = make_dir(a, "d");

	(void)state;
	root.time_ns += 10 * FSYS_SEC;
	assert_int_equal(do_rename(a, "f", b, "g"), 0);
	assert_int_equal(attributes(f).ctime_ns, root.time_ns);
	assert_int_equal(attributes(f).mtime_ns, root.time_ns - 10 * FSYS_SEC);
	assert_int_equal(attributes(a).mtime_ns, root.time_ns);
	assert_int_equal(attributes(b).mtime_ns, root.time_ns);
	assert_int_equal(attributes(a).link_count, 3);
	assert_int_equal(do_rename(a, "d", b, "d"), 0);
	assert_int_equal(attributes(a).link_count, 2);
	assert_int_equal(attributes(b).link_count, 3);
	assert_int_equal(do_rename(b, "d", d, "x"), -X_EINVAL);
	assert_int_equal(do_rename(FSYS_ROOT_INO, "b", b, "x"), -X_EINVAL);
	assert_int_equal(do_rename(b, "g", FSYS_ROOT_INO, "b"), -X_ENOTEMPTY);
	assert_int_equal(RUN(fsys_rename(FS, &root, b, name_of("g"), b, name_of("d"),
					  FSYS_RENAME_NOREPLACE)), -X_EEXIST);
	assert_int_equal(RUN(fsys_link(FS, &root, f, a, name_of("f"))), 0);
	assert_int_equal(do_rename(b, "g", a, "f"), 0);
	assert_int_equal(attributes(f).link_count, 2);
	assert_int_equal(RUN(fsys_rename(FS, &root, b, dir_name_of_text("g"), b,
					  name_of("h"), 0)), -X_ENOTDIR);
	assert_int_equal(RUN(fsys_rename(FS, &root, b, dir_name_of_text("d"), b,
					  dir_name_of_text("e"), 0)), 0);
	unmount_image();
	assert_image_clean();
}

static void test_nodes(void **state)
{
	uint32_t ino, length;
	char text[16];

	(void)state;
	assert_int_equal(RUN(fsys_mknod(FS, &root, 1, name_of("c"), FSYS_S_IFCHR | 0600,
					 4, 64, &ino)), 0);
	assert_int_equal(attributes(ino).major, 4);
	assert_int_equal(attributes(ino).minor, 64);
	assert_int_equal(RUN(fsys_mknod(FS, &root, 1, name_of("b"), FSYS_S_IFBLK | 0600,
					 259, 70000, &ino)), 0);
	assert_int_equal(attributes(ino).major, 259);
	assert_int_equal(attributes(ino).minor, 70000);
	assert_int_equal(RUN(fsys_mknod(FS, &alice, 1, name_of("c2"),
					 FSYS_S_IFCHR | 0600, 4, 64, &ino)), -X_EACCES);
	assert_int_equal(RUN(fsys_mknod(FS, &root, 1, name_of("p"), FSYS_S_IFIFO | 0600,
					 0, 0, &ino)), 0);
	assert_int_equal(RUN(fsys_mknod(FS, &root, 1, name_of("d"), FSYS_S_IFDIR | 0600,
					 0, 0, &ino)), -X_EPERM);
	assert_int_equal(RUN(fsys_symlink(FS, &root, 1, name_of("l"), "target", 6, &ino)), 0);
	length = RUN(fsys_readlink(FS, ino, text, sizeof(text)));
	assert_int_equal(length, 6);
	assert_int_equal(RUN(fsys_readlink(FS, ino, text, 3)), 3);
	assert_int_equal(do_unlink(&root, 1, "b"), 0);
	assert_int_equal(do_unlink(&root, 1, "l"), 0);
	unmount_image();
	assert_image_clean();
}

/* ---- permissions ------------------------------------------------------------ */

static void test_permissions(void **state)
{
	uint32_t shut = make_dir_as(&root, 1, "shut", 0700);
	uint32_t tmp = make_dir_as(&root, 1, "tmp", 01777), f, ino;
	struct fsys_walk w;

	(void)state;
	make_file(shut, "f");
	assert_int_equal(walk(&alice, "shut/f", 0, &w), -X_EACCES);
	assert_int_equal(walk(&alice, "shut", 0, &w), 0);
	assert_int_equal(create_as(&alice, 1, "no", 0644, &ino), -X_EACCES);
	assert_int_equal(create_as(&alice, tmp, "f", 0640, &f), 0);
	assert_int_equal(attributes(f).uid, 1000);
	assert_int_equal(attributes(f).gid, 100);
	assert_int_equal(RUN(fsys_access(FS, &alice, f, FSYS_R | FSYS_W)), 0);
	assert_int_equal(RUN(fsys_access(FS, &bob, f, FSYS_R)), 0);
	assert_int_equal(RUN(fsys_access(FS, &bob, f, FSYS_W)), -X_EACCES);
	assert_int_equal(RUN(fsys_access(FS, &carol, f, FSYS_R)), -X_EACCES);
	assert_int_equal(RUN(fsys_access(FS, &root, f, FSYS_X)), -X_EACCES);
	/* sticky */
	assert_int_equal(do_unlink(&bob, tmp, "f"), -X_EPERM);
	assert_int_equal(RUN(fsys_rename(FS, &bob, tmp, name_of("f"), tmp, name_of("g"), 0)),
			 -X_EPERM);
	/* chmod, chown */
	assert_int_equal(set_mode(&bob, f, 0777), -X_EPERM);
	assert_int_equal(set_mode(&alice, f, 04755), 0);
	assert_int_equal(attributes(f).mode, FSYS_S_IFREG | 04755);
	assert_int_equal(set_ids(&alice, f, FSYS_SET_UID, 1001, 0), -X_EPERM);
	assert_int_equal(set_ids(&alice, f, FSYS_SET_GID, 0, 200), -X_EPERM);
	assert_int_equal(set_ids(&alice, f, FSYS_SET_GID, 0, 100), 0);
	assert_int_equal(attributes(f).mode, FSYS_S_IFREG | 0755);
	assert_int_equal(set_ids(&root, f, FSYS_SET_UID, 70000, 0), -X_EOVERFLOW);
	assert_int_equal(set_ids(&root, f, FSYS_SET_GID, 0, 200), 0);
	assert_int_equal(set_mode(&alice, f, 02755), 0);
	assert_int_equal(attributes(f).mode, FSYS_S_IFREG | 0755);
	assert_int_equal(do_unlink(&alice, tmp, "f"), 0);
}

static void test_times_and_set_gid(void **state)
{
	struct fsys_setattr now = { .mask = FSYS_SET_ATIME_NOW | FSYS_SET_MTIME_NOW };
	struct fsys_setattr then = { .mask = FSYS_SET_MTIME, .mtime_ns = 77 * FSYS_SEC };
	uint32_t d = make_dir_as(&root, 1, "d", 0777), f, sub;

	(void)state;
	assert_int_equal(set_ids(&root, d, FSYS_SET_GID, 0, 200), 0);
	assert_int_equal(set_mode(&root, d, 02777), 0);
	assert_int_equal(create_as(&alice, d, "f", 0666, &f), 0);
	assert_int_equal(attributes(f).gid, 200);
	sub = make_dir_as(&alice, d, "sub", 0755);
	assert_int_equal(attributes(sub).gid, 200);
	assert_int_equal(attributes(sub).mode, FSYS_S_IFDIR | 02755);

	assert_int_equal(RUN(fsys_setattr(FS, &bob, f, &now)), 0);
	assert_int_equal(attributes(f).mtime_ns, bob.time_ns);
	assert_int_equal(RUN(fsys_setattr(FS, &bob, f, &then)), -X_EPERM);
	assert_int_equal(RUN(fsys_setattr(FS, &alice, f, &then)), 0);
	assert_int_equal(attributes(f).mtime_ns, 77 * FSYS_SEC);
	assert_int_equal(set_mode(&alice, f, 0600), 0);
	assert_int_equal(RUN(fsys_setattr(FS, &bob, f, &now)), -X_EACCES);
}

static void test_read_only(void **state)
{
	uint32_t f = make_file(1, "f"), ino;

	(void)state;
	unmount_image();
	options.read_only = true;
	mount_image();
	assert_int_equal(create_as(&root, 1, "g", 0644, &ino), -X_EROFS);
	assert_int_equal(do_unlink(&root, 1, "f"), -X_EROFS);
	assert_int_equal(write_file(f, 0, "x", 1), -X_EROFS);
	assert_int_equal((host_truncate(disk, &root, f, 0, false)), -X_EROFS);
	assert_int_equal(set_mode(&root, f, 0), -X_EROFS);
	assert_int_equal(RUN(fsys_access(FS, &root, f, FSYS_W)), -X_EROFS);
	assert_int_equal(RUN(fsys_access(FS, &root, f, FSYS_R)), 0);
	unmount_image();
}

/* ---- files ------------------------------------------------------------------ */

/* A byte at each turning point of the map, and nothing in between. */
static void check_holes(uint32_t block_size)
{
	uint64_t per = block_size / 4;
	uint64_t at[] = {
		0, 7ull * block_size - 1, 7ull * block_size,
		(7 + per) * block_size - 1, (7 + per) * block_size,
		(7 + per + per * per) * block_size - 1,
		(7 + per + per * per) * block_size, 0x7ffffffe,
	};
	uint32_t before = space().blocks_free, f = make_file(1, "f"), i;
	uint8_t byte, around[3];

	for (i = 0; i < 8; i++) {
		if (at[i] > 0x7ffffffe)
			continue;
		byte = 'a' + i;
		assert_int_equal(write_file(f, at[i], &byte, 1), 1);
		assert_int_equal(attributes(f).size_bytes, at[i] + 1);
	}
	for (i = 0; i < 8; i++) {
		if (at[i] > 0x7ffffffe)
			continue;
		assert_int_equal(read_file(f, at[i], &byte, 1), 1);
		assert_int_equal(byte, 'a' + i);
	}
	assert_int_equal(read_file(f, 3ull * block_size, around, 3), 3);
	assert_memory_equal(around, "\0\0\0", 3);
	assert_int_equal(write_file(f, 0x7fffffff, "x", 1), -X_EFBIG);
	assert_int_equal((host_truncate(disk, &root, f, 0x80000000, false)), -X_EFBIG);
	unmount_image();
	assert_image_clean();
	mount_image();
	assert_int_equal((host_truncate(disk, &root, f, 7ull * block_size, false)), 0);
	/* Growing again must wait for what was cut off, and find zeros. */
	assert_int_equal((host_truncate(disk, &root, f, 0x7fffffff, false)), 0);
	assert_int_equal(read_file(f, 7ull * block_size, &byte, 1), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(do_unlink(&root, 1, "f"), 0);
	assert_int_equal(space().blocks_free, before);
	unmount_image();
	assert_image_clean();
}

static void test_holes(void **state)
{
	(void)state;
	check_holes(1024);
}

static void test_holes_4k(void **state)
{
	(void)state;
	check_holes(4096);
}

static void test_tail_is_zeroed(void **state)
{
	uint32_t f = make_file(1, "f"), i;
	char data[3000], zeros[3000] = { 0 };

	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(write_file(f, 0, data, 3000), 3000);
	assert_int_equal((host_truncate(disk, &root, f, 100, false)), 0);
	assert_int_equal((host_truncate(disk, &root, f, 3000, false)), 0);
	assert_int_equal(read_file(f, 0, data, 3000), 3000);
	for (i = 0; i < 100; i++)
		assert_int_equal(data[i], 'x');
	assert_memory_equal(data + 100, zeros, 2900);
	assert_int_equal(host_read(disk, 1, 0, data, 10), -X_EISDIR);
	assert_int_equal(read_file(f, 3000, data, 10), 0);
}

static void test_set_id_goes_with_a_write(void **state)
{
	uint32_t f;

	(void)state;
	assert_int_equal(set_mode(&root, 1, 0777), 0);
	assert_int_equal(create_as(&alice, 1, "f", 06777, &f), 0);
	assert_int_equal(host_write(disk, &root, f, 0, "x", 1), 1);
	assert_int_equal(attributes(f).mode, FSYS_S_IFREG | 06777);
	assert_int_equal(host_write(disk, &alice, f, 0, "x", 1), 1);
	assert_int_equal(attributes(f).mode, FSYS_S_IFREG | 0777);
}

static void test_unlinked_but_held(void **state)
{
	uint32_t before = space().blocks_free, inodes = space().inodes_free;
	uint32_t f = make_file(1, "f");
	static char data[300000];

	(void)state;
	assert_int_equal(RUN(fsys_hold(FS, f)), 0);
	assert_int_equal(write_file(f, 0, data, sizeof(data)), sizeof(data));
	assert_int_equal(do_unlink(&root, 1, "f"), 0);
	assert_int_equal(attributes(f).link_count, 0);
	assert_int_equal(write_file(f, sizeof(data), "x", 1), 1);
	assert_true(space().blocks_free < before);
	assert_true(fsys_release(FS, f, 1));
	assert_false(fsys_release(FS, f, 1));
	assert_int_equal(space().blocks_free, before);
	assert_int_equal(space().inodes_free, inodes);
}

static void test_directory_larger_than_the_cache(void **state)
{
	struct fsys_dirent entries[64];
	uint32_t d, cursor = 0, i, count = 0;
	char name[61];
	int64_t n;

	(void)state;
	options = (struct host_options){ .slow = true, .seed = 9,
					 .meta_frames_bytes = 96 * 1024 };
	make_image(16 << 20, 1024, 4000);
	mount_image();
	d = make_dir(1, "d");
	for (i = 0; i < 2500; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		make_file(d, name);
	}
	assert_true(attributes(d).size_bytes > 96 * 1024);
	/* Remove while listing: each is listed once. */
	while ((n = RUN(fsys_readdir(FS, &root, d, cursor, entries, 64))) > 0) {
		for (i = 0; i < n; i++) {
			if (entries[i].name[0] == '.')
				continue;
			assert_int_equal(entries[i].mode, FSYS_S_IFREG);
			assert_int_equal(do_unlink(&root, d, entries[i].name), 0);
			count++;
		}
		cursor = entries[n - 1].next_cursor;
	}
	assert_int_equal(n, 0);
	assert_int_equal(count, 2500);
	assert_int_equal(RUN(fsys_rmdir(FS, &root, 1, name_of("d"))), 0);
	unmount_image();
	assert_image_clean();
}

/* ---- running out ------------------------------------------------------------ */

static void test_no_space(void **state)
{
	static char data[100000];
	uint32_t f, d, ino, i;
	int64_t n;

	(void)state;
	make_image(1 << 20, 1024, 0);
	mount_image();
	f = make_file(1, "f");
	d = make_dir(1, "d");
	for (i = 0; (n = write_file(f, (uint64_t)i * sizeof(data), data,
				    sizeof(data))) == sizeof(data); i++)
		;
	assert_true(n == -X_ENOSPC || n < (int64_t)sizeof(data));
	assert_int_equal(space().blocks_free, 0);
	assert_int_equal(write_file(f, 600000000, "x", 1), -X_ENOSPC);
	assert_int_equal(RUN(fsys_mkdir(FS, &root, d, name_of("sub"), 0755, &ino)), -X_ENOSPC);
	assert_int_equal(RUN(fsys_symlink(FS, &root, d, name_of("l"), "t", 1, &ino)), -X_ENOSPC);
	for (i = 0; i < 30; i++) {
		char name[8];

		snprintf(name, sizeof(name), "n%u", i);
		if (create_as(&root, d, name, 0644, &ino))
			break;
	}
	assert_true(i > 10 && i < 16);
	assert_int_equal(space().blocks_free, 0);
	/* Space that is still to be freed counts as space. */
	assert_int_equal(do_unlink(&root, 1, "f"), 0);
	assert_int_equal(RUN(fsys_mkdir(FS, &root, 1, name_of("sub"), 0755, &ino)), 0);
	unmount_image();
	assert_image_clean();
}

static void test_no_inodes(void **state)
{
	uint32_t ino, i;
	char name[8];
	int64_t status = 0;

	(void)state;
	make_image(2 << 20, 1024, 32);
	mount_image();
	for (i = 0; !status; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		status = create_as(&root, 1, name, 0644, &ino);
	}
	assert_int_equal(status, -X_ENOSPC);
	assert_int_equal(i, 32);
	assert_int_equal(space().inodes_free, 0);
	assert_int_equal(do_unlink(&root, 1, "n3"), 0);
	assert_int_equal(create_as(&root, 1, "x", 0644, &ino), 0);
	unmount_image();
	assert_image_clean();
}

static void test_all_inodes_held(void **state)
{
	uint32_t ino, i, held = 0;
	char name[8];

	(void)state;
	unmount_image();
	options.inode_slots = 20;
	mount_image();
	for (i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		if (create_as(&root, 1, name, 0644, &ino))
			break;
		assert_int_equal(RUN(fsys_hold(FS, ino)), 0);
		held++;
	}
	assert_true(held >= 18 && held < 20);
	assert_int_equal(create_as(&root, 1, "x", 0644, &ino), -X_ENFILE);
	unmount_image();
	assert_image_clean();
}

/* ---- disks that fail --------------------------------------------------------- */

static void test_sync_means_on_disk(void **state)
{
	struct cache_sync sync = { 0 };
	static char data[200000], back[200000];
	uint32_t f, i;

	(void)state;
	unmount_image();
	options = (struct host_options){ .slow = true, .seed = 4 };
	mount_image();
	f = make_file(1, "f");
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 31;
	assert_int_equal(write_file(f, 0, data, sizeof(data)), sizeof(data));
	make_file(1, "later");
	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
	host_abandon(disk);
	mount_image();
	assert_false(disk->fs.was_clean);
	assert_int_equal(read_file(f, 0, back, sizeof(back)), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	unmount_image();
	assert_image_clean();
}

static void test_inode_of_the_same_bytes_is_not_written(void **state)
{
	struct cache_sync sync = { 0 };
	uint32_t f = make_file(1, "f");

	(void)state;
	assert_int_equal(write_file(f, 0, "hello", 5), 5);
	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
	assert_int_equal(write_file(f, 0, "HELLO", 5), 5);
	assert_int_equal(FS->cache.dirty.count, 0);
	assert_int_equal(write_file(f, 0, "HELLO!", 6), 6);
	assert_true(FS->cache.dirty.count > 0);
}

static void test_lost_device_cache(void **state)
{
	struct cache_sync sync = { 0 };
	uint64_t writes;

	(void)state;
	assert_int_equal(write_file(make_file(1, "f"), 0, "hello", 5), 5);
	cache_write_back(&FS->cache, 1000);
	assert_int_equal(FS->cache.dirty.count, 0);
	assert_false(cache_is_stable(&FS->cache));
	cache_epoch_lost(&FS->cache);
	assert_true(FS->cache.dirty.count > 0);
	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
	assert_true(cache_is_stable(&FS->cache));
	/* Lost in the midst of a sync: it begins anew. */
	assert_int_equal(write_file(2, 0, "HELLO!", 6), 6);
	memset(&sync, 0, sizeof(sync));
	disk->options.slow = true;
	while (FS->cache.flushing == false)
		if (minix_sync(FS, &sync) == -X_EWAIT && !FS->cache.flushing)
			host_pump(disk);
	cache_epoch_lost(&FS->cache);
	disk->queue_count--;
	cache_flush_lost(&FS->cache);
	assert_true(FS->cache.dirty.count > 0);
	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
	assert_true(cache_is_stable(&FS->cache));
	writes = FS->cache.writes;
	cache_epoch_lost(&FS->cache);
	memset(&sync, 0, sizeof(sync));
	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
	assert_int_equal(FS->cache.writes, writes);
}

static void test_power_cut_reclaims(void **state)
{
	struct cache_sync sync = { 0 };
	uint32_t before = space().blocks_free, f = make_file(1, "f");
	static char data[300000];

	(void)state;
	assert_int_equal(write_file(f, 0, data, sizeof(data)), sizeof(data));
	assert_int_equal(RUN(fsys_hold(FS, f)), 0);
	assert_int_equal(do_unlink(&root, 1, "f"), 0);
	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
	host_abandon(disk);
	mount_image();
	assert_int_equal(space().blocks_free, before);
	unmount_image();
	assert_image_clean();
}

static void random_work(uint32_t steps)
{
	static char data[5000];
	uint32_t i;

	for (i = 0; i < steps; i++) {
		char name[8], other[8];
		uint32_t ino = 0;
		int64_t status;

		snprintf(name, sizeof(name), "n%u", host_random(disk, 20));
		snprintf(other, sizeof(other), "n%u", host_random(disk, 20));
		switch (host_random(disk, 6)) {
		case 0:
		case 1:
			status = create_as(&root, 1, name, 0644, &ino);
			if (!status)
				write_file(ino, host_random(disk, 400000), data, 5000);
			break;
		case 2:
			status = RUN(fsys_mkdir(FS, &root, 1, name_of(name), 0755, &ino));
			break;
		case 3:
			status = do_rename(1, name, 1, other);
			break;
		case 4:
			status = RUN(fsys_rmdir(FS, &root, 1, name_of(name)));
			break;
		default:
			status = do_unlink(&root, 1, name);
		}
		assert_true(status <= 0 && status > -512);
	}
}

static void test_failing_disk(void **state)
{
	struct cache_sync sync = { 0 };
	int64_t status;

	(void)state;
	unmount_image();
	options = (struct host_options){ .slow = true, .seed = 7,
					 .meta_frames_bytes = 128 * 1024 };
	mount_image();
	disk->options.fail_one_in = 6;
	random_work(2000);
	status = RUN(minix_sync(FS, &sync));
	assert_true(status == 0 || status == -X_EIO);
	/* It works again: nothing was lost, since dirty blocks stay. */
	disk->options.fail_one_in = 0;
	random_work(200);
	unmount_image();
	assert_image_clean();
}

/* ---- disks full of nonsense -------------------------------------------------- */

static void look_everywhere(void)
{
	uint32_t ino;

	for (ino = 0; ino < 70; ino++) {
		static char data[5000];
		struct fsys_dirent entries[8];
		struct fsys_attr attr;
		uint32_t cursor = 0, rounds;
		int64_t n;

		RUN(fsys_getattr(FS, ino, &attr));
		RUN(fsys_readlink(FS, ino, data, sizeof(data)));
		RUN(fsys_path_of(FS, ino, data, sizeof(data)));
		for (rounds = 0; rounds < 40; rounds++) {
			n = RUN(fsys_readdir(FS, &root, ino, cursor, entries, 8));
			if (n <= 0)
				break;
			cursor = entries[n - 1].next_cursor;
		}
		for (rounds = 0; rounds < 9; rounds++)
			host_read(disk, ino, 1u << 3 * rounds, data, 4000);
	}
}

static void work_anyway(void)
{
	static char data[3000];
	uint32_t ino, other;

	for (ino = 1; ino < 40; ino++) {
		host_write(disk, &root, ino, ino * 20000, data, 3000);
		(host_truncate(disk, &root, ino, ino * 500, true));
		create_as(&root, ino, "new", 0644, &other);
		RUN(fsys_mkdir(FS, &root, ino, name_of("dir"), 0755, &other));
		RUN(fsys_rename(FS, &root, ino, name_of("f3"), 1, name_of("f4"), 0));
		RUN(fsys_rename(FS, &root, 1, name_of("d1"), ino, name_of("d2"), 0));
		RUN(fsys_unlink(FS, &root, ino, name_of("f2")));
		RUN(fsys_rmdir(FS, &root, ino, name_of("d5")));
	}
}

static void fill_image(void)
{
	static char data[20000];
	uint32_t i, dir = 1, ino;
	char name[8];

	for (i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ino = make_file(dir, name);
		write_file(ino, host_random(disk, 500000), data, sizeof(data));
		snprintf(name, sizeof(name), "d%u", i);
		ino = make_dir(dir, name);
		if (i % 2)
			dir = ino;
	}
	RUN(fsys_symlink(FS, &root, dir, name_of("l"), "target", 6, &ino));
}

static void damage(int fd, const struct minix_super_disk *super, uint32_t kind)
{
	uint64_t table = (2ull + super->inode_map_blocks + super->zone_map_blocks) *
			 super->block_size_bytes;
	uint64_t data = (uint64_t)super->first_data_zone * super->block_size_bytes;
	uint32_t i, value;

	for (i = 0; i < 12; i++) {
		uint64_t at;

		value = host_random(disk, 3) ? host_random(disk, 3000)
					     : host_random(disk, 0x7fffffff) * 2;
		switch (kind) {
		case 0:         /* superblock */
			at = MINIX_SUPER_OFFSET_BYTES + host_random(disk, 30);
			break;
		case 1:         /* bitmaps */
			at = 2048 + host_random(disk, table - 2048);
			break;
		case 2:         /* inodes */
			at = table + host_random(disk, 64 * 62);
			break;
		default:        /* directories, indirect blocks */
			at = data + host_random(disk, 300) * 1024ull +
			     host_random(disk, 16) * 64;
		}
		assert_int_equal(pwrite(fd, &value, 1 + host_random(disk, 4), at) > 0, 1);
		if (kind == 0)
			break;
	}
}

static void test_damaged_disks(void **state)
{
	char command[256];
	uint32_t round, refused = 0;
	struct minix_super_disk super;
	const char *reason;

	(void)state;
	fill_image();
	unmount_image();
	snprintf(command, sizeof(command), "cp %s %s.log", image, image);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "cp %s.log %s", image, image);
	for (round = 0; round < 240; round++) {
		struct check_result result;
		int fd;

		assert_int_equal(system(command), 0);
		options = (struct host_options){ .seed = round };
		disk = calloc(1, sizeof(*disk));        /* for its random numbers */
		disk->random = round * 977;
		fd = open(image, O_RDWR);
		assert_int_equal(pread(fd, &super, sizeof(super), 1024), sizeof(super));
		damage(fd, &super, round % 4);
		free(disk);
		check_disk(fd, 0, NULL, &result);
		close(fd);
		if (host_open(image, &options, &disk, &reason)) {
			assert_non_null(reason);
			refused++;
			disk = NULL;
			continue;
		}
		look_everywhere();
		work_anyway();
		host_close(disk);
		disk = NULL;
	}
	assert_true(refused > 10 && refused < 120);
}

static void test_disks_that_are_none(void **state)
{
	const char *reason;

	(void)state;
	unmount_image();
	assert_int_equal(truncate(image, 4000000), 0);
	assert_int_equal(host_open(image, &options, &disk, &reason), -X_EINVAL);
	assert_string_equal(reason, "the filesystem is larger than its device");
	assert_int_equal(truncate(image, 1500), 0);
	assert_true(host_open(image, &options, &disk, &reason) < 0);
	assert_int_equal(truncate(image, 0), 0);
	assert_true(host_open(image, &options, &disk, &reason) < 0);
	assert_int_equal(truncate(image, 100000), 0);
	assert_int_equal(host_open(image, &options, &disk, &reason), -X_EINVAL);
	assert_string_equal(reason, "no MINIX superblock");
	disk = NULL;
}

static struct fsys_node *in_core(uint32_t ino)
{
	uint32_t i;

	for (i = 0; i < disk->fs.setup.inode_slots; i++)
		if (disk->fs.setup.inodes[i].ino == ino)
			return &disk->fs.setup.inodes[i];
	fail_msg("inode %u is not in core", ino);
	return NULL;
}

/* A directory that goes on and on keeps nobody: a hole ends it, and so many blocks are looked
 * at in one run only, though all of them are in memory (here it is one). */
static void test_endless_directories(void **state)
{
	struct fsys_node *dir = in_core(make_dir(1, "a"));
	uint32_t blocks = FS->zone_count, numbers = make_file(1, "numbers"), zones[3], i, k, ino, runs = 0;
	int64_t status;

	(void)state;
	assert_int_equal(host_write(disk, &root, numbers, 0, (char[3 * 1024]){ 0 }, 3 * 1024), 3 * 1024);
	assert_int_equal(RUN(minix_map(FS, numbers, 0, 3, zones)), 0);
	for (k = 0; k < 3; k++) {       /* the first has entries, the second names it, the third the second */
		struct cache_buf *buf;

		while (cache_get_fresh(&FS->cache, zones[k], &buf))
			host_again(disk, -X_EWAIT);
		for (i = 0; k && i < 256; i++)
			((uint32_t *)(void *)buf->frame)[i] = zones[k - 1];
	}
	for (i = 0; i < 7; i++)
		dir->zone[i] = zones[0];
	dir->zone[MINIX_ZONE_SINGLE] = zones[1];
	dir->zone[MINIX_ZONE_DOUBLE] = zones[2];
	dir->size_bytes = blocks * 1024u;
	dir->dir_version = ++FS->last_dir_version;
	do {
		status = fsys_mkdir(FS, &root, dir->ino, name_of("x"), 0755, &ino);
		runs++;
	} while (host_again(disk, status));
	assert_true(runs > 1 && runs >= blocks / DIR_SCAN_BLOCKS);
	dir->zone[3] = 0;
	dir->dir_version = ++FS->last_dir_version;
	FS->damage_count = 0;
	assert_int_equal(RUN(fsys_mkdir(FS, &root, dir->ino, name_of("y"), 0755, &ino)), -X_EUCLEAN);
	host_abandon(disk);
	disk = NULL;
}

/* A directory that names itself as its child must not catch anyone. */
static void test_circle(void **state)
{
	uint32_t a = make_dir(1, "a"), b = make_dir(a, "b"), c = make_dir(b, "c");
	struct fsys_node *ip = in_core(b);
	uint32_t i;
	char path[100];

	(void)state;
	/* b/.. becomes c: a circle that no longer leads to the root. */
	for (i = 0; i < disk->fs.setup.memory.buf_count; i++) {
		struct cache_buf *buf = &disk->fs.setup.memory.bufs[i];

		if (buf->state == CACHE_VALID && buf->blkno == ip->zone[0])
			((struct minix_dirent_disk *)(void *)buf->frame)[1].ino = c;
	}
	assert_int_equal(RUN(fsys_path_of(FS, c, path, 100)), -X_EUCLEAN);
	assert_int_equal(do_rename(1, "a", c, "x"), -X_EUCLEAN);
	host_abandon(disk);
	disk = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_walk),
		TEST(test_walk_links_and_mounts),
		TEST(test_path_of),
		TEST(test_names_that_are_none),
		TEST(test_rename_flags_and_times),
		TEST(test_nodes),
		TEST(test_permissions),
		TEST(test_times_and_set_gid),
		TEST(test_read_only),
		TEST(test_holes),
		cmocka_unit_test_setup_teardown(test_holes_4k, set_up_4k, tear_down),
		TEST(test_tail_is_zeroed),
		TEST(test_set_id_goes_with_a_write),
		TEST(test_unlinked_but_held),
		cmocka_unit_test_teardown(test_directory_larger_than_the_cache, tear_down),
		cmocka_unit_test_teardown(test_no_space, tear_down),
		cmocka_unit_test_teardown(test_no_inodes, tear_down),
		TEST(test_all_inodes_held),
		TEST(test_sync_means_on_disk),
		TEST(test_inode_of_the_same_bytes_is_not_written),
		TEST(test_lost_device_cache),
		TEST(test_power_cut_reclaims),
		TEST(test_failing_disk),
		TEST(test_damaged_disks),
		TEST(test_disks_that_are_none),
		TEST(test_endless_directories),
		TEST(test_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
