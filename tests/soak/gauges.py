# SPDX-License-Identifier: BSD-2-Clause
"""What must be flat from the first phase of a round to its last, and how flat.

The guest prints /proc/xinim/kernel and `svc stats --json` between phases, when
all campaigns rest and what was theirs is deleted. Growth up to the allowance
is caches that had not been full; in short rounds it says little, in long ones a
leak passes any allowance.
"""
import json

KERNEL = {"free_kib": 6144, "processes": 1, "threads": 1, "ports": 2, "objects": 16, "events": 8,
          "memories": 24, "spaces": 1, "waitsets": 0}
SERVICE = {"handles": 24, "mapped_kib": 2048}


def parse(text):
    """{gauge: number} of what the guest printed: /proc/xinim/kernel, a line `JSON`, `svc stats --json`."""
    kernel, _, stats = text.partition("JSON\n")
    gauges = {}
    for line in kernel.split("\n"):
        name, _, value = line.strip().partition(" ")
        if name in KERNEL:
            gauges[name] = int(value)
    for service in json.loads(stats)["services"]:
        for name in SERVICE:
            gauges[f"{service['name']}.{name}"] = int(service[name])
    return gauges


def growth(first, last):
    """{gauge: how much more is held in `last`} for all gauges that both have."""
    return {name: (first[name] - last[name] if name == "free_kib" else last[name] - first[name])
            for name in first if name in last}


def complaints(first, last):
    texts = []
    for name, more in growth(first, last).items():
        allowed = SERVICE[name.rpartition(".")[2]] if "." in name else KERNEL[name]
        if more > allowed:
            texts.append(f"{name}: {first[name]} after the first phase, {last[name]} at the end (allowed: {allowed} more)")
    return texts
