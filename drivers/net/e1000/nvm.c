/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The controller's own memory (EEPROM; SDM 5.6): 64 words whose sum is known,
 * the first three of them the address.
 */
#include "drivers/net/e1000/e1000.h"

#include <xinim/syscall.h>

#define READ_TIMEOUT_NS 10000000ull /* a word takes some 60 us */

static int read_word(uint32_t at, uint16_t *word)
{
	uint32_t shift = e1000.is_82574 ? EERD_ADDR_SHIFT_82574 : EERD_ADDR_SHIFT;
	uint32_t done = e1000.is_82574 ? EERD_DONE_82574 : EERD_DONE, value;
	uint64_t deadline = (uint64_t)x_clock(X_CLOCK_MONOTONIC) + READ_TIMEOUT_NS;

	reg_write(E1000_EERD, at << shift | EERD_START);
	do {
		value = reg_read(E1000_EERD);
		if (value & done) {
			*word = value >> EERD_DATA_SHIFT;
			return 0;
		}
	} while ((uint64_t)x_clock(X_CLOCK_MONOTONIC) < deadline);
	return -X_EIO;
}

static bool mac_holds(const uint8_t mac[6])
{
	uint8_t any = 0;

	for (uint32_t i = 0; i < 6; i++)
		any |= mac[i];
	return any && !(mac[0] & 1);
}

/* What the reset has loaded into the first receive address. */
static int read_receive_address(uint8_t mac[6])
{
	uint32_t low = reg_read(E1000_RAL0), high = reg_read(E1000_RAH0);

	for (uint32_t i = 0; i < 4; i++)
		mac[i] = low >> 8 * i;
	mac[4] = (uint8_t)high;
	mac[5] = high >> 8;
	return high & RAH_AV && mac_holds(mac) ? 0 : -X_EIO;
}

int nvm_read_mac(uint8_t mac[6])
{
	uint16_t word, sum = 0;

	for (uint32_t i = 0; i < NVM_WORDS; i++) {
		if (read_word(i, &word))
			return read_receive_address(mac);
		sum += word;
		if (i < 3) {
			mac[2 * i] = (uint8_t)word;
			mac[2 * i + 1] = word >> 8;
		}
	}
	return sum == NVM_SUM && mac_holds(mac) ? 0 : read_receive_address(mac);
}
