/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a service was started with: handles by name, arguments, options.
 */
#include "lib/c/string.h"
#include "lib/ipc/internal.h"

const struct x_boot_page *boot;
x_handle_t server_port = X_NO_HANDLE;
REGION_SCRATCH uint64_t server_now_ns;

void boot_init(const struct x_boot_page *page)
{
	if (page->magic != X_BOOT_MAGIC)
		x_proc_exit(1);
	boot = page;
	server_port = boot_handle("port");
	server_now_ns = x_clock(X_CLOCK_MONOTONIC);
}

x_handle_t boot_handle(const char *name)
{
	uint32_t max = sizeof(boot->handles) / sizeof(boot->handles[0]);

	for (uint32_t i = 0; i < boot->handle_count && i < max; i++)
		if (!strncmp(boot->handles[i].name, name, sizeof(boot->handles[i].name)))
			return boot->handles[i].handle;
	return X_NO_HANDLE;
}

/* Texts in `args` are NUL-separated; the page's writer ended the last one. */
const char *boot_arg(unsigned index)
{
	const char *arg = boot->args, *end = boot->args + boot->arg_bytes;

	if (boot->arg_bytes > sizeof(boot->args))
		return NULL;
	for (; arg < end; arg += strnlen(arg, end - arg) + 1)
		if (index-- == 0)
			return arg;
	return NULL;
}

/* Value if text is "key=value", of value_length characters. */
static const char *value_of(const char *text, size_t length, const char *key, size_t *value_length)
{
	size_t key_length = strlen(key);

	if (length <= key_length || text[key_length] != '=' || strncmp(text, key, key_length))
		return NULL;
	*value_length = length - key_length - 1;
	return text + key_length + 1;
}

static const char *cmdline_value(const char *key, size_t *value_length)
{
	const char *p = boot->cmdline, *end = p + strnlen(p, sizeof(boot->cmdline));

	while (p < end) {
		const char *word = p, *value;

		while (p < end && *p != ' ')
			p++;
		value = value_of(word, p - word, key, value_length);
		if (value)
			return value;
		p++;
	}
	return NULL;
}

const char *boot_option(const char *key)
{
	static char buffer[256];
	const char *arg, *value = NULL;
	size_t length = 0;

	for (unsigned i = 0; !value && (arg = boot_arg(i)); i++)
		value = value_of(arg, strlen(arg), key, &length);
	if (!value)
		value = cmdline_value(key, &length);
	if (!value)
		return NULL;
	if (length >= sizeof(buffer))
		length = sizeof(buffer) - 1;
	memcpy(buffer, value, length);
	buffer[length] = '\0';
	return buffer;
}
