/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Character devices: by device number to the server that has it, or to the
 * ones served here: null, zero, full, random, urandom.
 *
 * An open device has no state but its id:
 *   kind << 56 | device << 48 | access mode << 46 | serial
 */

#include "lib/region/region.h"
#include "servers/vfs/vfs.h"

enum device { DEVICE_NULL, DEVICE_ZERO, DEVICE_FULL, DEVICE_RANDOM, DEVICE_REMOTE };

enum { FILL_BYTES = 16384, RANDOM_BYTES = 4096, PTYS_KNOWN = 64, PTS_MAJOR = 136, GROUP_TTY = 5 };

struct device_entry {
	uint64_t rdev;
	enum device device;
	const char *server;     /* REMOTE: boot handle; NULL: a driver's node */
	uint32_t number;        /* REMOTE: DEV_* */
};

#define RDEV(major, minor) ((uint64_t)(major) << 8 | (minor))

static const struct device_entry devices[] = {
	{ RDEV(1, 3), DEVICE_NULL, NULL, 0 },
	{ RDEV(1, 5), DEVICE_ZERO, NULL, 0 },
	{ RDEV(1, 7), DEVICE_FULL, NULL, 0 },
	{ RDEV(1, 8), DEVICE_RANDOM, NULL, 0 },
	{ RDEV(1, 9), DEVICE_RANDOM, NULL, 0 },
	{ RDEV(5, 0), DEVICE_REMOTE, "tty", DEV_CTTY },
	{ RDEV(5, 1), DEVICE_REMOTE, "tty", DEV_CONSOLE },
	{ RDEV(5, 2), DEVICE_REMOTE, "tty", DEV_PTMX },
	{ RDEV(4, 64), DEVICE_REMOTE, "tty", DEV_SERIAL },
	{ RDEV(10, 200), DEVICE_REMOTE, "rs", DEV_SVC },
	{ RDEV(10, 237), DEVICE_REMOTE, "loop", 0 },
};
enum { DEVICES = sizeof(devices) / sizeof(devices[0]) };

static const uint8_t zeros[FILL_BYTES];
/* Not rolled back: of no use behind the copy into the window. Logging it would fill the log. */
static REGION_SCRATCH uint8_t random_buffer[RANDOM_BYTES];
static uint64_t next_serial = 1;

/* ---- opening ---- */

static void open_remote(struct request *r, const struct device_entry *d, uint32_t flags)
{
	x_handle_t server = d->server ? boot_handle(d->server) : devfs_driver(d->rdev);
	struct x_msg msg = { .op = DEV_OPEN, .a = { d->number, flags, r->koid } };
	struct file_attr attr;

	devfs_attr_of_rdev(d->rdev, &attr);
	msg.a[3] = attr.dev;
	msg.a[4] = attr.ino;
	msg.a[5] = attr.rdev;
	if (server == X_NO_HANDLE)
		request_finish(r, -X_ENXIO);
	else
		request_handle_call(r, REQUEST_CALL, d->number == DEV_PTMX ? OPEN_PTMX : OPEN_FILE, server, &msg, NULL, 0);
}

/* ---- pseudo-terminals: they come with an event that says when they go ---- */

static x_handle_t pty_gone[PTYS_KNOWN];

static void pty_went(void *ctx, uint64_t bits)
{
	uint32_t n = (uint32_t)((x_handle_t *)ctx - pty_gone);

	(void)bits;
	devfs_pty_gone(n);
	server_unbind(pty_gone[n]);
	out_close(pty_gone[n]);
	pty_gone[n] = 0;
}

void device_ptmx_opened(struct request *r)
{
	uint64_t n = r->call.r[0];
	x_handle_t event = r->call.second;

	if (r->call.status < 0 || n >= PTYS_KNOWN || event == X_NO_HANDLE) {
		if (event != X_NO_HANDLE)
			out_close(event);
		if (r->call.handle != X_NO_HANDLE)
			out_close(r->call.handle);
		request_finish(r, r->call.status < 0 ? r->call.status : -X_EIO);
		return;
	}
	if (pty_gone[n])        /* of an incarnation of tty that ended without a word */
		pty_went(&pty_gone[n], 0);
	pty_gone[n] = event;
	server_bind(event, pty_went, &pty_gone[n]);
	devfs_pty_added((uint32_t)n, r->who.uid, GROUP_TTY);
	request_finish_handle(r, r->call.handle);
}

