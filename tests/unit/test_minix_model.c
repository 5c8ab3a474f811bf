/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on the MINIX filesystem and on a simple model in memory,
 * which must agree: statuses, names, attributes and bytes. The disk is slow,
 * forgetful and small, so that operations run again and again and run out of
 * space. In the end the image must be clean.
 *
 * sources: fs/minix/bitmap.c fs/minix/cache.c fs/minix/dir.c fs/minix/index.c
 * sources: fs/minix/inode.c fs/minix/known.c fs/minix/map.c fs/minix/op.c fs/minix/room.c
 * sources: lib/fs/access.c lib/fs/attr.c lib/fs/named.c lib/fs/names.c lib/fs/path.c
 * sources: lib/fs/rename.c
 * sources: fs/minix/super.c tools/minixfs/check.c tools/minixfs/repair.c tools/minixfs/host.c
 * sources: tools/minixfs/mkfs.c
 */

#include "tests/unit/minix_fixture.h"

enum {
	NODES = 96,
	NAMES = 14,
	FILE_MAX_BYTES = 400 * 1024,    /* well into the double indirect tree */
	REMOUNT_EVERY = 1500,
};

enum type { FREE, FILE_NODE, DIR_NODE, LINK_NODE };

struct node {
	enum type type;
	uint32_t ino;
	uint32_t links;                 /* names, for what isn't a directory */
	uint32_t holds;
	bool linkable;                  /* made without a name */
	int parent;                     /* of a directory */
	uint32_t size_bytes;
	uint8_t *data;
	int child[NAMES];               /* 0: none (0 is the root) */
};

static struct node nodes[NODES];
static uint64_t random_state;
static uint32_t no_space_count;

static uint32_t random_below(uint32_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % below;
}

static struct fsys_name test_name(int i)
{
	static const char *const texts[NAMES] = {
		"a", "b", "c", "d", "e", "file", "..a", ".hidden", "x.tar.gz",
		"with space", "UPPER", "\xc3\xa4\xc3\xb6",
		"012345678901234567890123456789012345678901234567890123456789",
		"01234567890123456789012345678901234567890123456789012345678",
	};

	static char cut[2][64];                 /* the two long ones, as long as may be */

	if (i < NAMES - 2 || !image_names)
		return name_of(texts[i]);
	strcpy(cut[i % 2], texts[i]);
	cut[i % 2][image_names - (i == NAMES - 1)] = 0;
	return name_of(cut[i % 2]);
}

/* ---- the model --------------------------------------------------------- */

static int new_node(enum type type, uint32_t ino, int parent)
{
	int i;

	for (i = 1; i < NODES; i++)
		if (nodes[i].type == FREE)
			break;
	assert_true(i < NODES);
	memset(&nodes[i], 0, sizeof(nodes[i]));
	nodes[i].type = type;
	nodes[i].ino = ino;
	nodes[i].links = 1;
	nodes[i].parent = parent;
	if (type != DIR_NODE)
		nodes[i].data = calloc(1, FILE_MAX_BYTES);
	return i;
}

static void free_if_unused(int i)
{
	if (nodes[i].links || nodes[i].holds)
		return;
	free(nodes[i].data);
	nodes[i].type = FREE;
}

static bool is_full(void)
{
	int i;

	for (i = 1; i < NODES; i++)
		if (nodes[i].type == FREE)
			return false;
	return true;
}

static bool is_empty(int dir)
{
	int i;

	for (i = 0; i < NAMES; i++)
		if (nodes[dir].child[i])
			return false;
	return true;
}

static bool is_above(int ancestor, int dir)
{
	for (;;) {
		if (dir == ancestor)
			return true;
		if (!dir)
			return false;
		dir = nodes[dir].parent;
	}
}

static int pick(enum type type)
{
	int found = -1, seen = 0, i;

	for (i = 0; i < NODES; i++)
		if (nodes[i].type == type && random_below(++seen) == 0)
			found = i;
	return found;
}

/* What the filesystem said is what the model says, or it was out of space. */
static bool agrees(int64_t got, int64_t expected)
{
	if (got == -X_ENOSPC && expected >= 0) {
		no_space_count++;
		return false;
	}
	assert_int_equal(got, expected);
	return got >= 0;
}

