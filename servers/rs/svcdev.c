/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/svc. Each open has a buffer with the result of its last command; a
 * write sets the file's cursor back to 0, so that a read begins with it. Who
 * may open it is for vfs to say (mode 0600, root).
 */
#include "lib/ipc/file.h"
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "proto/dev.h"
#include "servers/rs/command.h"
#include "servers/rs/svcdev.h"

#define OPEN_MAX     8u
#define RESULT_BYTES 49152u /* `stats --json` of SERVICE_MAX */
#define LINE_BYTES   256u
#define SVC_RDEV     (10u << 8 | 200u) /* a "misc" device */

static struct open_file {
	uint64_t id;            /* object id, 0: free */
	size_t length;
} files[OPEN_MAX];
/* Nobody misses an older one: a command that is undone is done again. */
static REGION_SCRATCH char results[OPEN_MAX][RESULT_BYTES];
static uint64_t opens;

static struct open_file *find(uint64_t id)
{
	for (uint32_t i = 0; i < OPEN_MAX; i++)
		if (files[i].id == id)
			return &files[i];
	return NULL;
}

static char *result_of(const struct open_file *f)
{
	return results[f - files];
}

void svcdev_open(const struct x_in *in)
{
	struct open_file *f = find(0);
	struct x_out *o;
	int64_t h;

	if (in->msg.a[0] != DEV_SVC || !f) {
		out_status(in->id, f ? -X_ENXIO : -X_EBUSY);
		return;
	}
	f->id = ++opens;
	f->length = 0;
	h = x_mint(server_port, f->id, X_MINT_CURSOR, X_READY_IN | X_READY_OUT, in->msg.a[1]);
	if (h < 0) {
		f->id = 0;
		out_status(in->id, h);
		return;
	}
	o = out_answer_entry(in->id);
	o->handles[0] = h;
	o->handle_count = 1;
}

void svcdev_closure(uint64_t object, uint64_t mints)
{
	struct open_file *f = object ? find(object) : NULL;

	(void)mints; /* each object is minted once */
	if (f)
		f->id = 0;
}

static void answer_moving(const struct x_in *in, int64_t status, uint64_t cursor)
{
	struct x_out *o = out_answer_entry(in->id);

	o->msg.status = status;
	o->flags = X_ANSWER_CURSOR;
	o->value = cursor;
}

static void write_command(struct open_file *f, const struct x_in *in)
{
	char line[LINE_BYTES];
	struct text t = { result_of(f), RESULT_BYTES, 0 };
	uint32_t len = in->win_count ? in->win[0].len : 0;
	int64_t n = window_string(in->id, 0, len, line, sizeof(line));
	int err;

	if (n < 0) {
		out_status(in->id, n == -X_ENAMETOOLONG ? -X_EINVAL : n);
		return;
	}
	err = command_run(line, &t);
	f->length = t.length;
	answer_moving(in, err ? err : (int64_t)len, 0);
}

static void read_result(struct open_file *f, const struct x_in *in)
{
	bool at = in->msg.status & FILE_AT;
	uint64_t offset = at ? in->msg.a[0] : in->cursor;
	uint64_t left = offset < f->length ? f->length - offset : 0;
	uint32_t len = in->win_count ? in->win[0].len : 0;
	int64_t n = window_write(in->id, 0, 0, result_of(f) + (left ? offset : 0), len < left ? len : left);

	if (n < 0 || at)
		out_status(in->id, n);
	else
		answer_moving(in, n, offset + n);
}

static void stat(const struct x_in *in)
{
	struct file_attr a = {
		.ino = DEV_SVC, .mode = F_S_IFCHR | 0600, .nlink = 1, .rdev = SVC_RDEV, .block_bytes = 4096,
	};
	int64_t n = in->win_count ? window_write(in->id, 0, 0, &a, sizeof(a)) : -X_EFAULT;

	out_status(in->id, n < 0 ? n : n == sizeof(a) ? 0 : -X_EFAULT);
}

void svcdev_call(const struct x_in *in)
{
	struct open_file *f = find(in->object);

	in_close_handles(in);
	if (!f) {
		out_status(in->id, -X_ESTALE_HANDLE);
		return;
	}
	switch (in->msg.op) {
	case FILE_READ:
		read_result(f, in);
		break;
	case FILE_WRITE:
		if (!file_may_write(in->status_flags))
			out_status(in->id, -X_EBADF);
		else
			write_command(f, in);
		break;
	case FILE_STAT:
		stat(in);
		break;
	default:
		out_status(in->id, file_default(in->msg.op));
	}
}
