/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl(2) of block devices: linux/fs.h's BLK*, HDIO_GETGEO, and our own
 * (proto/bdev.h). How long the argument is, the personality knows.
 */
#include "servers/bdev/bdev.h"

#define BLKROSET        0x125du
#define BLKROGET        0x125eu
#define BLKRRPART       0x125fu
#define BLKGETSIZE      0x1260u
#define BLKFLSBUF       0x1261u
#define BLKRASET        0x1262u
#define BLKRAGET        0x1263u
#define BLKSECTGET      0x1267u
#define BLKSSZGET       0x1268u
#define BLKDISCARD      0x1277u
#define BLKIOMIN        0x1278u
#define BLKIOOPT        0x1279u
#define BLKALIGNOFF     0x127au
#define BLKPBSZGET      0x127bu
#define BLKDISCARDZEROES 0x127cu
#define BLKROTATIONAL   0x127eu
#define BLKZEROOUT      0x127fu
#define BLKBSZGET       0x80081270u
#define BLKBSZSET       0x40081271u
#define BLKGETSIZE64    0x80081272u
#define HDIO_GETGEO     0x0301u

struct hd_geometry { uint8_t heads, sectors; uint16_t cylinders; uint64_t start; };
_Static_assert(sizeof(struct hd_geometry) == 16, "struct hd_geometry");

static void answer(const struct x_in *in, const void *data, uint32_t bytes)
{
	out_status(in->id, window_write(in->id, 0, 0, data, bytes) < (int64_t)bytes ? -X_EFAULT : 0);
}

static void answer_number(const struct x_in *in, uint64_t value, uint32_t bytes)
{
	answer(in, &value, bytes);
}

/* BLKDISCARD, BLKZEROOUT: offset and length in bytes. */
static void range(struct node *n, const struct x_in *in, enum op_kind kind)
{
	uint32_t block = n->info.logical_block_bytes;
	uint64_t arg[2], size = node_size(n);
	const struct block_info *i = block_info_of(n->client);
	uint32_t most = kind == OP_DISCARD ? i->max_discard_bytes : i->max_write_zeroes_bytes;

	if (window_read(in->id, 0, 0, arg, sizeof(arg)) < (int64_t)sizeof(arg))
		out_status(in->id, -X_EFAULT);
	else if (!node_may(in, true))
		out_status(in->id, -X_EBADF);
	else if (!most)
		out_status(in->id, -X_EOPNOTSUPP);
	else if (arg[0] % block || arg[1] % block || !arg[1] || arg[1] > size || arg[0] > size - arg[1])
		out_status(in->id, -X_EINVAL);
	else
		op_start(n, in, kind, arg[0], arg[1]);
}

static void geometry(const struct node *n, const struct x_in *in)
{
	uint64_t cylinders = node_size(n) / 512 / (255 * 63);
	struct hd_geometry g = {
		.heads = 255, .sectors = 63, .cylinders = cylinders < 65535 ? (uint16_t)cylinders : 65535,
		.start = n->offset_bytes / 512,
	};

	answer(in, &g, sizeof(g));
}

/* ------------------------------------------------------------------ to the driver */

struct control { uint64_t call_id; char text[BDEV_CONTROL_BYTES + 20]; bool used; };
static struct control controls[8];

static void controlled(void *ctx, const struct x_in *reply)
{
	struct control *c = ctx;

	c->used = false;
	out_status(c->call_id, reply->msg.status == -X_ENODEV ? -X_ENXIO : reply->msg.status);
}

/* "disk command" as BLOCK_CONTROL. */
static void control(const struct node *n, const struct x_in *in, const char *command)
{
	struct control *c = controls;
	struct x_out *out;

	while (c < controls + 8 && c->used)
		c++;
	if (c == controls + 8) {
		out_status(in->id, -X_EBUSY);
		return;
	}
	c->used = true;
	c->call_id = in->id;
	strlcpy(c->text, n->disk, sizeof(c->text));
	strlcpy(c->text + strlen(c->text), " ", 2);
	strlcpy(c->text + strlen(c->text), command, sizeof(c->text) - strlen(c->text));
	out = out_start(drivers[n->driver].port, controlled, c, NULL);
	out->msg.op = BLOCK_CONTROL;
	out->win[0] = (struct x_window){ (uintptr_t)c->text, (uint32_t)strlen(c->text), X_WIN_READ };
	out->win_count = 1;
}

static void own_control(const struct node *n, const struct x_in *in)
{
	char command[BDEV_CONTROL_BYTES];

	if (window_read(in->id, 0, 0, command, sizeof(command)) < (int64_t)sizeof(command))
		out_status(in->id, -X_EFAULT);
	else if (!node_may(in, true))
		out_status(in->id, -X_EBADF);
	else if (strnlen(command, sizeof(command)) == sizeof(command))
		out_status(in->id, -X_EINVAL);
	else
		control(n, in, command);
}

