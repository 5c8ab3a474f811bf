/* SPDX-License-Identifier: BSD-2-Clause */
#include "servers/net/net.h"
void ether_start(void) { }
bool ether_poll(void) { return false; }
void ether_filters_changed(struct interface *i) { (void)i; }
void net_batch_end(void) { }
void net_counters(const struct net_client *c, struct net_counters *sum) { (void)c; (void)sum; }
