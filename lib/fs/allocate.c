/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fallocate(2): room for bytes to come, and holes. It goes in steps, each of which is a
 * transaction; a hole's step ends its iteration, since what is cut off is so at the commit
 * (content.h). Like a write it keeps writers that come later waiting.
 *
 *   START    what is asked for is understood; the file grows, if it is to
 *   PUNCH    [from offset on] is a hole, a step further each time
 *   RESERVE  and has its room
 */

#include "lib/fs/server.h"

enum { START, PUNCH, RESERVE };
enum { RESERVE_BYTES = 512 * 1024 };     /* a step */

static uint64_t end_of(const struct request *r)
{
	return r->in.msg.a[1] + r->in.msg.a[2];
}

static bool keeps_size(const struct request *r)
{
	return r->in.msg.a[0] & FALLOC_KEEP_SIZE;
}

static int64_t check(const struct request *r)
{
	uint64_t offset = r->in.msg.a[1], bytes = r->in.msg.a[2];

	switch (r->in.msg.a[0]) {
	case 0:
	case FALLOC_KEEP_SIZE:
	case FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE:
	case FALLOC_ZERO_RANGE:
	case FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE:
		break;
	default:
		return -X_EOPNOTSUPP;
	}
	if (offset > INT64_MAX || bytes > INT64_MAX || !bytes)
		return -X_EINVAL;
	return offset + bytes > fsys_limits(volume)->file_max ? -X_EFBIG : 0;
}

static int64_t start(struct request *r, const struct fsys_caller *who)
{
	struct content *c;
	int64_t status = check(r);

	if (!status && fsys_limits(volume)->read_only)
		status = -X_EROFS;
	if (!status)
		status = content_get(r->ino, &c);
	if (status)
		return status;
	r->old_bytes = c->bytes;
	if (!keeps_size(r) && end_of(r) > c->bytes)
		status = file_truncate(who, r->ino, end_of(r), false);
	if (status)
		return status;
	r->offset = r->in.msg.a[1];
	r->stage = r->in.msg.a[0] & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE) ? PUNCH : RESERVE;
	return 0;
}

/* Pages that hold bytes of [from, end), which lies inside of what can be no hole. */
static int hold(struct content *c, uint64_t from, uint64_t end)
{
	int status = 0;

	if (end > c->bytes)
		end = c->bytes;
	for (; from < end && !status; from = (from / CONTENT_PAGE + 1) * CONTENT_PAGE)
		status = content_hold(c, from / CONTENT_PAGE * CONTENT_PAGE, 1);
	return status;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Room is given back in whole blocks and pages; around them zeros are written. */
static int64_t punch_step(struct request *r, const struct fsys_caller *who, struct content *c)
{
	uint64_t end = least(end_of(r), c->bytes), block = fsys_limits(volume)->block_bytes, first, last;
	uint64_t grain = block > CONTENT_PAGE ? block : CONTENT_PAGE;
	int64_t n;

	first = (r->offset + grain - 1) / grain * grain;
	last = end == c->bytes ? (end + grain - 1) / grain * grain : end / grain * grain;
	if (first >= last)
		first = last = end;
	n = hold(c, r->offset, first);
	if (!n)
		n = hold(c, last, end);
	if (!n)
		n = first < last ? fsys_punch(volume, who, r->ino, first, last)
				 : fsys_punch(volume, who, r->ino, r->offset, r->offset);
	if (n < 0)
		return n;
	if (first + (uint64_t)n < last)
		end = last = first + (uint64_t)n;
	if (r->offset < first)
		content_zero(c, r->offset, first - r->offset);
	if (first < last)
		content_punch(c, first, last - first);
	if (last < end)
		content_zero(c, last, end - last);
	r->offset = end;
	return 0;
}

static int64_t punch(struct request *r, const struct fsys_caller *who, struct content *c)
{
	uint64_t before = r->offset;
	int64_t status = r->offset < least(end_of(r), c->bytes) ? punch_step(r, who, c) : 0;

	if (status)
		return status;
	if (r->offset > before) /* more, or to be seen whether there is more */
		return -X_EAGAIN;
	if (r->in.msg.a[0] & FALLOC_PUNCH_HOLE)
		return 0;
	r->offset = r->in.msg.a[1];
	r->stage = RESERVE;
	return -X_EAGAIN;
}

static int64_t reserve(struct request *r, struct content *c)
{
	uint64_t bytes = least(end_of(r) - r->offset, RESERVE_BYTES - r->offset % RESERVE_BYTES);
	int64_t status;

	if (r->offset < c->bytes && bytes > c->bytes - r->offset)
		bytes = c->bytes - r->offset;
	status = store_reserve(c, r->offset, bytes);
	if (status)
		return status;
	r->offset += bytes;
	return r->offset < end_of(r) ? -X_EAGAIN : 0;
}

int64_t allocate_run(struct request *r, const struct fsys_caller *who)
{
	struct content *c = NULL;
	int64_t status = r->stage == START ? start(r, who) : 0;

	if (!status)
		status = content_get(r->ino, &c);
	if (!status)
		status = r->stage == PUNCH ? punch(r, who, c) : reserve(r, c);
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return status;
	/* There was no room: the file is no longer than before. */
	if (status && c && r->stage == RESERVE && c->bytes == end_of(r) && r->old_bytes < c->bytes)
		(void)file_truncate(who, r->ino, r->old_bytes, false);
	return status;
}
