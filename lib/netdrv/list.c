/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NET_LIST: the device and the driver's counts as text.
 */
#include "lib/netdrv/internal.h"
#include "lib/c/stdio.h"

static char text[1024];

__attribute__((format(printf, 2, 3)))
static uint32_t add(uint32_t at, const char *format, ...)
{
	__builtin_va_list args;
	int len;

	__builtin_va_start(args, format);
	len = vsnprintf(text + at, sizeof(text) - at, format, args);
	__builtin_va_end(args);
	if (len < 0)
		return at;
	return (uint32_t)len < sizeof(text) - at ? at + len : sizeof(text) - 1;
}

#define N(x) ((unsigned long long)(x))

void ndrv_list_answer(const struct x_in *in)
{
	const uint8_t *m = ndrv.caps.mac;
	struct net_counters c = ndrv.counters;
	const struct driver_stats *s = &ndrv.stats;
	uint32_t len;

	if (ndrv.ops->count)
		ndrv.ops->count(&c);
	len = add(0, "%s %02x:%02x:%02x:%02x:%02x:%02x mtu %u features 0x%x link %s %u Mbit/s\n", boot->name,
		  m[0], m[1], m[2], m[3], m[4], m[5], ndrv.caps.mtu, ndrv.caps.features,
		  ndrv.link_up ? "up" : "down", ndrv.speed_mbit);
	len = add(len, "rx %llu packets %llu bytes %llu dropped %llu errors, tx %llu packets %llu bytes %llu errors\n",
		  N(c.rx_packets), N(c.rx_bytes), N(c.rx_dropped), N(c.rx_errors), N(c.tx_packets), N(c.tx_bytes),
		  N(c.tx_errors));
	len = add(len, "sessions %llu resets %llu refused %llu kicks %llu wakes %llu doorbells %llu interrupts %llu\n",
		  N(s->sessions), N(s->resets), N(s->refused), N(s->kicks), N(s->wakes), N(s->doorbells),
		  N(s->interrupts));
	out_status(in->id, window_write(in->id, 0, 0, text, len));
}
