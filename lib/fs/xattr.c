/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes: who may, and the list of an inode's, which its filesystem
 * keeps as one piece (xattrs_load, xattrs_store). An entry is its name's length
 * (1 byte), its value's (2), the name, the value.
 */

#include "lib/fs/backend.h"
#include "lib/region/region.h"

#include <string.h>

enum { HEAD_BYTES = 3 };

/* Of the operation under way. */
static REGION_SCRATCH uint8_t list[FSYS_XATTRS_MAX];

struct entry { uint32_t at, name_bytes, value_bytes; };

static uint32_t entry_bytes(const struct entry *e)
{
	return HEAD_BYTES + e->name_bytes + e->value_bytes;
}

/* The entry at E->at; false at the list's end. */
static bool entry_read(uint32_t bytes, struct entry *e)
{
	if (e->at + HEAD_BYTES > bytes)
		return false;
	e->name_bytes = list[e->at];
	e->value_bytes = list[e->at + 1] | (uint32_t)list[e->at + 2] << 8;
	return e->at + entry_bytes(e) <= bytes;
}

static bool find(uint32_t bytes, struct fsys_name name, struct entry *e)
{
	for (e->at = 0; entry_read(bytes, e); e->at += entry_bytes(e))
		if (e->name_bytes == name.bytes && !memcmp(list + e->at + HEAD_BYTES, name.text, name.bytes))
			return true;
	return false;
}

static bool begins(struct fsys_name name, const char *prefix)
{
	size_t bytes = strlen(prefix);

	return name.bytes > bytes && !memcmp(name.text, prefix, bytes);
}

/* As xattr(7) has it. What is not for the caller's eyes is not there. */
static int check(const struct fsys_node *ip, const struct fsys_caller *who, struct fsys_name name, bool write)
{
	bool root = who->uid == 0;

	if (begins(name, "trusted."))
		return root ? 0 : write ? -X_EPERM : -X_ENODATA;
	if (begins(name, "security."))
		return root || !write ? 0 : -X_EPERM;
	if (!begins(name, "user."))
		return -X_EOPNOTSUPP;
	if (!FSYS_ISREG(ip->mode) && !FSYS_ISDIR(ip->mode))
		return write ? -X_EPERM : -X_ENODATA;
	if (write && FSYS_ISDIR(ip->mode) && ip->mode & FSYS_S_ISVTX && !root && who->uid != ip->uid)
		return -X_EPERM;
	return access_check(ip, who, write ? FSYS_W : FSYS_R);
}

/* What begins an operation on one attribute: the inode, the list in `list`, the entry if there is one. */
static int begin(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name, bool write,
		 struct fsys_node **ip, uint32_t *bytes, struct entry *e)
{
	int status = write && fsys_limits(fs)->read_only ? -X_EROFS : inode_get(fs, ino, ip);

	if (!status)
		status = check(*ip, who, name, write);
	if (!status)
		status = xattrs_load(fs, *ip, list, bytes);
	if (!status)
		status = find(*bytes, name, e) ? 0 : -X_ENODATA;
	return status;
}

static int store(struct fsys *fs, const struct fsys_caller *who, struct fsys_node *ip, uint32_t bytes)
{
	int status = op_modify_inode(fs, ip);

	if (!status)
		status = xattrs_store(fs, ip, list, bytes); /* last, and whole or not at all */
	if (!status)
		ip->ctime_ns = attr_time(fs, who->time_ns);
	return status;
}

static uint32_t cut_out(uint32_t bytes, const struct entry *e)
{
	uint32_t length = entry_bytes(e);

	memmove(list + e->at, list + e->at + length, bytes - e->at - length);
	return bytes - length;
}

static int set(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name,
	       const void *value, uint32_t value_bytes, uint32_t flags)
{
	struct entry e = { .name_bytes = name.bytes, .value_bytes = value_bytes };
	struct fsys_node *ip;
	uint32_t bytes;
	int status = begin(fs, who, ino, name, true, &ip, &bytes, &e);

	if (status && status != -X_ENODATA)
		return status;
	if (!status && flags & FSYS_XATTR_CREATE)
		return -X_EEXIST;
	if (status && flags & FSYS_XATTR_REPLACE)
		return status;
	if (!status)
		bytes = cut_out(bytes, &e);
	e = (struct entry){ bytes, name.bytes, value_bytes };
	if (bytes + entry_bytes(&e) > sizeof(list))
		return -X_ENOSPC;
	list[bytes] = (uint8_t)name.bytes;
	list[bytes + 1] = (uint8_t)value_bytes;
	list[bytes + 2] = (uint8_t)(value_bytes >> 8);
	memcpy(list + bytes + HEAD_BYTES, name.text, name.bytes);
	memcpy(list + bytes + HEAD_BYTES + name.bytes, value, value_bytes);
	return store(fs, who, ip, bytes + entry_bytes(&e));
}

int fsys_set_xattr(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name,
		   const void *value, uint32_t value_bytes, uint32_t flags)
{
	op_begin(fs);
	return op_end(fs, set(fs, who, ino, name, value, value_bytes, flags));
}

int fsys_remove_xattr(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name)
{
	struct fsys_node *ip;
	struct entry e;
	uint32_t bytes;
	int status;

	op_begin(fs);
	status = begin(fs, who, ino, name, true, &ip, &bytes, &e);
	if (!status)
		status = store(fs, who, ip, cut_out(bytes, &e));
	return op_end(fs, status);
}

int fsys_get_xattr(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name,
		   const uint8_t **value)
{
	struct fsys_node *ip;
	struct entry e;
	uint32_t bytes;
	int status;

	op_begin(fs);
	status = begin(fs, who, ino, name, false, &ip, &bytes, &e);
	if (!status) {
		*value = list + e.at + HEAD_BYTES + e.name_bytes;
		status = (int)e.value_bytes;
	}
	return op_end(fs, status);
}

int fsys_list_xattrs(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, const uint8_t **names)
{
	struct entry e = { 0 };
	struct fsys_node *ip;
	uint32_t bytes, out = 0;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status)
		status = xattrs_load(fs, ip, list, &bytes);
	for (; !status && entry_read(bytes, &e); ) {
		struct fsys_name name = { (const char *)list + e.at + HEAD_BYTES, e.name_bytes, false };
		uint32_t next = e.at + entry_bytes(&e);

		/* names move forward over what was read already */
		if (who->uid == 0 || !begins(name, "trusted.")) {
			memmove(list + out, name.text, name.bytes);
			list[out + name.bytes] = 0;
			out += name.bytes + 1;
		}
		e.at = next;
	}
	*names = list;
	return op_end(fs, status ? status : (int)out);
}
