# SPDX-License-Identifier: BSD-2-Clause
"""Mock services that fail in each way at each point of their lives under each policy: what becomes of them, what
rs writes down, and what their clients see."""
import re
import subprocess

import pytest

from conftest import EXACT, STEADY, outages, soon

FAULTS = ["exit", "exception", "hang", "loop", "kill"] # at once ...
CREEPING = ["leak", "burn", "garbage", "slow"]          # ... and by and by: against budgets, and by wrong answers
POINTS = ["start", "idle", "call", "recovery", "stop"]
BUDGETS = {"leak": "memory 2", "burn": "cpu 20 2", "slow": "answers 400"}
MANIFEST = """kind server
heartbeat 100 {deadline}
restart {restart}
args fault={fault} at={at}
{more}
"""


@pytest.fixture
def chaos(guest, root, archive, tmp_path):
    """Boots with services {name: (restart, fault, point, more lines)} and their clients; returns what the script says."""
    def run(services, script, clients=True, deadline=100, **options):
        subprocess.run(["make", "-s", "build/bin/chaos", "build/bin/chaoscli"], cwd=root, check=True)
        files = {}
        for name, (restart, fault, at, more) in services.items():
            path = tmp_path / f"manifest.{name}"
            path.write_text(MANIFEST.format(restart=restart, fault=fault, at=at, more=more, deadline=deadline), encoding="ascii")
            files |= {f"bin/{name}": "build/bin/chaos", f"manifest/{name}": path}
        names = sorted(services)
        for i in range(0, len(names) if clients else 0, 16):
            path = tmp_path / f"manifest.cli{i}"
            path.write_text(f"kind server\nuses {' '.join(names[i:i + 16])}\nheartbeat off\n", encoding="ascii")
            files |= {f"bin/cli{i}": "build/bin/chaoscli", f"manifest/cli{i}": path}
        return guest(script, archive=archive(files), **options).text
    return run


FAILED_RECOVERY = {"recovering -> crashed", "recovering -> recovering", "recovering -> failed"}


def seen(text, name):
    """The states, figures and events of one service, and what its client saw of it."""
    status = re.search(rf"^name +{name}\r?\nstate +(\w+)(?:.*\n)*?restarts +(\d+)(.*)", text, re.M)
    assert status, text
    causes = {k: int(v) for k, v in re.findall(r"([A-Za-z][A-Za-z -]*?) (\d+)", status[3])}
    changes = list(dict.fromkeys(re.findall(rf"^(\[ *[\d.]+\]) {name} +(\w+ -> \w+)", text, re.M))) # from several looks at the log
    changes = [change for _, change in changes]
    failed = re.search(r"^failed ones +(\d+)", status[0] + text[status.end():].partition("\nname ")[0], re.M)
    assert int(failed[1] if failed else 0) == sum(change in FAILED_RECOVERY for change in changes), text
    client = [line for line in re.findall(rf"cli\d+ +{name}: (.*)", text) if not line.startswith("waited")]
    return status[1], int(status[2]), causes, client, changes


def settle(count, seconds=3):
    return f"""sleep {seconds}
i=0; while /bin/svc list | grep -Eq "^c_.* (starting|recovering|crashed)" && [ $i -lt {count} ]; do usleep 300000; i=$((i + 1)); done
sleep 1
"""


# The log is too short for all that happens.
TABLE = """
/bin/svc log; {stop}; /bin/svc log
{settle}
for s in {names}; do /bin/svc status $s; done
/bin/svc log
/bin/svc log -k | grep cli
"""

CAUSE = {"exit": "exit", "exception": "exception", "hang": "hang", "loop": "hang", "kill": "killed", "leak": "memory",
         "burn": "CPU time", "garbage": "garbage", "slow": "hang"}


def expected(policy, fault, point):
    """State, restarts, causes and changes of state."""
    hangs, warm = fault in ("hang", "loop"), policy.startswith("warm")
    if fault in ("burn", "garbage", "slow"):
        return expected_of_creeping(policy, fault, point)
    early = "start-up timeout" if hangs else CAUSE[fault]  # before it is ready
    up, again = ["dead -> starting", "starting -> running"], ["crashed -> recovering", "recovering -> running"]
    if point == "stop":
        cause = {"exit": "requested", "kill": "requested", "exception": "exception", "leak": "memory"}.get(fault, "killed")
        return "dead", 0, {cause: 1}, [*up, "running -> stopping", *(["stopping -> stopping"] if hangs else []), "stopping -> dead"]
    if point == "start":
        died = ["dead -> starting", "starting -> crashed"]
        if policy == "never":
            return "failed", 0, {early: 1}, [*died, "crashed -> failed"]
        return "running", 1, {early: 1}, [*died, *again]
    if policy == "never":
        return "failed", 0, {CAUSE[fault]: 1}, [*up, "running -> crashed", "crashed -> failed"]
    in_place = ["running -> recovering"] if warm and not hangs else ["running -> crashed", "crashed -> recovering"]
    if point != "recovery":
        return "running", 1, {CAUSE[fault]: 1}, [*up, *in_place, "recovering -> running"]
    if not warm:  # once more, then after a pause
        causes = {CAUSE[fault]: 1, early: 1} if hangs else {CAUSE[fault]: 2}
        return "running", 2, causes, [*up, *in_place, "recovering -> crashed", "crashed -> crashed", *again]
    if not hangs:
        return "running", 2, {CAUSE[fault]: 2}, [*up, *in_place, "recovering -> recovering", "recovering -> running"]
    # It does not get on warm, therefore cold, and there it meets the point once more.
    return "running", 3, {"hang": 1, early: 2}, [*up, *in_place, "recovering -> crashed", "crashed -> recovering",
                                                 "recovering -> crashed", "crashed -> crashed", *again]


