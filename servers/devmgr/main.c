/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device manager: finds the PCI functions of the machine, and hands them as
 * device objects to rs, for the drivers whose manifests match
 * (proto/devmgr.h). What a driver may do with its device is the kernel's to
 * enforce; who gets which is rs's to decide.
 *
 * Started by rs with boot handle "resource" (X_R_MANAGE). It restarts
 * warm; a cold start loses nothing either, for all can be found again.
 * QEMU: any machine; ECAM on q35, ports on pc.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "proto/devmgr.h"
#include "servers/devmgr/devmgr.h"

static struct {
	x_handle_t resource;
	struct acpi_info acpi;
} devmgr;

static char text[8192];

static struct function *find(const char *match, uint64_t index, int *err)
{
	*err = -X_ENODEV;
	for (uint32_t i = 0; i < function_count(); i++) {
		struct function *f = function_at(i);
		int matches = match_function(match, f);

		if (matches < 0) {
			*err = matches;
			return NULL;
		}
		if (matches && !index--)
			return f;
	}
	return NULL;
}

static int claim(const struct x_in *in)
{
	char match[256];
	struct function *f;
	struct x_out *out;
	int64_t len, copy;
	int err;

	if (!in->win_count)
		return -X_EINVAL;
	len = window_string(in->id, 0, in->win[0].len, match, sizeof(match));
	if (len < 0)
		return len;
	f = find(match, in->msg.a[0], &err);
	if (!f)
		return err;
	err = claim_make(f, devmgr.resource, &devmgr.acpi);
	if (err) {
		server_log("%s: no device object: error %d", f->name, err);
		return err;
	}
	copy = x_handle_dup(f->handle, 0, X_SLOT_NATIVE, 0);
	if (copy < 0)
		return copy;
	if (in->win_count > 1)
		window_write(in->id, 1, 0, f->name, sizeof(f->name));
	out = out_answer_entry(in->id);
	out->msg.a[0] = f->bdf;
	out->handles[0] = copy;
	out->handle_count = 1;
	return 0;
}

static void list(const struct x_in *in)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < function_count() && at < sizeof(text); i++) {
		const struct function *f = function_at(i);

		at += snprintf(text + at, sizeof(text) - at, "%s %04x:%04x class %06x irq %u%s\n", f->name, f->vendor,
			       f->device, f->class_code, f->irq_pin ? f->irq_line : 0,
			       f->handle != X_NO_HANDLE ? " claimed" : "");
	}
	if (at > sizeof(text) - 1)
		at = sizeof(text) - 1;
	out_status(in->id, window_write(in->id, 0, 0, text, at));
}

static void on_call(const struct x_in *in)
{
	int err = -X_ENOSYS;

	in_close_handles(in);
	if (in->msg.op == DEVMGR_LIST) {
		list(in);
		return;
	}
	if (in->msg.op == DEVMGR_CLAIM)
		err = claim(in);
	if (err)
		out_status(in->id, err);
}

void server_main(void)
{
	static const struct server_ops ops = { .call = on_call };

	devmgr.resource = boot_handle("resource");
	if (devmgr.resource == X_NO_HANDLE)
		server_die("no boot handle \"resource\"");
	acpi_read(devmgr.resource, &devmgr.acpi);
	config_init(devmgr.resource, &devmgr.acpi);
	bus_scan();
	server_log("%u PCI functions, configuration space by %s", function_count(),
		   devmgr.acpi.ecam_base ? "ECAM" : "ports");
	server_run(&ops);
}
