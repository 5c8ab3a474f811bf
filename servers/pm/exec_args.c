/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The strings of an exec: path, arguments, environment, and the first line of
 * a script. They are copied out of the caller's windows once, checked here.
 */
#include "servers/pm/exec.h"

static char *big_buffer[BIG_BUFFERS]; /* got when first needed, then kept */
static bool big_used[BIG_BUFFERS];
static uint64_t big_released[BIG_BUFFERS]; /* epoch */

static uint32_t window_bytes(const struct x_in *in, unsigned window)
{
	return window < in->win_count ? in->win[window].len : 0;
}

static uint64_t total_bytes(const struct x_in *in)
{
	return (uint64_t)window_bytes(in, 1) + window_bytes(in, 2);
}

bool args_need_big(const struct x_in *in)
{
	return total_bytes(in) > STRINGS_SMALL;
}

bool args_big_free(void)
{
	for (int i = 0; i < BIG_BUFFERS; i++)
		if (!big_used[i])
			return true;
	return false;
}

static void take_buffer(struct exec *e, const struct x_in *in)
{
	e->strings = e->small;
	e->big = -1;
	if (!args_need_big(in))
		return;
	for (int i = 0; i < BIG_BUFFERS && e->big < 0; i++) {
		if (big_used[i])
			continue;
		if (!big_buffer[i])
			big_buffer[i] = server_memory(STRINGS_BIG);
		big_used[i] = true;
		e->strings = big_buffer[i];
		e->big = i;
	}
}

void args_release(struct exec *e)
{
	if (e->big >= 0) {
		big_used[e->big] = false;
		big_released[e->big] = server_epoch();
	}
	e->big = -1;
}

/* Exactly `count` strings, the last one ended, none too long. */
static int check_block(const char *text, uint32_t bytes, uint64_t count)
{
	uint64_t found = 0;

	for (uint32_t at = 0; at < bytes; found++) {
		size_t length = strnlen(text + at, bytes - at);

		if (length == bytes - at)
			return -X_EINVAL;
		if (length >= STRING_BYTES_MAX)
			return -X_E2BIG;
		at += (uint32_t)length + 1;
	}
	return found == count ? 0 : -X_EINVAL;
}

static int read_block(const struct exec *e, const struct x_in *in, unsigned window, char *dst, uint64_t count)
{
	uint32_t bytes = window_bytes(in, window);
	bool unused = e->big >= 0 && big_released[e->big] != server_epoch();
	int64_t n = !bytes ? 0 : unused ? window_read_payload(in->id, window, 0, dst, bytes)
			       : window_read(in->id, window, 0, dst, bytes);

	if (n < 0 || n != bytes)
		return n < 0 && n != -X_ENOENT ? (int)n : -X_EFAULT;
	return check_block(dst, bytes, count);
}

static int read_path(struct exec *e, const struct x_in *in)
{
	uint32_t bytes = window_bytes(in, 0);
	int64_t n;

	if (bytes == 0) {
		e->path[0] = '\0';
		return e->by_handle ? 0 : -X_ENOENT;
	}
	n = window_string(in->id, 0, bytes, e->path, sizeof(e->path));
	if (n == 0 && !e->by_handle)
		return -X_ENOENT;
	return n < 0 ? (int)n : 0;
}

int args_read(struct exec *e, const struct x_in *in)
{
	uint64_t argc = in->msg.a[0], envc = in->msg.a[1];
	int err = read_path(e, in);

	if (err)
		return err;
	memcpy(e->file_path, e->path, sizeof(e->path));
	if (argc > STRINGS_BIG || envc > STRINGS_BIG ||
	    total_bytes(in) + 8 * (argc + envc) > STRINGS_BIG)
		return -X_E2BIG;
	take_buffer(e, in);
	e->argc = (uint32_t)argc;
	e->envc = (uint32_t)envc;
	e->arg_bytes = window_bytes(in, 1);
	e->env_bytes = window_bytes(in, 2);
	err = read_block(e, in, 1, e->strings, argc);
	if (!err)
		err = read_block(e, in, 2, e->strings + e->arg_bytes, envc);
	if (!err && argc == 0) { /* as Linux: a program always has a name */
		e->prefix_count = 1;
		e->prefix_bytes = 1;
		e->prefix[0] = '\0';
	}
	return err;
}