/* ---- operations on names ------------------------------------------------- */

static void do_create(int dir, int name)
{
	int there = nodes[dir].child[name];
	bool exclusive = random_below(2), created;
	uint32_t ino = 0;
	int64_t expected = 0;

	if (there && exclusive)
		expected = -X_EEXIST;
	else if (there && nodes[there].type == LINK_NODE)
		expected = -X_ESYMLINK;
	if (!agrees(RUN(fsys_create(FS, &root, nodes[dir].ino, test_name(name), 0644,
				     exclusive, &ino, &created)), expected))
		return;
	assert_int_equal(created, !there);
	if (there)
		assert_int_equal(ino, nodes[there].ino);
	else
		nodes[dir].child[name] = new_node(FILE_NODE, ino, 0);
}

static void do_mkdir(int dir, int name)
{
	int there = nodes[dir].child[name];
	uint32_t ino;

	if (agrees(RUN(fsys_mkdir(FS, &root, nodes[dir].ino, test_name(name), 0755,
				   &ino)), there ? -X_EEXIST : 0))
		nodes[dir].child[name] = new_node(DIR_NODE, ino, dir);
}

static void do_symlink(int dir, int name)
{
	int there = nodes[dir].child[name];
	char target[200];
	uint32_t length = 1 + random_below(sizeof(target) - 1);
	uint32_t ino;
	int i;

	memset(target, 'a' + random_below(26), length);
	if (!agrees(RUN(fsys_symlink(FS, &root, nodes[dir].ino, test_name(name),
				      target, length, &ino)),
		    there ? -X_EEXIST : 0))
		return;
	i = new_node(LINK_NODE, ino, 0);
	memcpy(nodes[i].data, target, length);
	nodes[i].size_bytes = length;
	nodes[dir].child[name] = i;
}

static void do_unnamed(int dir)
{
	bool linkable = random_below(2);
	uint32_t ino;
	int i;

	if (!agrees(RUN(fsys_make_unnamed(FS, &root, nodes[dir].ino, 0600, linkable, &ino)), 0))
		return;
	i = new_node(FILE_NODE, ino, 0);
	nodes[i].links = 0;
	nodes[i].holds = 1;
	nodes[i].linkable = linkable;
}

static void do_link(int dir, int name)
{
	int from = pick(random_below(8) ? FILE_NODE : DIR_NODE);
	int64_t expected = 0;

	if (from < 0)
		return;
	if (nodes[dir].child[name])
		expected = -X_EEXIST;
	else if (nodes[from].type == DIR_NODE)
		expected = -X_EPERM;
	else if (!nodes[from].links && !nodes[from].linkable)
		expected = -X_ENOENT;
	if (agrees(RUN(fsys_link(FS, &root, nodes[from].ino, nodes[dir].ino,
				  test_name(name))), expected)) {
		nodes[dir].child[name] = from;
		nodes[from].links++;
	}
}

static void do_unlink(int dir, int name)
{
	int there = nodes[dir].child[name];
	int64_t expected = !there ? -X_ENOENT :
			   nodes[there].type == DIR_NODE ? -X_EISDIR : 0;

	if (agrees(RUN(fsys_unlink(FS, &root, nodes[dir].ino, test_name(name))),
		   expected)) {
		nodes[dir].child[name] = 0;
		nodes[there].links--;
		free_if_unused(there);
	}
}

static void do_rmdir(int dir, int name)
{
	int there = nodes[dir].child[name];
	int64_t expected = !there ? -X_ENOENT :
			   nodes[there].type != DIR_NODE ? -X_ENOTDIR :
			   !is_empty(there) ? -X_ENOTEMPTY : 0;

	if (agrees(RUN(fsys_rmdir(FS, &root, nodes[dir].ino, test_name(name))),
		   expected)) {
		nodes[dir].child[name] = 0;
		nodes[there].type = FREE;
	}
}

