/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loop devices: the ioctls of loop(4), and that a device's bytes are its file's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "proto/loop.h"

#define BLKGETSIZE64_ 0x80081272u
#define BLKDISCARD_   0x1277u
#define BLKZEROOUT_   0x127fu
#define FILE_BYTES    (1 << 20)

static unsigned char data[65536], back[65536];
static int file, loop;

static uint64_t device_bytes(void)
{
	uint64_t bytes = 1;

	CHECK(ioctl(loop, BLKGETSIZE64_, &bytes) == 0);
	return bytes;
}

static void open_free(void)
{
	int control = open("/dev/loop-control", O_RDWR), number;
	char name[32];

	CHECK(control >= 0);
	number = ioctl(control, LOOP_CTL_GET_FREE);
	CHECK(number >= 0 && number < LOOP_DISKS);
	FAILS(ioctl(control, LOOP_CTL_ADD, number), EEXIST);
	FAILS(ioctl(control, LOOP_CTL_REMOVE, 1000), ENODEV);
	FAILS(ioctl(control, LOOP_GET_STATUS64, name), ENOTTY);
	close(control);
	snprintf(name, sizeof(name), "/dev/loop%d", number);
	loop = open(name, O_RDWR);
	CHECK(loop >= 0);
}

static void binding(void)
{
	struct loop_info64 info;
	struct loop_info old;
	struct stat st;

	FAILS(ioctl(loop, LOOP_GET_STATUS64, &info), ENXIO);
	FAILS(ioctl(loop, LOOP_CLR_FD, 0), ENXIO);
	FAILS(ioctl(loop, LOOP_SET_FD, 1000), EBADF);
	FAILS(ioctl(loop, LOOP_SET_FD, loop), EINVAL);
	FAILS(ioctl(file, LOOP_SET_FD, file), ENOTTY);
	CHECK(device_bytes() == 0 && read(loop, back, 10) == 0);
	CHECK(ioctl(loop, LOOP_SET_FD, file) == 0);
	FAILS(ioctl(loop, LOOP_SET_FD, file), EBUSY);
	CHECK(device_bytes() == FILE_BYTES);
	memset(&info, 0xff, sizeof(info));
	CHECK(ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && fstat(file, &st) == 0);
	CHECK(info.inode == st.st_ino && info.offset == 0 && info.size_limit == 0 && info.flags == 0);
	memset(&old, 0, sizeof(old));
	old.offset = 4096;
	strcpy(old.name, "by an old name");
	CHECK(ioctl(loop, LOOP_SET_STATUS, &old) == 0 && device_bytes() == FILE_BYTES - 4096);
	CHECK(ioctl(loop, LOOP_GET_STATUS, &old) == 0 && !strcmp(old.name, "by an old name") && old.offset == 4096);
	memset(&info, 0, sizeof(info));
	CHECK(ioctl(loop, LOOP_SET_STATUS64, &info) == 0 && device_bytes() == FILE_BYTES);
}

/* Through the device and through the file, whatever the alignment. */
static void bytes(void)
{
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 13 + i / 256);
	CHECK(pwrite(loop, data, sizeof(data), 65536) == sizeof(data));
	CHECK(pread(file, back, sizeof(back), 65536) == sizeof(back) && !memcmp(data, back, sizeof(data)));
	CHECK(pwrite(loop, "hello", 5, 100001) == 5 && pread(file, back, 5, 100001) == 5 && !memcmp(back, "hello", 5));
	CHECK(pwrite(file, "there", 5, 200003) == 5 && pread(loop, back, 5, 200003) == 5 && !memcmp(back, "there", 5));
	CHECK(fsync(loop) == 0);
	CHECK(lseek(loop, 0, SEEK_END) == FILE_BYTES && read(loop, back, 10) == 0);
	FAILS(pwrite(loop, data, 512, FILE_BYTES), ENOSPC);
}

static void holes(void)
{
	uint64_t range[2] = { 65536, 32768 };

	CHECK(ioctl(loop, BLKDISCARD_, range) == 0);
	CHECK(pread(file, back, 40000, 60000) == 40000 && back[5535] == 0 && back[5536] == 0 && back[38303] == 0);
	CHECK(back[38304] == data[32768] && back[38310] == data[32774]);
	range[0] = 98304;
	range[1] = 4096;
	CHECK(ioctl(loop, BLKZEROOUT_, range) == 0);
	CHECK(pread(loop, back, 8192, 98304) == 8192 && back[0] == 0 && back[4095] == 0 && back[4097] == data[36865]);
}

static void configured(void)
{
	struct loop_config config = { .fd = (uint32_t)file, .block_bytes = 4096 };
	struct loop_info64 info;

	CHECK(ioctl(loop, LOOP_CLR_FD, 0) == 0 && device_bytes() == 0);
	config.info.offset = 65536;
	config.info.size_limit = 100000;
	config.info.flags = LOOP_READ_ONLY;
	strcpy(config.info.file_name, "the file");
	CHECK(ioctl(loop, LOOP_CONFIGURE, &config) == 0);
	CHECK(device_bytes() == 98304);
	CHECK(ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.flags == LOOP_READ_ONLY && info.size_limit == 100000);
	CHECK(!strcmp(info.file_name, "the file"));
	CHECK(pread(loop, back, 100, 40000) == 100 && !memcmp(back, data + 40000, 100));
	CHECK(pwrite(loop, data, 4096, 0) == -1);
	CHECK(ioctl(loop, LOOP_CLR_FD, 0) == 0);
	config.block_bytes = 100;
	FAILS(ioctl(loop, LOOP_CONFIGURE, &config), EINVAL);
}

static void grown(void)
{
	CHECK(ioctl(loop, LOOP_SET_FD, file) == 0);
	CHECK(ftruncate(file, 2 * FILE_BYTES) == 0 && device_bytes() == FILE_BYTES);
	CHECK(ioctl(loop, LOOP_SET_CAPACITY, 0) == 0 && device_bytes() == 2 * FILE_BYTES);
	CHECK(ftruncate(file, FILE_BYTES) == 0); /* behind the device's back */
	CHECK(pread(loop, back, 4096, FILE_BYTES + 4096) == 4096 && back[0] == 0 && back[4095] == 0);
	CHECK(ioctl(loop, LOOP_CLR_FD, 0) == 0);
}

int main(void)
{
	file = open("backing", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(ftruncate(file, FILE_BYTES) == 0);
	open_free();
	binding();
	bytes();
	holes();
	configured();
	grown();
	close(loop);
	close(file);
	unlink("backing");
	return check_end("loopdev");
}