/* ---- scripts ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t word_length(const char *text, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && !is_blank(text[n]) && text[n] != '\0')
		n++;
	return n;
}

int script_parse(const char *line, size_t bytes, char *interp, size_t interp_size, char *arg,
		 size_t arg_size)
{
	const char *end = memchr(line, '\n', bytes);
	size_t length, word;

	if (!end) /* perhaps cut: then its last word is not known to be whole */
		return -X_ENOEXEC;
	if (bytes < 2 || line[0] != '#' || line[1] != '!')
		return -X_ENOEXEC;
	for (line += 2; line < end && is_blank(*line); line++)
		;
	for (length = (size_t)(end - line); length && (is_blank(line[length - 1]) || line[length - 1] == '\r'); )
		length--;
	word = word_length(line, length);
	if (word == 0 || word >= interp_size)
		return -X_ENOEXEC;
	memcpy(interp, line, word);
	interp[word] = '\0';
	for (; word < length && is_blank(line[word]); word++)
		;
	length = strnlen(line + word, length - word);
	if (length >= arg_size)
		return -X_ENOEXEC;
	memcpy(arg, line + word, length);
	arg[length] = '\0';
	return 0;
}

static int prefix_add(struct exec *e, const char *text)
{
	uint32_t bytes = (uint32_t)strlen(text) + 1;

	if (bytes > PREFIX_BYTES - e->prefix_bytes)
		return -X_E2BIG;
	memmove(e->prefix + bytes, e->prefix, e->prefix_bytes);
	memcpy(e->prefix, text, bytes);
	e->prefix_bytes += bytes;
	e->prefix_count++;
	return 0;
}

/* Its argv[0] gives way to the script's path. */
static void drop_first_argument(struct exec *e)
{
	uint32_t bytes;

	if (e->prefix_count) {
		bytes = (uint32_t)strlen(e->prefix) + 1;
		memmove(e->prefix, e->prefix + bytes, e->prefix_bytes - bytes);
		e->prefix_bytes -= bytes;
		e->prefix_count--;
	} else if (e->argc) {
		e->arg_skip_bytes = (uint32_t)strlen(e->strings) + 1;
		e->arg_skip = 1;
	}
}

int script_enter(struct exec *e)
{
	char interp[512], arg[512];
	size_t bytes = e->header_bytes < 512 ? e->header_bytes : 512;
	int err;

	if (e->depth == SCRIPT_DEPTH)
		return -X_ELOOP;
	if (bytes == e->header_bytes && bytes < sizeof(e->header) && !memchr(e->header, '\n', bytes))
		e->header[bytes++] = '\n'; /* a file of one line without its end */
	err = script_parse((const char *)e->header, bytes, interp, sizeof(interp), arg, sizeof(arg));
	if (err)
		return err;
	e->depth++;
	drop_first_argument(e);
	err = prefix_add(e, e->file_path);
	if (!err && arg[0])
		err = prefix_add(e, arg);
	if (!err)
		err = prefix_add(e, interp);
	strlcpy(e->file_path, interp, sizeof(e->file_path));
	return err;
}

/* ---- the path as others should see it ---- */

void exe_path(const struct exec *e, char *out, size_t size)
{
	const char *path = e->file_path;

	if (e->proc && e->proc->exe[0] && strcmp(path, "/proc/self/exe") == 0)
		path = e->proc->exe;
	if (path[0] == '/' || e->cwd[0] == '\0') {
		strlcpy(out, path, size);
		return;
	}
	while (path[0] == '.' && path[1] == '/')
		for (path += 2; *path == '/'; path++)
			;
	snprintf(out, size, "%s%s%s", e->cwd, e->cwd[1] ? "/" : "", path);
}