void ioctl_call(struct node *n, const struct x_in *in)
{
	const struct block_info *i = block_info_of(n->client);

	switch ((uint32_t)in->msg.a[0]) {
	case BLKGETSIZE64: answer_number(in, i->size_bytes, 8); break;
	case BLKGETSIZE: answer_number(in, i->size_bytes / 512, 8); break;
	case BLKSSZGET: answer_number(in, i->logical_block_bytes, 4); break;
	case BLKPBSZGET: case BLKIOMIN: answer_number(in, i->physical_block_bytes, 4); break;
	case BLKIOOPT: case BLKALIGNOFF: case BLKDISCARDZEROES: answer_number(in, 0, 4); break;
	case BLKBSZGET: answer_number(in, 4096, 4); break;
	case BLKROGET: answer_number(in, i->read_only, 4); break;
	case BLKRAGET: answer_number(in, 0, 8); break;
	case BLKSECTGET: answer_number(in, i->max_request_bytes / 512 < 65535 ? i->max_request_bytes / 512 : 65535, 2); break;
	case BLKROTATIONAL: answer_number(in, 0, 2); break;
	case BLKRASET: case BLKBSZSET: out_status(in->id, 0); break; /* nothing is read ahead, or cached */
	case BLKROSET: out_status(in->id, -X_EOPNOTSUPP); break;
	case BLKFLSBUF: op_start(n, in, OP_FLUSH, 0, 0); break;
	case BLKDISCARD: range(n, in, OP_DISCARD); break;
	case BLKZEROOUT: range(n, in, OP_ZEROES); break;
	case BLKRRPART:
		if (strcmp(n->disk, n->name))
			out_status(in->id, -X_EINVAL);
		else
			control(n, in, "rescan");
		break;
	case HDIO_GETGEO: geometry(n, in); break;
	case BDEV_IOCTL_CONTROL: own_control(n, in); break;
	default: out_status(in->id, -X_ENOTTY); break;
	}
}

/* --------------------------------------------------------------------- to loop */

#define LOOP_REQUESTS_MAX 8u

static struct loop_request {
	bool used;
	uint64_t call_id;
	struct node *node;
	uint32_t window_flags;
	uint8_t argument[LOOP_ARGUMENT_BYTES];
	uint32_t bytes;
} loop_requests[LOOP_REQUESTS_MAX];

static void loop_done(void *ctx, const struct x_in *reply)
{
	struct loop_request *r = ctx;
	int64_t status = reply->msg.status;

	if (status >= 0 && r->window_flags & X_WIN_WRITE && window_write(r->call_id, 0, 0, r->argument, r->bytes) < 0)
		status = -X_EFAULT;
	r->used = false;
	r->node->ops--;
	out_status(r->call_id, status == -X_ENODEV ? -X_ENXIO : status);
	node_settle(r->node);
}

static int64_t loop_start(struct node *n, const struct x_in *in)
{
	struct loop_request *r = loop_requests;
	struct x_out *out;

	if (n->rdev >> 8 != LOOP_MAJOR)
		return -X_ENOTTY;
	while (r < loop_requests + LOOP_REQUESTS_MAX && r->used)
		r++;
	if (r == loop_requests + LOOP_REQUESTS_MAX)
		return -X_EBUSY;
	r->bytes = in->win_count ? in->win[0].len : 0;
	if (r->bytes > sizeof(r->argument))
		return -X_EINVAL;
	r->window_flags = in->win_count ? in->win[0].flags : 0;
	if (r->window_flags & X_WIN_READ && window_read(in->id, 0, 0, r->argument, r->bytes) < (int64_t)r->bytes)
		return -X_EFAULT;
	r->used = true;
	r->call_id = in->id;
	r->node = n;
	n->ops++;
	out = out_start(drivers[n->driver].port, loop_done, r, NULL);
	out->msg.op = LOOP_IOCTL;
	out->msg.a[0] = in->msg.a[0];
	out->msg.a[1] = n->rdev & 0xff;
	out->msg.a[2] = in->msg.a[1];
	out->flags = X_CALL_MOVE;
	out->handle_count = in->handle_count;
	memcpy(out->handles, in->handles, sizeof(out->handles));
	if (r->bytes) {
		out->win[0] = (struct x_window){ (uintptr_t)r->argument, r->bytes, X_WIN_READ | X_WIN_WRITE };
		out->win_count = 1;
	}
	return 0;
}

void ioctl_loop(struct node *n, const struct x_in *in)
{
	int64_t status = loop_start(n, in);

	if (!status)
		return;
	in_close_handles(in);
	out_status(in->id, status);
}
