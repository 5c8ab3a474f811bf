/* SPDX-License-Identifier: BSD-2-Clause */
/* Pseudo-terminals: line discipline, raw modes, job control, hanging up. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

static int master, slave;
static char name[64];

/* What comes out of fd within a moment, made readable. */
static void show(const char *what, int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char buffer[256];
	int n = 0;

	printf("%s:", what);
	while (poll(&p, 1, 100) > 0 && p.revents & POLLIN && (n = (int)read(fd, buffer, sizeof(buffer))) > 0)
		for (int i = 0; i < n; i++)
			if (buffer[i] > 0x20 && buffer[i] < 0x7f)
				printf("%c", buffer[i]);
			else
				printf("<%02x>", (unsigned char)buffer[i]);
	printf("%s\n", n < 0 ? " error" : "");
}

static void type(const char *text)
{
	CHECK(write(master, text, strlen(text)) == (ssize_t)strlen(text));
}

static void change(tcflag_t clear_l, tcflag_t set_l, tcflag_t clear_i, tcflag_t set_i)
{
	struct termios t;

	CHECK(tcgetattr(slave, &t) == 0);
	t.c_lflag = (t.c_lflag & ~clear_l) | set_l;
	t.c_iflag = (t.c_iflag & ~clear_i) | set_i;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
}

static void open_both(void)
{
	master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && ptsname_r(master, name, sizeof(name)) == 0);
	FAILS(open(name, O_RDWR | O_NOCTTY), EIO); /* locked */
	CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
}

