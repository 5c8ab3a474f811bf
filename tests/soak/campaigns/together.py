# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "two or three services, rs too, killed at the same instant, all but the console's driver"
    script = r"""
services=$(running_but " uart16550 ")
for i in 1 2 3 4; do
	victims=
	for k in 1 2 3; do
		pick $services
		case " $victims " in *" $picked "*) ;; *) victims="$victims $picked" ;; esac
	done
	/bin/svc kill $victims 2>/dev/null && did 1
	usleep 900000
	for v in $victims; do
		until_running $v "kill$victims"
	done
done
"""
