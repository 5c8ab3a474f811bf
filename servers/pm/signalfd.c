/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that signals are read from (signalfd). What is pending belongs to
 * the kernel and is taken by the reader's own personality: here is the set that
 * is wanted, and whether a poll is to say that something is there.
 *
 * That is so from when a signal of the set is sent to the process that used the
 * descriptor last until it says, with the number of the last one it knew of,
 * that it has found no more.
 */
#include "lib/c/slots.h"
#include "lib/ipc/file.h"
#include "servers/pm/pm.h"

enum { SIGNALFDS_MAX = 256 };

static struct signalfd {
	bool used;
	uint32_t generation;
	uint64_t set;
	uint64_t posted;         /* counts signals of the set */
	uint64_t user;           /* koid of the process whose signals make it ready */
} signalfds[SIGNALFDS_MAX];
static uint32_t signalfds_end;   /* all from here up are free */

static uint64_t signalfd_object(const struct signalfd *f)
{
	return object_id(OBJECT_SIGNALFD, f->generation, (uint32_t)(f - signalfds));
}

static struct signalfd *signalfd_of(uint64_t object)
{
	struct signalfd *f = &signalfds[object_index(object) % SIGNALFDS_MAX];

	return f->used && signalfd_object(f) == object ? f : NULL;
}

static void show(const struct signalfd *f, bool ready)
{
	out_ready(signalfd_object(f), X_READY_IN, ready ? X_READY_IN : 0, ready ? X_READY_IN : 0);
}

void signalfds_posted(const struct proc *p, uint32_t signal)
{
	for (struct signalfd *f = signalfds; f < signalfds + signalfds_end; f++) {
		if (!f->used || f->user != p->koid || !(f->set & signal_bit(signal)))
			continue;
		f->posted++;
		show(f, true);
	}
}

static void create(const struct proc *p, const struct x_in *in)
{
	struct signalfd *f = SLOT_FIND(signalfds, signalfds_end, used);
	struct x_out *out;
	int64_t h;

	if (!f) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	f->generation++;
	h = x_mint(server_port, signalfd_object(f), 0, in->msg.a[3] ? X_READY_IN : 0,
		   F_O_RDWR | ((uint32_t)in->msg.a[2] & F_O_NONBLOCK));
	if (h < 0) {
		out_status(in->id, h);
		return;
	}
	f->used = true;
	f->set = in->msg.a[1];
	f->user = p->koid;
	f->posted = 0;
	SLOT_TAKEN(signalfds, signalfds_end, f);
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

void signalfd_call(struct proc *p, const struct x_in *in)
{
	if (in->msg.a[0] == PM_SIGNALFD_CREATE) {
		create(p, in);
		return;
	}
	if (in->msg.a[1] >= 1 && in->msg.a[1] <= SIGNAL_MAX)
		signalfds_posted(p, (uint32_t)in->msg.a[1]);
	out_status(in->id, 0);
}

void signalfd_closed(uint64_t object)
{
	struct signalfd *f = signalfd_of(object);

	if (!f)
		return;
	f->used = false;
	SLOTS_TRIM(signalfds, signalfds_end, used);
}

void signalfd_file_call(const struct x_in *in)
{
	struct signalfd *f = signalfd_of(in->object);
	struct x_out *out;

	if (!f) {
		out_status(in->id, -X_ESTALE_HANDLE);
		return;
	}
	switch (in->msg.op) {
	case FILE_READ: /* the reader looks for itself */
		f->user = in->account;
		out = out_answer_entry(in->id);
		out->msg.status = -X_ELOCAL;
		out->msg.a[0] = f->set;
		out->msg.a[1] = f->posted;
		break;
	case FILE_STAT:
		file_stat_anonymous(in->id);
		break;
	case SIGNALFD_SET:
		f->set = in->msg.a[0];
		f->user = in->account;
		f->posted++;
		show(f, in->msg.a[1] != 0);
		out_status(in->id, 0);
		break;
	case SIGNALFD_EMPTY:
		if (f->posted == in->msg.a[0])
			show(f, false);
		out_status(in->id, 0);
		break;
	default:
		out_status(in->id, file_default(in->msg.op));
	}
}
