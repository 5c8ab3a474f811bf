# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "short-lived processes, pipes and signals"
    script = r"""
for i in 1 2 3 4 5; do
	[ "$(seq 1 2000 | grep -c 7 | cat)" = 542 ] && did 3 || wrong "a pipeline lost something"
	sleep 60 & kill -9 $!; wait $! 2>/dev/null
	[ $? = 137 ] && did 1 || wrong "kill: wrong status"
done
"""
