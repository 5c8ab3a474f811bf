/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/c against the host's libc. Its functions get other names here.
 */
// cflags: -Dmemcpy=x_memcpy -Dmemmove=x_memmove -Dmemset=x_memset -Dmemcmp=x_memcmp -Dmemchr=x_memchr
// cflags: -Dstrlen=x_strlen -Dstrnlen=x_strnlen -Dstrcmp=x_strcmp -Dstrncmp=x_strncmp -Dstrchr=x_strchr
// cflags: -Dstrrchr=x_strrchr -Dstrlcpy=x_strlcpy -Dsnprintf=x_snprintf -Dvsnprintf=x_vsnprintf
// cflags: -Dstrtoul=x_strtoul -Dstrtoull=x_strtoull -ffreestanding
#include "lib/c/error.c"
#include "lib/c/format.c"
#include "lib/c/memory.c"
#include "lib/c/string.c"
#include "lib/c/strlcpy.c"
#include "lib/c/strtoul.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strlcpy
#undef snprintf
#undef vsnprintf
#undef strtoul
#undef strtoull
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static unsigned char a[300], b[300], c[300];

static int fill(void **state)
{
	for (int i = 0; i < 300; i++)
		a[i] = b[i] = c[i] = i * 7 + 1;
	return 0;
}

static void copies(void **state)
{
	for (size_t n = 0; n < 200; n++) {
		for (size_t s = 0; s < 9; s++) {
			fill(state);
			memcpy(b + 50, a + s, n);
			assert_ptr_equal(x_memcpy(c + 50, a + s, n), c + 50);
			assert_memory_equal(b, c, 300);
		}
	}
}

static void moves(void **state)
{
	for (size_t n = 0; n < 200; n += 3) {
		for (size_t d = 0; d < 100; d++) {
			fill(state);
			memmove(b + d, b + 50, n);
			x_memmove(c + d, c + 50, n);
			assert_memory_equal(b, c, 300);
		}
	}
}

static void sets(void **state)
{
	for (size_t n = 0; n < 200; n++) {
		for (size_t d = 0; d < 9; d++) {
			memset(b + d, (int)n - 100, n);
			x_memset(c + d, (int)n - 100, n);
			assert_memory_equal(b, c, 300);
		}
	}
}

static int sign(int x) { return (x > 0) - (x < 0); }

static void compares(void **state)
{
	for (size_t n = 0; n < 100; n++) {
		for (size_t at = 0; at < 100; at++) {
			fill(state);
			b[at] ^= 0x80;
			assert_int_equal(sign(x_memcmp(a, b, n)), sign(memcmp(a, b, n)));
		}
		assert_ptr_equal(x_memchr(a, a[n], 300), memchr(a, a[n], 300));
	}
	assert_null(x_memchr(a, a[5], 5));
}

static void strings(void **state)
{
	static const char *const s[] = { "", "a", "ab", "abc", "abd", "b", "\xff", "abcabc" };
	char buf[4];

	for (int i = 0; i < 8; i++) {
		assert_int_equal(x_strlen(s[i]), strlen(s[i]));
		assert_int_equal(x_strnlen(s[i], 2), strnlen(s[i], 2));
		assert_int_equal(x_strlcpy(buf, s[i], sizeof(buf)), strlen(s[i]));
		assert_int_equal(strlen(buf), strnlen(s[i], 3));
		for (int k = 0; k < 8; k++) {
			assert_int_equal(sign(x_strcmp(s[i], s[k])), sign(strcmp(s[i], s[k])));
			assert_int_equal(sign(x_strncmp(s[i], s[k], 2)), sign(strncmp(s[i], s[k], 2)));
			assert_ptr_equal(x_strchr(s[i], s[k][0]), strchr(s[i], s[k][0]));
			assert_ptr_equal(x_strrchr(s[i], s[k][0]), strrchr(s[i], s[k][0]));
		}
	}
	assert_int_equal(x_strncmp("a", "b", 0), 0);
}

static char want[128], got[128];
#define SAME(...) do { \
	int w = snprintf(want, sizeof(want), __VA_ARGS__); \
	int g = x_snprintf(got, sizeof(got), __VA_ARGS__); \
	assert_string_equal(got, want); \
	assert_int_equal(g, w); \
} while (0)

static void formats(void **state)
{
	const char *volatile nothing = NULL;

	SAME("plain %% text");
	SAME("%d %i %u %x %X %o", -5, 7, 4000000000u, 0xbeef, 0xbeef, 8);
	SAME("%ld %lu %lx %lld %llu %llx", -1l, ~0ul, ~0ul, INT64_MIN + 0ll, ~0ull, 1ull << 63);
	SAME("%zu %zd %hhu %hd %hhx", (size_t)9, (ssize_t)-9, (unsigned char)200, (short)-3, (unsigned char)0xfe);
	SAME("[%5d] [%-5d] [%05d] [%+d] [% d] [%05d]", 42, 42, 42, 42, 42, -42);
	SAME("[%10s] [%-10s] [%.2s] [%-6.3s] [%*s] [%.*s]", "abc", "abc", "abc", "abcdef", 6, "x", 2, "xyz");
	SAME("[%c] [%3c] [%-3c]", 'a', 'b', 'c');
	SAME("[%8.3d] [%.0d] [%.5u] [%08x]", 7, 0, 12u, 0xabcu);
	SAME("%p", (void *)0x1234);
	SAME("%*d|%-*d|", -6, 1, 6, 1);
	SAME("%06llu.%03llu", 12ull, 7ull);
	x_snprintf(got, sizeof(got), "%s", nothing);
	assert_string_equal(got, "(null)");
}

static void formats_cut(void **state)
{
	char buf[8] = "1234567";

	assert_int_equal(x_snprintf(buf, 4, "abcdef"), 6);
	assert_string_equal(buf, "abc");
	assert_int_equal(buf[4], '5');
	assert_int_equal(x_snprintf(buf, 0, "abcdef"), 6);
	assert_int_equal(x_snprintf(NULL, 0, "%d", 1234), 4);
	assert_int_equal(x_snprintf(buf, 1, "x"), 1);
	assert_string_equal(buf, "");
}

static void numbers(void **state)
{
	static const char *const t[] = { "", "0", "12", "  +7x", "-1", "0x1f", "0x", "0xg", "010", "089",
		"18446744073709551615", "18446744073709551616", "zz", "abc", "\t\n9 " };

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (int base = 0; base <= 36; base += base ? 1 : 2) {
			char *e1, *e2;
			unsigned long w = strtoul(t[i], &e1, base), g = x_strtoul(t[i], &e2, base);

			if (w != g || e1 != e2)
				fail_msg("`%s` base %d: %lu, not %lu", t[i], base, g, w);
		}
	}
	assert_int_equal(x_strtoull("5", NULL, 10), 5);
}

static void errors(void **state)
{
	assert_string_equal(x_error_text(-X_ENODEV), "no such device");
	assert_string_equal(x_error_text(X_EDEAD), "the server died during the call");
	assert_string_equal(x_error_text(0), "no error");
	assert_string_equal(x_error_text(-9999), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies), cmocka_unit_test(moves), cmocka_unit_test_setup(sets, fill),
		cmocka_unit_test(compares), cmocka_unit_test(strings), cmocka_unit_test(formats),
		cmocka_unit_test(formats_cut), cmocka_unit_test(numbers), cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