static int64_t expect_rename(int from_dir, int from, int to_dir, int to)
{
	bool from_is_dir = nodes[from].type == DIR_NODE;

	if (!from)
		return -X_ENOENT;
	if (from_is_dir && from_dir != to_dir && is_above(from, to_dir))
		return -X_EINVAL;
	if (!to)
		return 0;
	if (nodes[to].type == DIR_NODE && from_dir != to_dir &&
	    is_above(to, from_dir))
		return -X_ENOTEMPTY;
	if (from == to)
		return 0;
	if (from_is_dir && nodes[to].type != DIR_NODE)
		return -X_ENOTDIR;
	if (!from_is_dir && nodes[to].type == DIR_NODE)
		return -X_EISDIR;
	return from_is_dir && !is_empty(to) ? -X_ENOTEMPTY : 0;
}

static void do_rename(int from_dir, int from_name)
{
	int to_dir = random_below(3) ? pick(DIR_NODE) : from_dir;
	int to_name = random_below(NAMES);
	int from = nodes[from_dir].child[from_name];
	int to = nodes[to_dir].child[to_name];

	if (!agrees(RUN(fsys_rename(FS, &root, nodes[from_dir].ino,
				     test_name(from_name), nodes[to_dir].ino,
				     test_name(to_name), 0)),
		    expect_rename(from_dir, from, to_dir, to)) || from == to)
		return;
	nodes[from_dir].child[from_name] = 0;
	nodes[to_dir].child[to_name] = from;
	if (nodes[from].type == DIR_NODE)
		nodes[from].parent = to_dir;
	if (to && nodes[to].type == DIR_NODE) {
		nodes[to].type = FREE;
	} else if (to) {
		nodes[to].links--;
		free_if_unused(to);
	}
}

/* ---- operations on files --------------------------------------------------- */

static uint32_t random_offset(void)
{
	static const uint32_t near[] = { 0, 1024, 4096, 7168, 28672, 274432, 65536 };

	if (random_below(2))
		return near[random_below(7)] + random_below(3000);
	return random_below(FILE_MAX_BYTES - 70000);
}

static void do_write(int file)
{
	static uint8_t data[70000];
	uint32_t length = random_below(8) ? random_below(6000) : random_below(70000);
	uint32_t at = random_offset();
	int64_t n;
	uint32_t i;

	for (i = 0; i < length; i++)
		data[i] = random_state + i * 7;
	random_below(1);
	n = write_file(nodes[file].ino, at, data, length);
	if (n == -X_ENOSPC) {
		no_space_count++;
		return;
	}
	assert_true(n >= 0 && n <= length);
	if (n < length)
		no_space_count++;
	if (!n)
		return;
	memcpy(nodes[file].data + at, data, n);
	if (at + n > nodes[file].size_bytes)
		nodes[file].size_bytes = at + n;
}

static void do_truncate(int file)
{
	uint32_t size = random_below(3) ? random_offset() : 0;
	uint32_t old = nodes[file].size_bytes;

	if (!agrees((host_truncate(disk, &root, nodes[file].ino, size, false)), 0))
		return;
	if (size < old)
		memset(nodes[file].data + size, 0, old - size);
	nodes[file].size_bytes = size;
}

/* A hole of whole pages and blocks, perhaps behind the end. */
static void do_punch(int file)
{
	uint32_t grain = FS->block_size > 4096 ? FS->block_size : 4096;
	uint32_t at = random_offset() / grain * grain, end = at + random_below(40) * grain;
	int64_t n;

	if (end > FILE_MAX_BYTES)
		end = FILE_MAX_BYTES / grain * grain;
	for (; at < end; at += (uint32_t)n) {
		bool room;
		uint64_t next;

		n = RUN(fsys_punch(FS, &root, nodes[file].ino, at, end));
		assert_true(n > 0 && n % FS->block_size == 0 && at + n <= end);
		memset(nodes[file].data + at, 0, (size_t)n);
		assert_int_equal(RUN(fsys_room_at(FS, nodes[file].ino, at, &room, &next)), 0);
		assert_true(!room && next > at);
	}
}

static void check_file(int file, uint32_t at, uint32_t length)
{
	static uint8_t data[FILE_MAX_BYTES];
	uint32_t size = nodes[file].size_bytes;
	uint32_t expected = at >= size ? 0 : length < size - at ? length : size - at;

	assert_int_equal(read_file(nodes[file].ino, at, data, length), expected);
	assert_memory_equal(data, nodes[file].data + at, expected);
}

