/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names that were looked up, found or not: so that a walk through directories
 * that do not change reads none of them. An entry is of a version of a directory,
 * which changes with every entry made or removed and is never given again, not
 * even when an operation is undone: so nothing need ever be taken out. Each name
 * has one place, where the one before it is forgotten.
 */

#include "fs/minix/dir.h"

static struct minix_name *place_of(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name)
{
	uint32_t hash = (uint32_t)dir->dir_version * 2654435761u, i;

	for (i = 0; i < name.bytes; i++)
		hash = (hash ^ (uint8_t)name.text[i]) * 16777619u;
	return &fs->known[(hash ^ hash >> 15) % MINIX_KNOWN];
}

bool known_find(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name,
		uint32_t *ino, uint32_t *slot_bytes)
{
	const struct minix_name *known;

	if (name.bytes > MINIX_KNOWN_TEXT)
		return false;
	known = place_of(fs, dir, name);
	if (known->dir_version != dir->dir_version || known->bytes != name.bytes ||
	    memcmp(known->text, name.text, name.bytes))
		return false;
	*ino = known->ino;
	*slot_bytes = known->slot_bytes;
	return true;
}

void known_keep(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name,
		uint32_t ino, uint32_t slot_bytes)
{
	struct minix_name now = { .dir_version = dir->dir_version, .ino = ino,
				  .slot_bytes = slot_bytes, .bytes = name.bytes };

	if (name.bytes > MINIX_KNOWN_TEXT)
		return;
	memcpy(now.text, name.text, name.bytes);
	*place_of(fs, dir, name) = now;
}
