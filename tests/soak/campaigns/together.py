# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "two or three services, rs too, killed at the same instant, all but the console's driver"
    script = r"""
set -- $(/bin/svc list | awk '$2 == "running" && $1 != "uart16550" { print $1 }')
r=$SEED
draw() {
	r=$(( (r * 1103515245 + 12345) & 0x7fffffff ))
	eval "drawn=\${$(( r / 8 % $# + 1 ))}"
}
for i in 1 2 3 4; do
	victims=
	for k in 1 2 3; do
		draw "$@"
		case " $victims " in *" $drawn "*) ;; *) victims="$victims $drawn" ;; esac
	done
	/bin/svc kill $victims 2>/dev/null && did 1
	usleep 900000
	for v in $victims; do
		n=0
		until /bin/svc status $v | grep -q '^state *running'; do
			n=$((n + 1))
			[ $n -lt 100 ] || { wrong "kill$victims: $v is not running after 20 s: $(/bin/svc status $v | head -9)"; break; }
			usleep 200000
		done
	done
done
"""
