# SPDX-License-Identifier: BSD-2-Clause
"""What a campaign of `make soak` is (README.md: how to write one)."""
import contextlib


class Campaign:
    """One kind of load or trouble. Subclasses are named Campaign, one to a file in campaigns/."""

    about = ""        # one line, for `--list`
    programs = ()     # guest programs it needs: names in tests/guest, in the guest /root/soak-NAME
    network = False   # needs a network device and QEMU's user network (the host is 10.0.2.2)
    script = ""       # for the guest's sh, see README.md; it should end within ~10 s
    optional = False  # only with --with NAME

    def __init__(self, name):
        self.name = name

    def options(self, random):
        """More options for `./xinim exec` in this round, e.g. ["--no-iommu"]; random: seeded for the round."""
        del random
        return []

    @contextlib.contextmanager
    def host(self, root, random):
        """Around a round: yields {shell variable: value} for the script. Clean up afterwards."""
        del root, random
        yield {}

    def check(self, image):
        """After a round: complaints, as a list of texts, about what is left on the disk image."""
        del image
        return []
