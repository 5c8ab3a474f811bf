/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What open files are called, for /proc/N/fd. An inode in core notes the
 * directory in which it was found or made last; its name there is looked up
 * when somebody asks, so renaming changes nothing here. Of those whose last name
 * was removed while they were held that name is kept, of the last ones at least.
 */
#include "lib/fs/backend.h"

#include <string.h>

enum { GONE_MAX = 64, GONE_NAME_MAX = 100 };

static struct gone {
	uint32_t ino, dir_ino;          /* ino 0: free */
	uint32_t name_bytes;
	char name[GONE_NAME_MAX];
} gone[GONE_MAX];
static uint32_t gone_next;

void named_note(struct fsys_node *ip, uint32_t dir_ino)
{
	if (ip->named_in != dir_ino && !FSYS_ISDIR(ip->mode))
		ip->named_in = dir_ino;
}

void named_forget(uint32_t ino)
{
	for (struct gone *g = gone; g < gone + GONE_MAX; g++)
		if (g->ino && (g->ino == ino || g->dir_ino == ino))
			g->ino = 0;
}

void named_lost(struct fsys_node *ip, uint32_t dir_ino, struct fsys_name name)
{
	struct gone *g = &gone[gone_next];

	if (ip->named_in == dir_ino)
		ip->named_in = 0;
	if (ip->link_count || !ip->holds)
		return;
	named_forget(ip->ino);
	if (name.bytes > GONE_NAME_MAX)
		return;
	gone_next = (gone_next + 1) % GONE_MAX;
	g->ino = ip->ino;
	g->dir_ino = dir_ino;
	g->name_bytes = name.bytes;
	memcpy(g->name, name.text, name.bytes);
}

int named_last(uint32_t ino, uint32_t *dir_ino, struct fsys_name *name)
{
	for (const struct gone *g = gone; g < gone + GONE_MAX; g++) {
		if (g->ino != ino)
			continue;
		*dir_ino = g->dir_ino;
		*name = (struct fsys_name){ .text = g->name, .bytes = g->name_bytes };
		return 0;
	}
	return -X_ENOENT;
}
