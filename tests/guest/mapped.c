/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps a file that is larger than the memory, and reads all of it, several times; asks for memory while it is mapped.
 *
 *   mapped FILE TIMES MIB       prints the sum of a word of each 512 bytes, each time
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"

int main(int argc, char **argv)
{
	int fd = argc > 3 ? open(argv[1], O_RDONLY) : -1;
	size_t bytes = fd < 0 ? 0 : (size_t)atoi(argv[3]) << 20;
	const uint64_t *words;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 2;
	for (int times = atoi(argv[2]); times > 0; times--) {
		uint64_t sum = 0;
		char *memory = malloc(bytes);

		words = mmap(NULL, (size_t)st.st_size, PROT_READ, times % 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		CHECK(words != MAP_FAILED);
		for (size_t i = 0; i < (size_t)st.st_size / sizeof(*words); i += 64)
			sum = sum * 31 + words[i];
		CHECK(memory != NULL);
		memset(memory, times, bytes);
		for (size_t i = 0; i < bytes; i += 4096)
			CHECK(memory[i] == (char)times);
		free(memory);
		CHECK(munmap((void *)(uintptr_t)words, (size_t)st.st_size) == 0);
		printf("%016llx\n", (unsigned long long)sum);
	}
	return check_end("mapped");
}