def expected_of_creeping(policy, fault, point):
    """They are ready, and end in good order; rs kills them meanwhile. Being slow is no fault, but with an answer."""
    up, again = ["dead -> starting", "starting -> running"], ["crashed -> recovering", "recovering -> running"]
    if point == "stop":
        return "dead", 0, {"requested": 1}, [*up, "running -> stopping", "stopping -> dead"]
    if fault == "slow" and point in ("start", "idle"):
        return "running", 0, {}, up
    if fault == "slow" and point == "recovery":
        return expected(policy, "exit", "idle")
    if policy == "never":
        return "failed", 0, {CAUSE[fault]: 1}, [*up, "running -> crashed", "crashed -> failed"]
    deaths = 2 if point == "recovery" else 1
    return "running", deaths, {CAUSE[fault]: deaths}, [*up, *["running -> crashed", *again] * deaths]


def check_client(client, policy, fault, point):
    """Statuses: 0; -512: the service died with the call; -19: there is no such service any more."""
    state, restarts = expected(policy, fault, point)[:2]
    kept = policy.startswith("warm") and (point != "recovery" or fault not in ("hang", "loop"))
    assert client and ("WRONG" not in client or fault == "garbage"), client
    if point == "stop":  # perhaps with a call taken, if it does not end in good order
        assert client in (["status 0"], ["status 0", "status -512"]) or fault == "garbage", (fault, point, client)
    elif state == "failed":
        assert client[-1] == "status -19", (fault, point, client)
    elif fault == "garbage":  # it was told anything; what is right now may not go with that
        assert client[-1] in ("status 0", "anew", "WRONG"), (point, client)
    elif kept or not restarts:
        assert client == ["status 0"], (fault, point, client)
    else:
        assert client[-1] in ("status 0", "anew"), (fault, point, client)
        assert "status -512" in client or point != "call" or fault == "burn", (fault, client)


@pytest.mark.parametrize("faults", [FAULTS, CREEPING], ids=["at_once", "creeping"])
@pytest.mark.parametrize("policy", ["warm 64", "always", "never"])
def test_table(chaos, policy, faults):
    """Each fault at each point: states, restarts, causes and events of the service, and what its client is answered. Their
    deadlines and budgets are short, and a host that stands still between would use them up."""
    cases = {f"c_{i:02}": case for i, case in enumerate((fault, point) for fault in faults for point in POINTS)}
    stop = "sleep 1; for s in " + " ".join(n for n, (_, p) in cases.items() if p == "stop") + "; do /bin/svc stop $s; done"
    text = chaos({name: (policy, fault, point, "" if fault == "slow" and point != "call" else BUDGETS.get(fault, "")) for name, (fault, point) in cases.items()},
                 TABLE.format(stop=stop, names=" ".join(cases), settle=settle(100, 3 if faults is FAULTS else 7)),
                 deadline=100 if faults is FAULTS else 3000, **STEADY)
    for name, case in cases.items():
        *figures, client, changes = seen(text, name)
        became = [change for change in changes if case[0] in [*FAULTS, "leak"] or change != "crashed -> crashed"] # or soon after the last
        assert (*figures, became) == expected(policy, *case), (case, text)
        check_client(client, policy, *case)


def test_budgets(chaos):
    """More memory, CPU time and time for an answer than the manifest grants."""
    text = chaos({f"c_{fault}": ("always", fault, "call", budget) for fault, budget in BUDGETS.items()},
                 settle(20, 8) + "for s in c_leak c_burn c_slow; do /bin/svc status $s; done; /bin/svc log -k | grep cli", deadline=3000, **STEADY)
    for name, cause, why in [("c_leak", "(?:memory|exit)", ""),
                             ("c_burn", "CPU time", "took more than 20 % of a CPU for 2 s"),
                             ("c_slow", "hang", "has not answered a call for 400 ms")]:
        assert re.search(rf"name +{name}\r?\nstate +running(?:.*\n)*?last cause +{cause}: {why}", text), text
    assert re.search("c_slow: status -512", text), text


