/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The initial stack, read back as a C library's start-up code reads it.
 */
// sources: servers/pm/stack.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <xinim/abi.h>
#include "lib/c/string.h"
#include "servers/pm/stack.h"

#define HIGH 0x7fffffffe000ull
#define BYTES (4u << 20)
static uint8_t memory[BYTES]; /* ends at HIGH */
static int fail_at = -1, puts_done;

static uint8_t *at(uint64_t addr) { return memory + (addr - (HIGH - BYTES)); }

static int put(void *ctx, uint64_t addr, const void *data, size_t bytes)
{
	assert_ptr_equal(ctx, memory);
	assert_true(addr >= HIGH - BYTES && addr + bytes <= HIGH);
	if (puts_done++ == fail_at)
		return -X_ENOMEM;
	memcpy(at(addr), data, bytes);
	return 0;
}

static struct stack_strings pack(char *buf, const char *const *list)
{
	struct stack_strings s = { buf, 0, 0 };

	for (; *list; list++) {
		size_t n = strlen(*list) + 1;

		memcpy(buf + s.bytes, *list, n);
		s.bytes += (uint32_t)n;
		s.count++;
	}
	return s;
}

static uint64_t word(uint64_t addr)
{
	uint64_t w;

	memcpy(&w, at(addr), 8);
	return w;
}

static void test_layout(void **state)
{
	char a[64], b[64], c[64];
	struct auxv_pair auxv[] = { { AT_PAGESZ, 4096 }, { AT_RANDOM, 0 }, { AT_EXECFN, 0 },
				    { AT_PLATFORM, 0 }, { AT_NULL, 0 } };
	struct stack_input in = {
		.high = HIGH, .limit_bytes = BYTES,
		.args = { pack(a, (const char *const[]){ "/bin/sh", "-e", NULL }),
			  pack(b, (const char *const[]){ "script", "", "x", NULL }) },
		.env = pack(c, (const char *const[]){ "A=1", "PATH=/bin", NULL }),
		.execfn = "./script", .random = "0123456789abcde", .auxv = auxv, .auxv_count = 5,
	};
	static const char *const args[] = { "/bin/sh", "-e", "script", "", "x" };
	struct stack_layout l;
	uint64_t p;

	(void)state;
	assert_int_equal(stack_plan(&in, &l), 0);
	assert_int_equal(stack_write(&in, &l, put, memory), 0);
	assert_int_equal(l.rsp % 16, 0);
	assert_int_equal(l.low % 4096, 0);
	assert_true(l.low <= l.rsp);
	p = l.rsp;
	assert_int_equal(word(p), 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(at(word(p += 8)), args[i]);
	assert_int_equal(word(l.rsp + 8), l.arg_start);
	assert_int_equal(word(p += 8), 0);
	assert_string_equal(at(word(p += 8)), "A=1");
	assert_int_equal(word(p), l.env_start);
	assert_string_equal(at(word(p += 8)), "PATH=/bin");
	assert_int_equal(word(p += 8), 0);
	assert_int_equal(word(p += 8), AT_PAGESZ);
	assert_int_equal(word(p += 8), 4096);
	assert_int_equal(word(p += 8), AT_RANDOM);
	assert_memory_equal(at(word(p += 8)), "0123456789abcde", 16);
	p += 8;
	assert_string_equal(at(word(p += 8)), "./script");
	p += 8;
	assert_string_equal(at(word(p += 8)), "x86_64");
	assert_int_equal(word(p += 8), AT_NULL);
	assert_true(p + 16 <= l.random);
	assert_int_equal(word(HIGH - 8), 0);
	assert_int_equal(l.arg_end, l.env_start);
	assert_int_equal(auxv[1].value, l.random);
}

static void test_many(void **state)
{
	enum { COUNT = 60000 };
	char *text = calloc(COUNT, 2);
	struct auxv_pair auxv[] = { { AT_NULL, 0 } };
	struct stack_input in = {
		.high = HIGH - 64, .limit_bytes = BYTES, .args = { { text, 0, 0 }, { text, COUNT * 2, COUNT } },
		.env = { text, 0, 0 }, .execfn = "x", .auxv = auxv, .auxv_count = 1,
	};
	struct stack_layout l;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		text[2 * i] = 'a' + i % 26;
	assert_int_equal(stack_plan(&in, &l), 0);
	assert_int_equal(stack_write(&in, &l, put, memory), 0);
	for (int i = 0; i < COUNT; i += 777)
		assert_int_equal(*at(word(l.rsp + 8 + 8ull * i)), 'a' + i % 26);
	assert_int_equal(word(l.rsp + 8 + 8ull * COUNT), 0);
	in.limit_bytes = 500000;
	assert_int_equal(stack_plan(&in, &l), -X_E2BIG);
	in.limit_bytes = BYTES;
	stack_plan(&in, &l);
	for (fail_at = 0; fail_at < 4; fail_at++) {
		puts_done = 0;
		assert_int_equal(stack_write(&in, &l, put, memory), -X_ENOMEM);
		assert_int_equal(puts_done, fail_at + 1);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_layout), cmocka_unit_test(test_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
