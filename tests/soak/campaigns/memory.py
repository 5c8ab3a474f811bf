# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "all memory taken and held for a second, then given back"
    programs = ("hungry",)
    script = r"""
/root/soak-hungry 1 >/dev/null 2>&1 && did 1 || wrong "hungry: $?"
sleep 4
"""