# How often a program's calls of vfs and pm finish in 3 s: while nothing else happens, in the storm, and after it. Before that
# the directory is read: a guest that waits for its disk has a clock that runs ahead of its instructions.
SPEED = """
now() {{ read up _ </proc/uptime; now=${{up%.*}}${{up#*.}}; }}
count() {{ now; end=$((now + $2)); i=0; while now; [ $now -lt $end ]; do [ -e /root/nowhere ]; i=$((i + 1)); done; echo "COUNT $1 $i"; }}
restarts() {{ /bin/svc status c_one | grep "^restarts"; }}
{settle}
[ -e /root/nowhere ]; count before 300; restarts
/bin/svc start c_one; /bin/svc start c_two; count storm 300; restarts
{settle}
count after 300
"""


def test_those_that_crash_each_other_are_given_up(chaos):
    """They settle in failed, with the reason; whoever calls them is told; the rest goes on, and as fast as before."""
    text = chaos({"c_one": ("always", "murder", "always", "uses c_two"), "c_two": ("always", "murder", "always", "uses c_one")},
                 SPEED.format(settle=settle(100, 6)) +
                 "/bin/svc status c_one; /bin/svc status c_two; /bin/svc log -k | grep cli; /bin/svc list", deadline=3000, **EXACT)
    for name, other in [("c_one", "c_two"), ("c_two", "c_one")]:
        assert re.search(rf"name +{name}\r?\nstate +failed: more than 10 crashes in 30 s, last: exit \(exit status 4\); "
                         rf"{other}, which it uses, crashes too", text), text
        assert re.findall(rf"{name}: (status -?\d+)", text)[-1] == "status -19", text
    others = re.findall(r"^(?!c_)(\w+) +running +\S+ s +(\d+)", text, re.M)
    assert len(others) >= 10 and all(restarts == "0" for _, restarts in others), text
    before, after = (int(n) for n in re.findall(r"^restarts +(\d+)", text, re.M)[:2])
    assert after - before >= 4, text
    count = {when: int(n) for when, n in re.findall(r"^COUNT (\w+) (\d+)", text, re.M)}
    print(count)
    assert count["storm"] > 0.9 * max(count["before"], count["after"]), text


@pytest.mark.parametrize("deadline", [100, 3000])
def test_hang_is_found_within_two_periods(chaos, deadline):
    """Of 100 ms, from the beginning of the iteration that does not end to service again; whatever the deadline, on a
    host that has time."""
    text = chaos({"c_one": ("warm 64", "none", "idle", ""), "c_two": ("always", "none", "idle", "")}, deadline=deadline,
                 script="k=0; for i in 1 2 3; do for f in hang loop; do k=$((k + 1)); for s in c_one c_two; do /bin/svc inject $s $f;"
                 "n=0; until /bin/svc status $s | grep -q \"^outages *$k \" || [ $n -gt 150 ]; do usleep 100000; n=$((n + 1)); done;"
                 "done; done; done; /bin/svc status c_one; /bin/svc status c_two", clients=False, **EXACT)
    outages = re.findall(r"outages +6 +min \S+ ms +median (\S+) ms +max (\S+) ms", text)
    print(outages)
    assert len(outages) == 2 and all(float(worst) <= 205 for _, worst in outages), text  # found within 200, and back


def test_garbage_and_random(chaos):
    """Nonsense in answers harms none but the caller, who complains; death at a random instant, many times over."""
    text = chaos({"c_one": ("warm 64", "none", "idle", ""), "c_two": ("always", "none", "idle", "")},
                 "/bin/svc inject c_one garbage; i=0; while [ $i -lt 30 ]; do /bin/svc inject c_two random; usleep 30000;"
                 "i=$((i + 1)); done; /bin/svc log -k | grep cli; sleep 1; /bin/svc list")
    assert re.search(r"c_one: status (?!0|-512)-?\d+", text), text
    assert re.search(r"^c_one +running +\S+ s +[1-9]", text, re.M), text
    assert int(re.search(r"^c_two +running +\S+ s +(\d+)", text, re.M)[1]) >= 20, text


def test_complaints_lead_to_a_probe(guest):
    """Who answers its peers nonsense is complained of, probed by rs, and restarted; no complaint harms one that is sound."""
    # Now and then it is found by the question that rs puts each second, before anybody complains.
    text = guest("""
        for k in 1 2 3 4 5; do
            /bin/svc inject virtio_blk garbage; cat /proc/xinim/block >/dev/null
            """ + soon("{ cat /proc/xinim/block >/dev/null; " + outages("virtio_blk", "$k") + "; }") + """
            /bin/svc log | grep -q "bdev complains of it" && break
        done
        cat /proc/xinim/block; /bin/svc status virtio_blk; /bin/svc log; cmp /bin/busybox /bin/busybox && echo SAME""").text
    assert re.search(r"last cause +garbage", text) and re.search(r"complaints +\d+ of peers", text), text
    assert "bdev complains of it" in text and "answers nonsense: killed" in text, text
    assert re.search(r"^state +running", text, re.M) and "SAME" in text and re.search(r"^read +\d+ operations", text, re.M), text
