/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of exec share.
 *
 *   exec.c         the state machine, from the call to x_proc_exec
 *   exec_args.c    path, argument and environment strings; #! lines
 *   exec_done.c    the new stack, personality and start info; the switch
 *   image.c        mapping a program's segments
 *   pers.c         the personality, mapped in every new address space
 *
 * The file that is being loaded is `image[current]`: 0 the program, 1 the
 * interpreter that its PT_INTERP names. A "#!" script is replaced as image 0
 * by the program in its first line.
 *
 *   WAITING? -> OPEN -> HEADER -> (script: OPEN) -> INTERP_PATH? -> MMAP ->
 *   TAIL* -> (interpreter: OPEN ...) -> CWD? -> done
 */
#ifndef SERVERS_PM_EXEC_H
#define SERVERS_PM_EXEC_H

#include "personality/linux/layout.h"
#include "servers/pm/elf.h"
#include "servers/pm/pm.h"
#include "servers/pm/stack.h"

enum {
	EXECS_MAX = 8,
	PATH_BYTES = 4096,
	STRING_BYTES_MAX = 128 << 10,    /* one string */
	STRINGS_SMALL = 16 << 10,        /* arguments and environment together, ... */
	STRINGS_BIG = 1 << 20,           /* ... or in one of the big buffers */
	BIG_BUFFERS = 2,
	SCRIPT_DEPTH = 4,
	PREFIX_BYTES = PATH_BYTES + SCRIPT_DEPTH * 512,
};

#define EXEC_PATIENCE_NS (120 * NS_PER_SECOND) /* then it fails: -X_ETIMEDOUT */
#define STACK_BYTES      (8ull << 20)          /* how far it may grow */
#define PROGRAM_MAX      (X_PERS_BASE - (64ull << 20)) /* programs lie below */

enum exec_state {
	EXEC_FREE,
	EXEC_OPEN,        /* VFSCTL_EXEC, or FILE_STAT of a file that was given */
	EXEC_HEADER,      /* FILE_READ of the first page */
	EXEC_INTERP_PATH, /* FILE_READ of PT_INTERP's text */
	EXEC_MMAP,        /* FILE_MMAP */
	EXEC_TAIL,        /* FILE_READ of a page that is part file, part zeroes */
	EXEC_CWD,         /* VFSCTL_CWD: to make a relative path absolute */
};

struct exec_image {
	x_handle_t file, memory;
	struct file_attr attr;
	struct elf_image elf;
	uint64_t bias;           /* load address - link address */
	uint32_t tail;           /* segment to look at next for a tail */
};

struct exec {
	uint8_t state;
	uint8_t current;         /* index in image */
	uint8_t depth;           /* scripts so far */
	bool pending;            /* a started call is under way */
	bool failed;             /* it was given up: only waits for the answer */
	bool by_handle;          /* image 0 was given as a handle */
	int error;               /* failed: why */
	struct proc *proc;       /* NULL: it died */
	uint64_t call_id, cookie;
	struct server_timer patience;
	uint64_t ignore, mask;   /* of the new program */
	x_handle_t space;        /* being made */
	struct exec_image image[2];

	/* strings */
	char *strings;           /* small[], or a big buffer */
	int big;                 /* index of it, or -1 */
	uint32_t argc, arg_bytes, envc, env_bytes; /* env follows arg in strings */
	uint32_t arg_skip_bytes, arg_skip;         /* the script's argv[0] is left out */
	uint32_t prefix_count, prefix_bytes;       /* in prefix[], before the arguments */

	char path[PATH_BYTES];   /* as given: AT_EXECFN */
	char file_path[PATH_BYTES]; /* of image 0 (differs for scripts) */
	char interp_path[PATH_BYTES];
	char cwd[PATH_BYTES];
	char prefix[PREFIX_BYTES];
	uint8_t header[X_PAGE_SIZE];
	uint32_t header_bytes;
	uint8_t tail[X_PAGE_SIZE];
	uint32_t tail_bytes;
	char small[STRINGS_SMALL];
};

/* ---- exec_args.c: 0 or an error ---- */
int args_read(struct exec *e, const struct x_in *in);
bool args_need_big(const struct x_in *in);
bool args_big_free(void);
void args_release(struct exec *e);
/* header begins with "#!": replaces file_path and puts arguments in front. */
int script_enter(struct exec *e);
/* Splits the line: interp and (maybe "") its one argument. Pure. */
int script_parse(const char *line, size_t bytes, char *interp, size_t interp_size, char *arg,
		 size_t arg_size);
void exe_path(const struct exec *e, char *out, size_t size); /* absolute path of image 0 */

/* ---- image.c ---- */
int image_place(struct exec *e, struct exec_image *i);  /* choose bias */
int image_map(struct exec *e, struct exec_image *i);    /* all but the tails' contents */
/* The next tail: where in memory, where in the file, how much. False: no more. */
bool image_next_tail(struct exec_image *i, uint64_t *addr, uint64_t *offset, uint32_t *bytes);
int image_tail_done(const struct exec *e, const struct exec_image *i); /* its contents are in place */

/* ---- exec_done.c ---- */
/* Everything is mapped: stack, start info, and the point of no return. */
int exec_switch(struct exec *e);

/* ---- pers.c ---- */
void pers_init(x_handle_t blob);
int pers_map(x_handle_t space);   /* image, first stack */
const struct x_personality *pers_entry(void);
uint64_t pers_vdso(void);                    /* address of the vDSO in every process */

#endif