static void do_hold(int file)
{
	struct node *node = &nodes[file];

	if (node->holds && random_below(3)) {
		assert_true(fsys_release(FS, node->ino, 1));
		node->holds--;
		free_if_unused(file);
	} else {
		assert_int_equal(RUN(fsys_hold(FS, node->ino)), 0);
		node->holds++;
	}
}

static void do_sync(void)
{
	struct cache_sync sync = { 0 };

	assert_int_equal(RUN(minix_sync(FS, &sync)), 0);
}

/* ---- comparing -------------------------------------------------------------- */

static void check_attributes(int i)
{
	const struct node *node = &nodes[i];
	struct fsys_attr attr;
	uint32_t links = node->links;
	int n;

	assert_int_equal(RUN(fsys_getattr(FS, node->ino, &attr)), 0);
	if (node->type == DIR_NODE) {
		links = 2;
		for (n = 0; n < NAMES; n++)
			if (node->child[n] &&
			    nodes[node->child[n]].type == DIR_NODE)
				links++;
		assert_true(FSYS_ISDIR(attr.mode));
	} else {
		assert_int_equal(attr.size_bytes, node->size_bytes);
	}
	assert_int_equal(attr.link_count, links);
}

static int name_index(const char *text)
{
	int i;

	for (i = 0; i < NAMES; i++)
		if (!strcmp(test_name(i).text, text))
			return i;
	fail_msg("a name nobody gave: %s", text);
	return -1;
}

static void check_entry(int dir, const struct fsys_dirent *entry, bool *seen)
{
	int i, child;

	if (!strcmp(entry->name, ".")) {
		assert_int_equal(entry->ino, nodes[dir].ino);
		return;
	}
	if (!strcmp(entry->name, "..")) {
		assert_int_equal(entry->ino, nodes[nodes[dir].parent].ino);
		return;
	}
	i = name_index(entry->name);
	child = nodes[dir].child[i];
	assert_true(child != 0 && !seen[i]);
	assert_int_equal(entry->ino, nodes[child].ino);
	seen[i] = true;
}

static void check_dir(int dir)
{
	bool seen[NAMES] = { false };
	struct fsys_dirent entries[5];
	uint32_t cursor = 0;
	int i;

	for (;;) {
		int64_t n = RUN(fsys_readdir(FS, &root, nodes[dir].ino, cursor,
					      entries, 1 + random_below(5)));

		assert_true(n >= 0);
		if (!n)
			break;
		for (i = 0; i < n; i++)
			check_entry(dir, &entries[i], seen);
		cursor = entries[n - 1].next_cursor;
	}
	for (i = 0; i < NAMES; i++)
		assert_int_equal(seen[i], nodes[dir].child[i] != 0);
}

static void check_link(int i)
{
	char text[4096];

	assert_int_equal(RUN(fsys_readlink(FS, nodes[i].ino, text, sizeof(text))),
			 nodes[i].size_bytes);
	assert_memory_equal(text, nodes[i].data, nodes[i].size_bytes);
}

static void check_all(void)
{
	int i;

	for (i = 0; i < NODES; i++) {
		if (nodes[i].type == FREE)
			continue;
		check_attributes(i);
		if (nodes[i].type == DIR_NODE)
			check_dir(i);
		else if (nodes[i].type == LINK_NODE)
			check_link(i);
		else
			check_file(i, 0, FILE_MAX_BYTES);
	}
}

/* Nothing may be held over it, so that nothing unlinked is lost. */
static void remount(void)
{
	struct fsys_statfs before, after;
	int status, i;

	for (i = 0; i < NODES; i++) {
		if (nodes[i].type == FREE || !nodes[i].holds)
			continue;
		assert_true(fsys_release(FS, nodes[i].ino, nodes[i].holds));
		nodes[i].holds = 0;
		free_if_unused(i);
	}
	while ((status = fsys_reap(FS)) != 0)
		host_again(disk, status == -X_EWAIT ? status : 0);
	fsys_statfs(FS, &before);
	assert_int_equal(disk->torn_writes, 0);
	unmount_image();
	assert_image_clean();
	mount_image();
	assert_true(disk->fs.was_clean);
	fsys_statfs(FS, &after);       /* counted anew */
	assert_memory_equal(&before, &after, sizeof(before));
}

