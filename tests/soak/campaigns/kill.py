# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "services killed, crashed and made to hang in turn, all but rs and the console's driver"
    script = r"""
set -- $(/bin/svc list | awk '$2 == "running" && $1 != "rs" && $1 != "uart16550" { print $1 }')
r=$SEED
for i in 1 2 3 4 5 6; do
	r=$(( (r * 1103515245 + 12345) & 0x7fffffff ))
	eval "victim=\${$(( r / 8 % $# + 1 ))}"
	case $(( r / 4096 % 8 )) in
	0) how="inject $victim exception" ;;
	1) how="inject $victim hang" ;;
	*) how="kill $victim" ;;
	esac
	/bin/svc $how 2>/dev/null && did 1
	usleep 700000
	n=0
	until /bin/svc status $victim | grep -q '^state *running'; do
		n=$((n + 1))
		[ $n -lt 100 ] || { wrong "$how: not running after 20 s: $(/bin/svc status $victim | head -9)"; break; }
		usleep 200000
	done
done
"""
