# SPDX-License-Identifier: BSD-2-Clause
import contextlib
import socket
import subprocess
import threading

from campaign import Campaign as Base

MIB = 8


class Endless(threading.Thread):
    """The host's end of streams: `bulk take` or `bulk give`, one after the other."""

    def __init__(self, program, how):
        super().__init__(daemon=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.command = [str(program), how, "127.0.0.1", str(self.port), str(MIB)]
        self.process, self.ended = None, False

    def run(self):
        while not self.ended:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
            said = self.process.communicate()[0].splitlines()[-1:]
            if self.process.returncode > 0:
                print(f"the host's end, {self.command[1]}: {' '.join(said)}", flush=True)

    def stop(self):
        self.ended = True
        if self.process:
            self.process.kill()
        self.join(timeout=5)


class Campaign(Base):
    about = f"TCP streams of {MIB} MiB to and from the host, every byte compared by its receiver"
    programs = ("bulk",)
    network = True
    script = rf"""
for how in send:$TAKE receive:$GIVE; do
	n=0
	until said=$(/root/soak-bulk ${{how%:*}} 10.0.2.2 ${{how#*:}} {MIB} 2>&1); do
		case $said in *onnect*) ;; *) wrong "${{how%:*}}: $said"; break ;; esac
		n=$((n + 1))
		[ $n -lt 40 ] || {{ wrong "${{how%:*}}: $said"; break; }}
		usleep 250000
	done
	case $said in *bytes*) did {MIB} ;; esac
done
"""

    @contextlib.contextmanager
    def host(self, root, random):
        ends = {"TAKE": Endless(root / "build/guest/bulk", "take"), "GIVE": Endless(root / "build/guest/bulk", "give")}
        for end in ends.values():
            end.start()
        try:
            yield {name: end.port for name, end in ends.items()}
        finally:
            for end in ends.values():
                end.stop()
