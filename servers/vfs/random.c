/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes for /dev/random and /dev/urandom (which are the same): the
 * ChaCha20 block function of RFC 8439, section 2.3, under a key that is
 * replaced by its own output after each use, so that what was given out can't
 * be computed from a later state.
 */

#include "servers/vfs/vfs.h"

enum { ROUNDS = 20, RESEED_BLOCKS = 1 << 16 };

static uint32_t key[8];
static uint64_t counter;
static uint64_t blocks_since_seed;

static inline uint32_t rotate(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }

static inline void quarter(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b]; s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d]; s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b]; s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d]; s[b] = rotate(s[b] ^ s[c], 7);
}

static void block(const uint32_t k[8], uint64_t number, uint32_t out[16])
{
	uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
	unsigned i;

	memcpy(start + 4, k, 32);
	start[12] = (uint32_t)number;
	start[13] = (uint32_t)(number >> 32);
	memcpy(out, start, 64);
	for (i = 0; i < ROUNDS; i += 2) {
		quarter(out, 0, 4, 8, 12);
		quarter(out, 1, 5, 9, 13);
		quarter(out, 2, 6, 10, 14);
		quarter(out, 3, 7, 11, 15);
		quarter(out, 0, 5, 10, 15);
		quarter(out, 1, 6, 11, 12);
		quarter(out, 2, 7, 8, 13);
		quarter(out, 3, 4, 9, 14);
	}
	for (i = 0; i < 16; i++)
		out[i] += start[i];
}

/* Words are folded into the key one key's length at a time. */
void random_mix(const void *data, size_t bytes)
{
	const uint8_t *from = data;
	uint32_t out[16], piece[8];
	size_t length;

	while (bytes) {
		length = bytes < sizeof(piece) ? bytes : sizeof(piece);
		memset(piece, 0, sizeof(piece));
		memcpy(piece, from, length);
		for (unsigned i = 0; i < 8; i++)
			key[i] ^= piece[i];
		block(key, counter++, out);
		memcpy(key, out, sizeof(key));
		from += length;
		bytes -= length;
	}
}

void random_init(void)
{
	uint64_t seed[8];

	sys_entropy(seed);
	random_mix(seed, sizeof(seed));
	blocks_since_seed = 0;
}

void random_bytes(void *out, size_t bytes)
{
	uint8_t *to = out;
	uint32_t words[16];
	size_t length;

	if (blocks_since_seed > RESEED_BLOCKS)
		random_init();
	while (bytes) {
		length = bytes < 64 ? bytes : 64;
		block(key, counter++, words);
		memcpy(to, words, length);
		to += length;
		bytes -= length;
		blocks_since_seed++;
	}
	block(key, counter++, words);
	memcpy(key, words, sizeof(key));
	memset(words, 0, sizeof(words));
}
