/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers that peers must not guess: initial sequence numbers (RFC 6528), ports
 * and identifiers, by SipHash-2-4 (Aumasson, Bernstein 2012) under a key of the
 * processor's random numbers, where it has them, and of its time.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

static uint64_t key[2];
static uint64_t counter;

static inline uint64_t rotate(uint64_t x, unsigned n) { return x << n | x >> (64 - n); }

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1]; v[1] = rotate(v[1], 13) ^ v[0]; v[0] = rotate(v[0], 32);
		v[2] += v[3]; v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3]; v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1]; v[1] = rotate(v[1], 17) ^ v[2]; v[2] = rotate(v[2], 32);
	}
}

uint64_t siphash(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
			  key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull };
	uint64_t word, last = (uint64_t)bytes << 56;
	size_t left = bytes;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		rounds(v, 2);
		v[0] ^= word;
	}
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool has_rdrand(void)
{
	uint32_t a = 1, b, c, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return c >> 30 & 1;
}

void random_start(void)
{
	uint64_t random = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (has_rdrand())
			__asm__ volatile("rdrand %0" : "=r"(random));
		key[i] = random ^ __builtin_ia32_rdtsc() * 0x9e3779b97f4a7c15ull ^
			 (uint64_t)x_clock(X_CLOCK_REALTIME);
	}
}

uint32_t random_u32(void)
{
	counter++;
	return (uint32_t)siphash(&counter, sizeof(counter));
}

/* A clock of 4 µs and a keyed hash of the connection. */
u32_t hook_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port)
{
	struct { uint8_t local[16], remote[16]; uint16_t local_port, remote_port; } id;

	memset(&id, 0, sizeof(id));
	if (IP_IS_V6(remote_ip)) {
		memcpy(id.local, ip_2_ip6(local_ip)->addr, 16);
		memcpy(id.remote, ip_2_ip6(remote_ip)->addr, 16);
	} else {
		memcpy(id.local, &ip_2_ip4(local_ip)->addr, 4);
		memcpy(id.remote, &ip_2_ip4(remote_ip)->addr, 4);
	}
	id.local_port = local_port;
	id.remote_port = remote_port;
	return (u32_t)siphash(&id, sizeof(id)) + (u32_t)(server_now_ns / 4000);
}
