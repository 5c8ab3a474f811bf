# SPDX-License-Identifier: BSD-2-Clause
"""A service has what its manifest names, and no more (tests/native/greedy says what it has, and tries the rest)."""
import re
import subprocess

import pytest

from conftest import PATIENCE

HANDLE = re.compile(r"\] (\w+) +has ([\w.]+): (\w+), rights (0x[0-9a-f]+)")
EVERYBODY = {("control", "event", "0x90"), ("port", "port", "0xf"), ("rs_event", "event", "0x20")}
GIVEN = {"ioports": [("ioports", "ioports", "0x3c")], "irq": [("irq", "irq", "0x2c"), ("irq_event", "event", "0x90")],
         "resource all": [("resource", "resource", "0x144")], "resource processes": [("resource", "resource", "0x44")],
         "keep": [("keep", "memory", "0x30")], "match": [("device", "device", "0xfc")],
         "gives personality": [("personality", "memory", "0x5c")]}


@pytest.fixture
def greedy_archive(root, archive):
    subprocess.run(["make", "-s", "build/bin/greedy"], cwd=root, check=True)
    return lambda changes: archive({name: "build/bin/greedy" for name in changes} |
                                   {"manifest/greedy": "tests/native/greedy/manifest"})


@pytest.mark.parametrize("greedy, end", [("", None), ("port", "vector 13"), ("kernel", "vector 14"), ("msr", "vector 13")])
def test_nothing_but_what_the_manifest_names(guest, greedy_archive, greedy, end):
    """Every system call that could give it more, with every handle that it has; and what takes no call."""
    text = guest(f"n=0; until {{ /bin/svc log; /bin/svc log -k; }} | grep -q '{end or 'tried: '}'; do sleep 0.2; n=$((n + 1)); "
                 "[ $n -lt 200 ] || break; done; /bin/svc log -k; /bin/svc log; /bin/svc list",
                 append=f"greedy={greedy}" if greedy else "", archive=greedy_archive(["bin/greedy"])).text
    assert {has[1:] for has in HANDLE.findall(text)} == EVERYBODY | {("tty", "port", "0x5")}, text
    assert re.search(r"tried: 1\d\d refused, 0 not", text) and "GOT" not in text, text
    if end:
        assert re.search(rf"greedy.*{end}", text), text
    for name in ("vfs", "pm", "tty", "devmgr", "minix"):
        assert re.search(rf"^{name} +running +\S+ s +0 ", text, re.M), text


def named(root, manifests):
    """service -> what its manifest names, by the table of docs/manifest.md; peers without the number of their instance."""
    services = {path.parent.name: [line.split("#")[0].split() for line in path.read_text(encoding="ascii").splitlines()]
                for path in manifests}
    nodes = {f"node.{name}" for name, lines in services.items() if ["node"] in lines}
    result = {}
    for name, lines in services.items():
        handles = set(EVERYBODY)
        for words in filter(None, lines):
            handles.update(GIVEN.get(words[0], []), GIVEN.get(" ".join(words[:2]), []))
            if words[0] in ("uses", "nodes"):
                peers = words[1:] if words[0] == "uses" else nodes
                handles.update((peer, "port", "0x5") for peer in peers if peer in services or peer in nodes)
        result[name] = handles
    return result


@pytest.mark.parametrize("spared", [{"rs"}, {"rs", "devmgr"}])
def test_what_each_service_is_given(root, greedy_archive, spared):
    """All services but the spared ones are `greedy`: with devmgr among them no driver finds a device, without it all do."""
    manifests = [path for top in ("servers", "fs", "drivers") for path in (root / top).glob("**/manifest")]
    expected = named(root, manifests)
    result = subprocess.run([root / "xinim", "exec", "--archive", greedy_archive(f"bin/{name}" for name in set(expected) - spared),
                             "--log", "--timeout", str(PATIENCE), "--append", "greedy=look", "--nic", "virtio", "--qemu",
                             "-nic none -device e1000,romfile=", "--", "true"], cwd=root, capture_output=True, text=True, check=False)
    text, had = result.stdout + result.stderr, {}
    for service, handle, kind, rights in HANDLE.findall(text):
        had.setdefault(service, set()).add((re.sub(r"\.\d+$", "", handle), kind, rights))
    drivers = {path.parent.name for path in manifests if "match " in path.read_text(encoding="ascii")}
    assert set(had) >= set(expected) - spared - (drivers if "devmgr" not in spared else set()), text
    for service, handles in had.items():
        assert handles == expected[service], (service, text)
