/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * greedy: says which handles it was started with, then tries everything that its
 * manifest does not name with each of them (and with none): other processes, devices, I/O
 * ports, interrupts, physical memory, the machine; its peer's port; more rights. At last,
 * by the kernel command line, what no system call is needed for: greedy=port, kernel, msr.
 * With greedy=look it only says what it has, in the place of any other service.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define HANDLES_MAX 64u
#define SLOTS       2048u
#define KERNEL_ADDR 0xffffffff80000000ull

static const char *const types[] = {
	"none", "port", "object", "event", "memory", "space", "process", "device", "irq", "ioports", "resource", "log", "waitset",
};

static struct { x_handle_t handle; struct x_handle_info info; } has[HANDLES_MAX];
static uint32_t has_count, refused, got;

static const char *name_of(x_handle_t h)
{
	for (uint32_t i = 0; i < boot->handle_count; i++)
		if (boot->handles[i].handle == h)
			return boot->handles[i].name;
	return "unnamed";
}

static void look(void)
{
	struct x_handle_info info;

	for (x_handle_t h = 0; h < SLOTS; h++) {
		if (x_handle_info(h, &info) < 0 || has_count == HANDLES_MAX)
			continue;
		server_log("has %s: %s, rights 0x%x", name_of(h), types[info.type], info.rights);
		has[has_count].handle = h;
		has[has_count++].info = info;
	}
}

static void tried(const char *what, x_handle_t h, int64_t result)
{
	if (result < 0) {
		refused++;
		return;
	}
	got++;
	server_log("GOT %s by %s (0x%x): %d", what, name_of(h), h, (int)result);
}

#define TRY(call, h) tried(#call, h, x_##call)

static void try_machine(x_handle_t h)
{
	struct x_device_create device = { .resource = h, .bdf = 0x10, .name = "greedy" };
	struct x_proc_info info;
	char byte;

	TRY(proc_create(h, "minion", 0, X_BAND_SERVER), h);
	TRY(ioports_create(h, 0x60, 1), h);
	TRY(irq_create(h, 1, boot_handle("control"), 1), h);
	TRY(memory_physical(h, 0xe0000, X_PAGE_SIZE), h);
	TRY(system(h, X_SYS_LOG_MIRROR, 0), h);
	TRY(system(h, X_SYS_SET_REALTIME, 1), h);
	TRY(device_create(&device), h);
	TRY(device_map(h, 0, 0, X_PAGE_SIZE), h);
	TRY(device_config(h, 4, 2, 6, 1), h);
	TRY(device_ctl(h, X_DEV_BUS_MASTER_ON, 0), h);
	TRY(ioport(h, 0, 1, 0, 0), h);
	TRY(irq_ack(h), h);
	TRY(proc_info(h, &info), h);
	TRY(proc_suspend(h, 1), h);
	TRY(proc_kill(h, 1), h);
	TRY(proc_handle(h, X_SLOT_NATIVE, 0), h);
	TRY(proc_grant(h, server_port, 0, X_SLOT_NATIVE + 60), h);
	TRY(proc_limit(h, 1), h);
	TRY(space_copy(h, X_BOOT_PAGE, &byte, 1, 0), h);
	TRY(notify_post(h, 1, 1), h);
	TRY(mem_copy(h, 0, &byte, 1, 0), h);
}

/* Rights that the handle lacks; those that it was given (its own port, its events) are its own affair. */
static void try_rights(x_handle_t h, uint32_t rights, uint32_t type)
{
	struct x_commit receive = { .in_max = 0 };
	struct x_handle_info info;
	struct x_port_info port;
	int64_t more = x_handle_dup(h, X_R_ALL, X_SLOT_NATIVE, 0);

	tried("dup with all rights", h, more >= 0 && x_handle_info((x_handle_t)more, &info) >= 0 && !(info.rights & ~rights) ? -1 : more);
	if (more >= 0)
		x_handle_close((x_handle_t)more);
	if (type != X_TYPE_PORT)
		return;
	TRY(port_reset(h), h);
	if (rights & X_R_RECEIVE)
		return;
	TRY(port_info(h, &port), h);
	TRY(mint(h, 77, 0, 0, 0), h);
	TRY(commit_receive(h, &receive), h);
	TRY(bind(h, server_port, 77), h);
	TRY(stream_set(h, 1, X_NO_HANDLE, 0, 0), h);
	TRY(flow_set(h, 1, 0, X_NO_HANDLE, 0), h);
	TRY(route(h, 1, X_NO_HANDLE, 0, 0), h);
}

static void try_to_hand_on(x_handle_t peer)
{
	struct x_call c = { .handles = { peer }, .handle_count = 1, .deadline_ns = X_FOREVER };

	tried("its peer's port sent away", peer, x_call(peer, &c));
}

/* Ends it, if it is refused. */
static void without_a_call(const char *how)
{
	uint32_t low = 0, high = 0;

	if (!strcmp(how, "port"))
		__asm__ volatile("outb %%al, $0x80" : : "a"(0));
	else if (!strcmp(how, "kernel"))
		low = *(volatile uint32_t *)KERNEL_ADDR;
	else if (!strcmp(how, "msr"))
		__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000082));
	else
		return;
	server_log("GOT %s: 0x%x 0x%x", how, high, low);
}

void server_main(void)
{
	const char *how = boot_option("greedy") ? boot_option("greedy") : "";

	look();
	for (uint32_t i = 0; strcmp(how, "look") && i < has_count; i++) {
		try_machine(has[i].handle);
		try_rights(has[i].handle, has[i].info.rights, has[i].info.type);
	}
	if (!strcmp(how, "look"))
		server_run(&(struct server_ops){ 0 });
	try_machine(X_NO_HANDLE);
	try_machine(SLOTS);
	try_to_hand_on(boot_handle("tty"));
	server_log("tried: %u refused, %u not", refused, got);
	without_a_call(how);
	server_run(&(struct server_ops){ 0 });
}
