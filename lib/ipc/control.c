/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service's end of rs: readiness, control requests, injected faults
 * (proto/rs.h). rs itself has no such handles and this does nothing there.
 */
#include "lib/ipc/internal.h"
#include "proto/rs.h"

static bool ready_sent;
static bool ready_deferred;
/* Volatile, for compilers that would reason about a store to a constant. */
static volatile uintptr_t unmapped_address = 0x10;

void control_bind(void)
{
	x_handle_t control = boot_handle("control");

	if (control != X_NO_HANDLE && x_bind(control, server_port, cookie_make(COOKIE_CONTROL, 0, 0)) < 0)
		server_die("cannot bind the control event");
}

void tell_rs(uint64_t bits)
{
	x_handle_t rs_event = boot_handle("rs_event");

	if (rs_event != X_NO_HANDLE)
		out_signal(rs_event, bits);
}

void server_complain(x_handle_t peer)
{
	for (uint32_t i = 0; i < boot->handle_count && i < RS_EVENT_PEERS; i++)
		if (boot->handles[i].handle == peer)
			tell_rs(RS_EVENT_PEER(i));
}

void server_ready(void)
{
	if (!ready_sent)
		tell_rs(RS_EVENT_READY);
	ready_sent = true;
}

void server_defer_ready(void)
{
	ready_deferred = true;
}

void control_ready_by_default(void)
{
	if (!ready_deferred)
		server_ready();
}

bool control_is_ready(void)
{
	return ready_sent;
}

void control_ready_again(void)
{
	tell_rs(RS_EVENT_READY);
}

__attribute__((noreturn)) static void hang(void)
{
	uint32_t word = 0;

	for (;;)
		x_futex_wait(&word, 0, X_FOREVER, ~0u);
}

__attribute__((noreturn)) static void loop(void)
{
	for (;;)
		__asm__ volatile("pause");
}

/* A fault strikes once, though the event is delivered again after a warm restart. */
static REGION_SCRATCH struct { uint64_t faults, epoch, again; } struck;

void control_warm(uint64_t epoch)
{
	struck.again = struck.epoch == epoch ? struck.faults : 0;
}

/* Touched, or it would cost nothing. */
static void leak(size_t bytes)
{
	char *memory = server_memory_payload(bytes);

	for (size_t i = 0; i < bytes; i += X_PAGE_SIZE)
		memory[i] = 1;
}

/* Returns when the fault is one that shows later. */
static void strike(uint64_t bits)
{
	if (bits & RS_CONTROL_HANG)
		hang();
	if (bits & RS_CONTROL_LOOP)
		loop();
	if (bits & RS_CONTROL_EXCEPTION)
		*(volatile uint32_t *)unmapped_address = 0;
	if (bits & RS_CONTROL_EXIT)
		x_proc_exit(1);
	if (bits & RS_CONTROL_SLOW)
		server_delay_ns = 20000000;
	if (bits & RS_CONTROL_GARBAGE)
		spoil_start(bits >> RS_CONTROL_ENTRY_SHIFT);
	if (bits & RS_CONTROL_LEAK)
		leak(1u << 20);
	if (bits & RS_CONTROL_VERIFY)
		warm_verify();
	if (bits & RS_CONTROL_ENTRY)
		warm_die_at_entry(bits >> RS_CONTROL_ENTRY_SHIFT);
}

void server_inject(uint64_t bits)
{
	uint64_t faults = bits & RS_CONTROL_FAULTS;

	if (faults && faults != struck.again) {
		struck.faults = faults;
		struck.epoch = server_epoch();
		strike(bits);
	}
	struck.again = 0;
}

void control_event(const struct server_ops *ops, uint64_t bits)
{
	server_inject(bits); /* strikes before anything is tidied up */
	if (!(bits & RS_CONTROL_STOP))
		return;
	if (ops->stop)
		ops->stop();
	else
		server_exit();
}
