/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of mount(2) for tmpfs, as Linux has them: size=BYTES[kmg%],
 * nr_blocks=N[kmg], nr_inodes=N[kmg], mode=OCTAL, uid=N, gid=N. All are checked
 * before one takes effect.
 */

#include "fs/tmpfs/tmpfs.h"

struct options {
	uint64_t pages, nodes;          /* 0: as it is */
	uint32_t mode, uid, gid;        /* UINT32_MAX: as it is */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A number and its unit: false if there is something else in `bytes` of text. */
static bool parse_size(const char *text, uint32_t bytes, uint64_t percent_of, uint64_t *out)
{
	uint32_t at = 0, shift = 0;
	uint64_t value = 0;

	for (; at < bytes && is_digit(text[at]); at++) {
		if (value > UINT64_MAX / 16)
			return false;
		value = value * 10 + (uint64_t)(text[at] - '0');
	}
	if (!at)
		return false;
	if (at < bytes && text[at] == '%' && percent_of) {
		value = percent_of / 100 * value;
		at++;
	} else if (at < bytes) {
		switch (text[at++] | 0x20) {
		case 'k': shift = 10; break;
		case 'm': shift = 20; break;
		case 'g': shift = 30; break;
		default: return false;
		}
	}
	*out = value > UINT64_MAX >> shift ? UINT64_MAX : value << shift;
	return at == bytes;
}

static bool parse_number(const char *text, uint32_t bytes, uint32_t base, uint32_t *out)
{
	uint64_t value = 0;
	uint32_t at;

	for (at = 0; at < bytes && value < UINT32_MAX; at++) {
		uint32_t digit = (uint32_t)(text[at] - '0');

		if (digit >= base)
			return false;
		value = value * base + digit;
	}
	*out = (uint32_t)value;
	return bytes && value < UINT32_MAX;
}

/* Is `text` "key=..."? Then its value. */
static bool has_key(const char **text, uint32_t *bytes, const char *key)
{
	uint32_t length = (uint32_t)strlen(key);

	if (*bytes <= length || memcmp(*text, key, length) || (*text)[length] != '=')
		return false;
	*text += length + 1;
	*bytes -= length + 1;
	return true;
}

static bool parse_one(const char *text, uint32_t bytes, struct options *o)
{
	uint64_t size;

	if (has_key(&text, &bytes, "size")) {
		if (!parse_size(text, bytes, volume_memory_bytes(), &size))
			return false;
		o->pages = size / TMPFS_PAGE + (size % TMPFS_PAGE != 0);
		return true;
	}
	if (has_key(&text, &bytes, "nr_blocks"))
		return parse_size(text, bytes, 0, &o->pages);
	if (has_key(&text, &bytes, "nr_inodes"))
		return parse_size(text, bytes, 0, &o->nodes);
	if (has_key(&text, &bytes, "mode"))
		return parse_number(text, bytes, 8, &o->mode) && !(o->mode & ~07777u);
	if (has_key(&text, &bytes, "uid"))
		return parse_number(text, bytes, 10, &o->uid);
	return has_key(&text, &bytes, "gid") && parse_number(text, bytes, 10, &o->gid);
}

int options_set(struct fsys *fs, const char *text)
{
	struct options o = { .mode = UINT32_MAX, .uid = UINT32_MAX, .gid = UINT32_MAX };
	struct fsys_node *root = &fs->nodes[FSYS_ROOT_INO - 1];

	while (*text) {
		uint32_t bytes = 0;

		while (text[bytes] && text[bytes] != ',')
			bytes++;
		if (bytes && !parse_one(text, bytes, &o))
			return -X_EINVAL;
		text += bytes + (text[bytes] == ',');
	}
	if ((o.pages && o.pages < fs->pages_used) || (o.nodes && o.nodes < fs->nodes_used))
		return -X_EINVAL;
	if (o.pages)
		fs->pages_max = o.pages;
	if (o.nodes)
		fs->node_max = o.nodes < fs->node_count ? (uint32_t)o.nodes : fs->node_count;
	if (o.mode != UINT32_MAX)
		root->mode = FSYS_S_IFDIR | o.mode;
	if (o.uid != UINT32_MAX)
		root->uid = o.uid;
	if (o.gid != UINT32_MAX)
		root->gid = o.gid;
	return 0;
}
