# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "services killed, crashed and made to hang in turn, all but rs and the console's driver"
    script = r"""
services=$(running_but " rs uart16550 ")
for i in 1 2 3 4 5 6; do
	pick $services
	victim=$picked
	draw 8
	case $drawn in
	0) how="inject $victim exception" ;;
	1) how="inject $victim hang" ;;
	*) how="kill $victim" ;;
	esac
	/bin/svc $how 2>/dev/null && did 1
	usleep 700000
	until_running $victim "$how"
done
"""
