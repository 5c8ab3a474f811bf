/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few kernel calls of vfs beside those of lib/ipc, apart from the rest so
 * that tests on the host can put their own in place.
 */

#include "servers/vfs/vfs.h"

int64_t sys_mint(uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags)
{
	return x_mint(server_port, id, flags, ready, status_flags);
}

int64_t sys_window_move(uint64_t from, uint64_t from_offset, uint64_t to, uint64_t to_offset, uint32_t bytes)
{
	struct x_window_copy copy = {
		.id = to, .to_window = 1, .offset = to_offset, .addr = from_offset, .len = bytes, .id2 = from,
	};

	return x_window_copy(server_port, &copy);
}

uint64_t sys_handle_koid(x_handle_t h)
{
	struct x_handle_info info;

	return x_handle_info(h, &info) < 0 ? 0 : info.koid;
}

uint32_t sys_handle_refs(x_handle_t h)
{
	struct x_handle_info info;

	return x_handle_info(h, &info) < 0 ? 0 : info.refs;
}

int64_t sys_handle_dup(x_handle_t h)
{
	return x_handle_dup(h, 0, X_SLOT_NATIVE, 0);
}

int64_t sys_handle_reopen(x_handle_t h)
{
	return x_object_ctl(h, X_OBJ_REOPEN, 0);
}

int64_t sys_handle_flags(x_handle_t h)
{
	return x_object_ctl(h, X_OBJ_GET_FLAGS, 0);
}

int64_t sys_memory(uint32_t bytes)
{
	struct x_mem_create create = { .bytes = bytes };

	return x_mem_create(&create);
}

void *sys_map(x_handle_t memory, uint32_t offset, uint32_t bytes)
{
	struct x_mem_map map = {
		.space = X_SELF, .memory = memory, .offset = offset, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t at = x_mem_map(&map);

	return at < 0 ? NULL : (void *)at;
}

void sys_unmap_later(void *at, uint32_t bytes)
{
	out_do(X_SYS_mem_unmap, X_SELF, (uint64_t)(uintptr_t)at, bytes, 0, 0);
}

int64_t sys_flow_pipe(const struct x_flow_pipe *pipe)
{
	return x_flow_pipe(server_port, pipe);
}

int64_t sys_flow_state(uint64_t object, struct x_flow_state *state)
{
	return x_flow_state(server_port, object, X_FLOW_PIPE, state);
}

uint64_t sys_realtime_ns(void)
{
	int64_t now = x_clock(X_CLOCK_REALTIME);

	return now < 0 ? 0 : (uint64_t)now;
}

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void cpuid(uint32_t leaf, uint32_t *ebx, uint32_t *ecx)
{
	uint32_t eax = leaf, edx;

	*ecx = 0;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(*ebx), "+c"(*ecx), "=d"(edx));
}

/* Both may come up empty when they are asked too often: the value counts
 * as no entropy then, which is why the clock is always mixed in. */
static uint64_t rdseed64(void)
{
	uint64_t value = 0;
	unsigned tries;
	uint8_t ok = 0;

	for (tries = 0; tries < 64 && !ok; tries++)
		__asm__ volatile("rdseed %0; setc %1" : "=r"(value), "=qm"(ok) : : "cc");
	return value;
}

static uint64_t rdrand64(void)
{
	uint64_t value = 0;
	unsigned tries;
	uint8_t ok = 0;

	for (tries = 0; tries < 64 && !ok; tries++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(value), "=qm"(ok) : : "cc");
	return value;
}

/* Intel SDM vol. 2, CPUID: leaf 1 ECX.30 RDRAND, leaf 7 EBX.18 RDSEED. */
void sys_entropy(uint64_t out[8])
{
	uint32_t ebx1, ecx1, ebx7, ecx7;
	unsigned i;

	cpuid(1, &ebx1, &ecx1);
	cpuid(7, &ebx7, &ecx7);
	for (i = 0; i < 8; i++) {
		out[i] = read_tsc() * 0x9e3779b97f4a7c15ull;
		if (ebx7 & 1u << 18)
			out[i] ^= rdseed64();
		if (ecx1 & 1u << 30)
			out[i] += rdrand64();
	}
	out[0] ^= sys_realtime_ns();
}