static void open_here(struct request *r, uint32_t index, uint32_t flags)
{
	uint64_t rest = (uint64_t)index << 48 | (uint64_t)(flags & F_O_ACCMODE) << 46 |
			(next_serial++ & ((1ull << 46) - 1));
	int64_t handle = sys_mint(object_id(KIND_DEVICE, rest), 0, X_READY_IN | X_READY_OUT,
				  file_status_flags(flags));

	if (handle < 0)
		request_finish(r, handle);
	else
		request_finish_handle(r, (x_handle_t)handle);
}

void device_open(struct request *r, uint64_t rdev, uint32_t flags)
{
	uint32_t i;

	for (i = 0; i < DEVICES && devices[i].rdev != rdev; i++)
		;
	if (i == DEVICES && rdev >> 8 == DRIVER_MAJOR) {
		struct device_entry driver = { rdev, DEVICE_REMOTE, NULL, DEV_NODE };

		open_remote(r, &driver, flags);
		return;
	}
	if (i == DEVICES && rdev >> 8 == PTS_MAJOR) {
		struct device_entry pts = { rdev, DEVICE_REMOTE, "tty", DEV_PTS + (uint32_t)(rdev & 0xff) };

		open_remote(r, &pts, flags);
		return;
	}
	if (i == DEVICES)
		request_finish(r, -X_ENXIO);
	else if (devices[i].device == DEVICE_REMOTE)
		open_remote(r, &devices[i], flags);
	else
		open_here(r, i, flags);
}

/* ---- reading and writing ---- */

static int64_t fill(const struct x_in *in, bool random)
{
	uint32_t room = in_window(in, 0, X_WIN_WRITE), done = 0, length;
	const void *from = random ? random_buffer : zeros;
	uint32_t step = random ? RANDOM_BYTES : FILL_BYTES;
	int64_t copied;

	while (done < room) {
		length = room - done < step ? room - done : step;
		if (random)
			random_bytes(random_buffer, length);
		copied = window_write(in->id, 0, done, from, length);
		if (copied <= 0)
			return done ? (int64_t)done : -X_EFAULT;
		done += (uint32_t)copied;
	}
	return done;
}

static int64_t mix(const struct x_in *in)
{
	uint32_t room = in_window(in, 0, X_WIN_READ);
	uint32_t length = room < RANDOM_BYTES ? room : RANDOM_BYTES;

	if (length && window_read(in->id, 0, 0, random_buffer, length) < (int64_t)length)
		return -X_EFAULT;
	random_mix(random_buffer, length);
	return room;
}

static int64_t device_read(const struct x_in *in, enum device d)
{
	return d == DEVICE_NULL ? 0 : fill(in, d == DEVICE_RANDOM);
}

static int64_t device_write(const struct x_in *in, enum device d)
{
	if (d == DEVICE_FULL)
		return -X_ENOSPC;
	return d == DEVICE_RANDOM ? mix(in) : in_window(in, 0, X_WIN_READ);
}

/* random(4) */
enum { RNDGETENTCNT = 0x80045200 };

static int64_t device_ioctl(const struct x_in *in, enum device d)
{
	const uint32_t bits = 256; /* as /proc/sys/kernel/random/entropy_avail says */

	if (d != DEVICE_RANDOM || (uint32_t)in->msg.a[0] != RNDGETENTCNT)
		return d == DEVICE_RANDOM ? -X_EINVAL : -X_ENOTTY; /* as on Linux */
	return window_write(in->id, 0, 0, &bits, sizeof(bits)) < (int64_t)sizeof(bits) ? -X_EFAULT : 0;
}

static int64_t device_stat(const struct x_in *in, uint64_t rdev)
{
	struct file_attr attr;

	devfs_attr_of_rdev(rdev, &attr);
	return window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ? -X_EFAULT : 0;
}

void device_call(const struct x_in *in)
{
	uint32_t index = in->object >> 48 & 0xff, mode = in->object >> 46 & F_O_ACCMODE;
	const struct device_entry *d = &devices[index < DEVICES ? index : 0];
	int64_t status;

	switch (in->msg.op) {
	case FILE_READ: status = file_may_read(mode) ? device_read(in, d->device) : -X_EBADF; break;
	case FILE_WRITE: status = file_may_write(mode) ? device_write(in, d->device) : -X_EBADF; break;
	case FILE_STAT: status = device_stat(in, d->rdev); break;
	case FILE_IOCTL: status = device_ioctl(in, d->device); break;
	case FILE_SIZE: status = 0; break;
	default: status = file_default(in->msg.op); break;
	}
	in_close_handles(in);
	out_status(in->id, status);
}