static void step(void)
{
	int dir = pick(DIR_NODE), file = pick(FILE_NODE);
	int name = random_below(NAMES);
	uint32_t what = random_below(100);
	bool make = !is_full();

	if (what < 14 && make)
		do_create(dir, name);
	else if (what < 20 && make)
		do_mkdir(dir, name);
	else if (what < 22 && make)
		do_symlink(dir, name);
	else if (what < 23 && make)
		do_unnamed(dir);
	else if (what < 27)
		do_link(dir, name);
	else if (what < 36)
		do_unlink(dir, name);
	else if (what < 40)
		do_rmdir(dir, name);
	else if (what < 54)
		do_rename(dir, name);
	else if (what < 56)
		check_dir(dir);
	else if (what == 56)
		do_sync();
	else if (file < 0)
		return;
	else if (what < 74)
		do_write(file);
	else if (what < 79)
		do_truncate(file);
	else if (what < 82)
		do_punch(file);
	else if (what < 90)
		do_hold(file);
	else if (what < 92)
		check_attributes(file);
	else
		check_file(file, random_offset(), random_below(30000));
}

static void run_model(uint32_t block_size, uint64_t image_bytes, uint64_t seed,
		      int steps)
{
	int i;

	random_state = seed;
	no_space_count = 0;
	options = (struct host_options){
		.slow = seed & 1, .miss_one_in = 400, .seed = seed, .queue_max = 6,
		.meta_frames_bytes = block_size > 4096 ? block_size * 64 : 192 * 1024,
		.inode_slots = 128,
	};
	make_image(image_bytes, block_size, 64);
	mount_image();
	memset(nodes, 0, sizeof(nodes));
	nodes[0] = (struct node){ .type = DIR_NODE, .ino = FSYS_ROOT_INO };
	for (i = 1; i <= steps; i++) {
		step();
		if (i % REMOUNT_EVERY == 0)
			remount();
	}
	check_all();
	remount();
	check_all();
	unmount_image();
	assert_image_clean();
	for (i = 1; i < NODES; i++)
		if (nodes[i].type != FREE)
			free(nodes[i].data);
	assert_true(no_space_count > 0);
}

static void test_1k(void **state)
{
	(void)state;
	run_model(1024, 2 << 20, 1, 30000);
	run_model(1024, 2 << 20, 2, 30000);
}

static void test_2k(void **state)
{
	(void)state;
	run_model(2048, 2 << 20, 3, 30000);
}

static void test_4k(void **state)
{
	(void)state;
	run_model(4096, 2 << 20, 5, 30000);
	run_model(4096, 2 << 20, 6, 30000);
}

static void test_old_versions(void **state)
{
	(void)state;
	for (image_version = 1; image_version <= 2; image_version++)
		for (image_names = 14; image_names <= 30; image_names += 16)
			run_model(1024, 2 << 20, image_version * 100 + image_names, 8000);
}

static void test_large_blocks(void **state)
{
	(void)state;
	run_model(8192, 3 << 20, 7, 8000);
	run_model(16384, 4 << 20, 8, 8000);
	run_model(32768, 6 << 20, 9, 8000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_1k, tear_down),
		cmocka_unit_test_teardown(test_2k, tear_down),
		cmocka_unit_test_teardown(test_4k, tear_down),
		cmocka_unit_test_teardown(test_old_versions, tear_down),
		cmocka_unit_test_teardown(test_large_blocks, tear_down),
	};

	/* For a longer hunt: SEED COUNT. */
	if (argc == 3) {
		uint64_t seed = strtoull(argv[1], NULL, 0);
		uint64_t end = seed + strtoull(argv[2], NULL, 0);

		for (; seed < end; seed++) {
			printf("seed %llu\n", (unsigned long long)seed);
			run_model(1024u << seed % 3, 2 << 20, seed, 5000);
		}
		return tear_down(NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