static void opening(void)
{
	struct termios t;
	struct winsize w = { 33, 99, 0, 0 }, got;
	struct stat st;
	char other[64];

	open_both();
	CHECK(isatty(slave) && isatty(master));
	CHECK(stat(name, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 136);
	CHECK(ttyname_r(slave, other, sizeof(other)) == 0 && !strcmp(name, other));
	CHECK(tcgetattr(slave, &t) == 0);
	printf("settings: %o %o %o %o\n", t.c_iflag, t.c_oflag, t.c_cflag & ~(HUPCL | CLOCAL), t.c_lflag);
	CHECK(t.c_cc[VINTR] == 3 && t.c_cc[VEOF] == 4 && t.c_cc[VMIN] == 1 && t.c_cc[VTIME] == 0);
	CHECK(ioctl(slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 0);
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0 && ioctl(slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 33 && got.ws_col == 99);
	FAILS(ioctl(slave, TIOCGPTN, &w), ENOTTY);
	FAILS(lseek(slave, 0, SEEK_SET), ESPIPE);
	close(slave);
	show("after the slave's close", master);
	FAILS(read(master, other, 1), EIO);
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
	fcntl(master, F_SETFL, O_NONBLOCK);
	FAILS(read(master, other, 1), EAGAIN);
	fcntl(master, F_SETFL, 0);
}

static void canonical(void)
{
	type("hello\r");
	show("echo", master);
	show("line", slave);
	type("abc\x7fz\tq\x7f\x7f!\n");
	show("erased", master);
	show("line", slave);
	type("one two\x17three\n");
	show("word", master);
	show("line", slave);
	type("all of this\x15gone\n");
	show("kill", master);
	show("line", slave);
	type("ab\x12" "c\n");
	show("reprint", master);
	show("line", slave);
	type("lit\x16\x03\n");
	show("literal", master);
	show("line", slave);
	type("part\x04");
	show("eof in a line", slave);
	type("x\ny\n\x04");
	show("lines", slave); /* ends with an end of file: read gives 0 */
	CHECK(write(slave, "out\tput\n", 8) == 8);
	show("output", master);
	change(ECHO, ECHONL, 0, 0);
	type("quiet\n");
	show("no echo", master);
	show("line", slave);
	change(ECHONL, ECHO, 0, 0);
	change(0, 0, ICRNL, IGNCR);
	type("a\rb\n");
	show("igncr", slave);
	change(0, 0, IGNCR, ICRNL);
	show("left", master);
}

static void expand_tabs(void)
{
	struct termios t;

	tcgetattr(slave, &t);
	t.c_oflag |= TAB3;
	tcsetattr(slave, TCSANOW, &t);
	CHECK(write(slave, "a\tb\n", 4) == 4);
	show("tab", master);
	t.c_oflag &= ~(unsigned)(TAB3 | OPOST);
	tcsetattr(slave, TCSANOW, &t);
	CHECK(write(slave, "raw\n", 4) == 4);
	show("raw", master);
	t.c_oflag |= OPOST;
	tcsetattr(slave, TCSANOW, &t);
}

/* How long it took, from `a` or from now: ms. */
static long read_since(struct timeval a, int min, int time, int want, long *ms)
{
	struct termios t, old;
	struct timeval b;
	char buffer[64];
	long n;

	tcgetattr(slave, &old);
	t = old;
	t.c_lflag &= ~(unsigned)(ICANON | ECHO);
	t.c_cc[VMIN] = (cc_t)min;
	t.c_cc[VTIME] = (cc_t)time;
	tcsetattr(slave, TCSANOW, &t);
	n = read(slave, buffer, (size_t)want);
	gettimeofday(&b, NULL);
	*ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_usec - a.tv_usec) / 1000;
	tcsetattr(slave, TCSANOW, &old);
	return n;
}

static struct timeval now(void)
{
	struct timeval t;

	gettimeofday(&t, NULL);
	return t;
}

static long read_in(int min, int time, int want, long *ms) { return read_since(now(), min, time, want, ms); }

static void raw(void)
{
	struct pollfd p = { slave, POLLIN, 0 };
	struct timeval start;
	long ms;

	CHECK(read_in(0, 0, 10, &ms) == 0);
	CHECK(read_in(0, 2, 10, &ms) == 0 && ms >= 190);
	change(ICANON | ECHO, 0, 0, 0);
	type("abcde");
	CHECK(poll(&p, 1, 1000) == 1);
	CHECK(read_in(1, 0, 3, &ms) == 3);
	CHECK(read_in(0, 0, 10, &ms) == 2);
	start = now();
	if (fork() == 0) {
		usleep(50000);
		type("x");
		usleep(50000);
		type("y");
		_exit(0);
	}
	CHECK(read_since(start, 2, 0, 10, &ms) == 2 && ms >= 90);
	wait(NULL);
	start = now();
	if (fork() == 0) {
		usleep(50000);
		type("z");
		_exit(0);
	}
	CHECK(read_since(start, 5, 2, 10, &ms) == 1 && ms >= 240); /* the pause after it */
	wait(NULL);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	FAILS(read(slave, name + 50, 1), EAGAIN);
	fcntl(slave, F_SETFL, 0);
	change(0, ICANON | ECHO, 0, 0);
}

/* The host's Linux does what is typed when it comes to it. */
static void until_writable(bool wanted)
{
	struct pollfd p = { slave, POLLOUT, 0 };

	for (int i = 0; i < 500 && (poll(&p, 1, 0) == 1) != wanted; i++)
		usleep(10000);
}

static void flow(void)
{
	int n;

	type("\x13");
	until_writable(false);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	FAILS(write(slave, "stopped", 7), EAGAIN);
	type("\x11");
	until_writable(true);
	CHECK(write(slave, "going\n", 6) == 6);
	fcntl(slave, F_SETFL, 0);
	show("flow", master);
	CHECK(tcflow(slave, TCOOFF) == 0 && tcflow(slave, TCOON) == 0);
	FAILS(tcflow(slave, 9), EINVAL);
	type("typed\n");
	show("echo", master);
	CHECK(ioctl(slave, FIONREAD, &n) == 0 && n == 6);
	CHECK(tcflush(slave, TCIFLUSH) == 0 && ioctl(slave, FIONREAD, &n) == 0 && n == 0);
	FAILS(tcflush(slave, 9), EINVAL);
	CHECK(tcdrain(slave) == 0 && tcsendbreak(slave, 0) == 0);
}

static volatile sig_atomic_t signals[32];
static void handler(int sig) { signals[sig]++; }

static void wait_for(int sig)
{
	for (int i = 0; i < 200 && !signals[sig]; i++)
		usleep(10000);
}

/* In a session of its own, with the slave as its terminal. */
static int in_session(void)
{
	struct winsize w = { 10, 20, 0, 0 };
	struct sigaction sa = { .sa_handler = handler };
	int tty, status;
	pid_t pid;

	setsid();
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	close(slave);
	slave = open(name, O_RDWR); /* takes it */
	tty = open("/dev/tty", O_RDWR);
	CHECK(tty >= 0 && tcgetpgrp(tty) == getpid() && tcgetsid(slave) == getpid());
	CHECK(tcgetpgrp(master) == getpid());
	CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sigaction(SIGWINCH, &sa, NULL);
	type("\x03");
	wait_for(SIGINT);
	show("interrupt", master); /* before a further signal, which may drop what was not read */
	type("\x1c");
	wait_for(SIGQUIT);
	ioctl(master, TIOCSWINSZ, &w);
	wait_for(SIGWINCH);
	CHECK(signals[SIGINT] == 1 && signals[SIGQUIT] == 1 && signals[SIGWINCH] == 1);
	show("signals", master);
	FAILS(tcsetpgrp(slave, 99999), ESRCH);
	FAILS(tcsetpgrp(slave, -5), EINVAL);
	pid = fork(); /* a job in the background */
	if (pid == 0) {
		char byte;

		setpgid(0, 0);
		_exit(read(slave, &byte, 1) != 1 || byte != 'j');
	}
	setpgid(pid, pid);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
	CHECK(tcsetpgrp(slave, pid) == 0 && kill(pid, SIGCONT) == 0);
	type("j\n");
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	signal(SIGTTOU, SIG_IGN);
	CHECK(tcsetpgrp(slave, getpid()) == 0); /* from the background, ignoring it */
	signal(SIGTTOU, SIG_DFL);
	pid = fork();
	if (pid == 0) {
		char byte;

		setpgid(0, 0);
		signal(SIGTTIN, SIG_IGN);
		FAILS(read(slave, &byte, 1), EIO);
		CHECK(write(slave, "background\n", 11) == 11);
		_exit(failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	show("from the background", master);
	change(0, TOSTOP, 0, 0);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		_exit(write(slave, "no", 2) != 2);
	}
	setpgid(pid, pid);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	sigaction(SIGHUP, &sa, NULL);
	close(master); /* hangs up */
	wait_for(SIGHUP);
	CHECK(signals[SIGHUP] == 1);
	CHECK(read(slave, name, 1) == 0);
	FAILS(write(slave, "x", 1), EIO);
	FAILS(tcgetpgrp(slave), EIO);
	return failures != 0;
}

static void sessions(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(in_session());
	close(master);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(read(slave, name + 50, 1) == 0);
	close(slave);
}

/* When the leader ends the terminal is nobody's; the master sees the end when
 * the last who has the slave closed it. */
static void leader_ends(void)
{
	char buffer[16];
	int status;
	pid_t pid;

	open_both();
	pid = fork();
	if (pid == 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		if (write(slave, "bye", 3) != 3)
			_exit(1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(read(master, buffer, 16) == 3);
	fcntl(master, F_SETFL, O_NONBLOCK);
	FAILS(read(master, buffer, 16), EAGAIN);
	CHECK(write(slave, "x", 1) == 1);
	close(slave);
	CHECK(read(master, buffer, 16) == 1);
	FAILS(read(master, buffer, 16), EIO);
	close(master);
}

static void packets(void)
{
	char buffer[16];
	int on = 1;

	open_both();
	CHECK(ioctl(master, TIOCPKT, &on) == 0);
	CHECK(write(slave, "data", 4) == 4);
	CHECK(read(master, buffer, 16) == 5 && buffer[0] == 0 && !memcmp(buffer + 1, "data", 4));
	CHECK(tcflush(slave, TCIFLUSH) == 0);
	CHECK(read(master, buffer, 16) == 1 && buffer[0] == TIOCPKT_FLUSHREAD);
	close(slave);
	close(master);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	opening();
	canonical();
	expand_tabs();
	raw();
	flow();
	fflush(stdout);
	sessions();
	leader_ends();
	packets();
	FAILS(open(name, O_RDWR), ENOENT);
	return check_end("pty");
}
