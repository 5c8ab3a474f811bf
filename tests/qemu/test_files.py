# SPDX-License-Identifier: BSD-2-Clause
"""Filesystems: the same random operations everywhere, files in memory, old versions, full disks."""
import os
import random
import re
import struct
import subprocess

import pytest

from conftest import PATIENCE, ROOT, minixfs, soon

SOAK = int(os.environ.get("XINIM_SOAK", "0"))  # for longer runs: how many seeds


@pytest.fixture(scope="session")
def tree():
    subprocess.run(["make", "-s", "build/guest/tree"], cwd=ROOT, check=True)
    return ROOT / "build/guest/tree"


def on_the_host(tree, path, seed, operations, *more):
    return subprocess.run([tree, path, *map(str, (seed, operations, *more))], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def old_image(tmp_path, root, version, names, block_size=1024):
    """The standard root, on another version of the filesystem."""
    path = tmp_path / f"v{version}.img"
    minixfs("mkfs", path, 60, "--version", version, "--names", names, "--block-size", block_size)
    minixfs("tree", path, root / "build/rootfs")
    return path


@pytest.mark.parametrize("seed", range(1, 2 + SOAK))
def test_same_operations_everywhere(guest, tree, tmp_path, image, fsck, seed):
    """Names, links, renames, truncations, holes and mappings, by several processes."""
    operations = 300 if not SOAK else 2000
    wanted = on_the_host(tree, tmp_path, seed, operations)
    result = guest(f"/tree /root {seed} {operations}; /tree /tmp {seed} {operations}; sync", image=image, file=f"{tree}:/tree")
    assert result.text.replace("\r", "") == wanted + wanted
    fsck(image)


# Version of MINIX, bytes of a name, bytes of a block.
KINDS = [[(3, 60, 1024), (3, 60, 2048), (3, 60, 8192)], [(1, 30, 1024), (2, 14, 1024), (3, 60, 4096)],
         [(1, 14, 1024), (2, 30, 1024), (3, 60, 32768)]]


@pytest.mark.parametrize("seed", range(2, 5 + SOAK))
def test_same_operations_on_every_kind_at_once(guest, tree, tmp_path, image, fsck, seed):
    """Every version and size of blocks, and memory, by several processes each, all at the same time on four CPUs."""
    operations, names = 200 if not SOAK else 1000, 14
    disks = [tmp_path / f"v{version}-{bytes_}-{block}.img" for version, bytes_, block in KINDS[seed % 3]]
    for disk, (version, bytes_, block) in zip(disks, KINDS[seed % 3]):
        minixfs("mkfs", disk, 32, "--version", version, "--names", bytes_, "--block-size", block, "--inodes", 1024)
    wanted = on_the_host(tree, tmp_path, seed, operations, 3, names)
    result = guest(soon("[ -b /dev/vdb ] && [ -b /dev/vdc ] && [ -b /dev/vdd ]") + f"""
for d in b c d; do mkdir /mnt/$d && mount -t minix /dev/vd$d /mnt/$d || echo failed; done
for d in /root /tmp /mnt/b /mnt/c /mnt/d; do mkdir $d/t; /tree $d/t {seed} {operations} 3 {names} keep >/tmp/out.${{d##*/}} & done; wait
cat /tmp/out.*; cd /; umount /mnt/b /mnt/c /mnt/d; sync""", image=image, file=f"{tree}:/tree", smp=4,
                   qemu=" ".join(f"-drive if=none,id={d.stem},format=raw,file={d} -device virtio-blk-pci,drive={d.stem}" for d in disks))
    assert result.text.replace("\r", "") == wanted * 5
    for disk, (_, _, block) in zip(disks, KINDS[seed % 3]):
        assert b" 0 problems" in minixfs("check", disk)
        if block == 1024:  # others util-linux cannot check
            fsck(disk)
    fsck(image)


def test_with_little_memory_and_a_dying_driver(guest, tree, tmp_path, image, fsck):
    """Pages are given back and fetched again while the driver is killed."""
    wanted = on_the_host(tree, tmp_path, 7, 200)
    result = guest("(while :; do sleep 1; /bin/svc kill virtio_blk >/dev/null; done) & cat /bin/busybox >/root/x; "
                   "/tree /root 7 200; kill $!; cmp /bin/busybox /root/x; sync", image=image, file=f"{tree}:/tree",
                   mem=96, append="cache=2")
    assert result.text.replace("\r", "") == wanted
    fsck(image)


def test_a_filesystem_that_may_have_little_memory(guest, image, root, tmp_path, archive, fsck):
    """Its manifest's `memory` is what counts: much more than that is written, again (what waits for a flush counts, too), read."""
    manifest = tmp_path / "manifest"
    manifest.write_text((root / "fs/minix/manifest").read_text(encoding="ascii") + "memory 48\n", encoding="ascii")
    result = guest("""cd /root; for i in 1 2; do dd if=/dev/zero of=a bs=64k count=1120 conv=notrunc 2>/dev/null && wc -c <a; done
cmp -n 73400320 a /dev/zero && cp a b && cmp a b && echo same; sync; /bin/svc list | awk '$1 == "minix" { print $2, $5 }'""",
                   image=image, archive=archive({"manifest/minix": manifest}))
    assert result.text.split() == ["73400320", "73400320", "same", "running", "0"], result.text
    fsck(image)


def test_mapping_of_more_than_the_memory(guest, tmp_path):
    """Pages that are mapped are taken back for others, and for a program that asks for memory; nobody ends for it."""
    subprocess.run(["make", "-s", "build/guest/mapped"], cwd=ROOT, check=True)
    big, second = tmp_path / "big", tmp_path / "second.img"
    big.write_bytes(random.Random(1).randbytes(50 << 20))
    minixfs("mkfs", second, 64)
    minixfs("add", second, big, "/big")
    wanted = subprocess.run([ROOT / "build/guest/mapped", big, "3", "8"], capture_output=True, text=True, check=True).stdout
    result = guest("mount -t minix /dev/vdb /mnt; /mapped /mnt/big 3 8; cd /; umount /mnt", mem=48, file=f"{ROOT}/build/guest/mapped:/mapped",
                   qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    assert result.text == wanted, result.text


def test_writes_from_mappings_while_memory_is_short(guest, tmp_path, image, fsck):
    """Of the same page, and of two filesystems crosswise, most of the memory dirty, both killed in the middle of it."""
    subprocess.run(["make", "-s", "build/guest/crosswise"], cwd=ROOT, check=True)
    second = tmp_path / "second.img"
    minixfs("mkfs", second, 32)
    text = guest("""mount -t minix /dev/vdb /mnt; chmod +x /crosswise
(n=0; while :; do n=$((n + 7)); for s in minix minix.1; do /bin/svc inject $s entry $((n %% 40 + 1)); usleep 150000; /bin/svc kill $s
usleep 50000; done; done >/dev/null 2>&1) & deaths=$!
/crosswise /root/a /mnt/b 2500 %d; kill $deaths; sync; md5sum </root/a; md5sum </mnt/b; cd /; umount /mnt; /bin/svc status minix | grep warm""" %
                 (3 if not SOAK else 50), image=image, file=f"{ROOT}/build/guest/crosswise:/crosswise", mem=64,
                 qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2").text
    lines = text.replace("\r", "").splitlines()
    assert lines[0] == "all right" and lines[1] == lines[2], text
    assert int(lines[3].split()[1].rstrip(",")) >= 4, text
    fsck(image)
    fsck(second)


# Many small files as a compiler makes them: sources, objects from them, a library of these, and all again.
BUILD = r"""
build() {
    mkdir -p src obj && i=0
    while [ $i -lt 60 ]; do
        { echo "unit $i $1"; head -c $((i * 97)) /script; } >src/$i.c
        { md5sum <src/$i.c; cat src/$i.c; } >obj/$i.tmp && mv obj/$i.tmp obj/$i.o
        [ $((i % 7)) = 0 ] && rm src/$i.c
        i=$((i+1))
    done
    cat obj/*.o >lib.tmp && mv lib.tmp lib.a && rm -r src obj && md5sum <lib.a
}
"""


def test_filesystem_dies_under_a_build(guest, tree, tmp_path, image, fsck):
    """Killed every 0.1 to 2 s: what programs see and leave is as without any death."""
    rounds = 4 if not SOAK else 100
    work = BUILD + f"n=0; while [ $n -lt {rounds} ]; do build $n; n=$((n+1)); done; ls | sort\n"
    script = tmp_path / "script"
    script.write_text(work)
    wanted = subprocess.run(["sh", "-c", work.replace("/script", str(script))], cwd=(tmp_path / "host").mkdir() or tmp_path / "host",
                            capture_output=True, text=True, check=True).stdout
    wanted += on_the_host(tree, tmp_path, 5, 100 * rounds)
    result = guest("(while :; do usleep $((RANDOM % 20 * 100000 + 100000)); /bin/svc kill minix >/dev/null; done) & "
                   f"mkdir /root/b; cd /root/b; sh /script; /tree /root 5 {100 * rounds}; kill $!; sync; /bin/svc status minix",
                   image=image, file=[f"{tree}:/tree", f"{script}:/script"], timeout=PATIENCE if not SOAK else 2400)
    output, _, status = result.text.replace("\r", "").partition("name  ")
    assert output == wanted
    assert int(re.search(r"restarts *(\d+)", status)[1]) >= 2, status
    fsck(image)


@pytest.mark.parametrize("version, names", [(1, 30), (2, 30)])
def test_same_operations_on_old_versions(guest, tree, tmp_path, root, fsck, version, names):
    path = old_image(tmp_path, root, version, names)
    result = guest(f"/tree /root 9 200 3 {names}; sync", image=path, file=f"{tree}:/tree")
    assert result.text.replace("\r", "") == on_the_host(tree, tmp_path, 9, 200, 3, names)
    fsck(path)


@pytest.mark.parametrize("version, names", [(1, 30), (2, 30)])
def test_old_versions(guest, tmp_path, root, fsck, version, names):
    path = old_image(tmp_path, root, version, names)
    assert "problems" in minixfs("check", path).decode()
    result = guest("cd /root; dd if=/dev/zero of=big bs=1k seek=1500 count=40 2>/dev/null; cp big copy; cmp big copy && echo same; "
                   "ln copy hard; ln -s copy soft; mkdir d; mv hard d/; ls d; rm big; sync", image=path)
    assert result.text.split() == ["same", "hard"], result.text
    fsck(path)


# Ends of files in the middle of blocks, holes, what grows over both.
ENDS = """
echo a >a; truncate -s 100000 a; echo b | dd of=b bs=1 seek=70000 2>/dev/null; echo c | dd of=b bs=1 seek=200000 conv=notrunc 2>/dev/null
head -c 100000 /bin/busybox >c; truncate -s 5000 c; sync; truncate -s 60000 c; fallocate -l 50000 d; printf f >f; printf g >>f
echo x | dd of=f bs=1 seek=20000 conv=notrunc 2>/dev/null; truncate -s 90000 f; head -c 33000 /bin/busybox >>f; md5sum a b c d f
"""


@pytest.mark.parametrize("block_size", [8192, 16384, 32768])
def test_blocks_of_several_pages(guest, tree, tmp_path, block_size):
    """The disk holds other bytes everywhere: nothing of them is ever read, also not from the disk."""
    (tmp_path / "host").mkdir()
    wanted = subprocess.run(ENDS, shell=True, cwd=tmp_path / "host", capture_output=True, text=True, check=True).stdout
    second = tmp_path / "second.img"
    second.write_bytes(b"\xa5" * (24 << 20))
    minixfs("mkfs", second, 0, "--block-size", block_size)
    operations = 400 if not SOAK else 3000
    arguments = (block_size, operations, 3, 50, "keep")
    result = guest(f"""mount -t minix /dev/vdb /mnt; cd /mnt; /tree /mnt {' '.join(map(str, arguments))}; {ENDS}
dd if=/dev/zero of=full bs=64k 2>&1 | grep -c 'No space'; (echo x >>a) 2>/dev/null; cmp -n 1000000 full /dev/zero && rm full
find . -type f | sort | xargs md5sum >/tmp/before; cd /; umount /mnt; mount -t minix /dev/vdb /mnt; cd /mnt
find . -type f | sort | xargs md5sum | cmp - /tmp/before && echo same; cd /; umount /mnt""", file=f"{tree}:/tree",
                   qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    text = result.text.replace("\r", "")
    assert text == on_the_host(tree, tmp_path, *arguments) + wanted + "1\nsame\n"
    assert b" 0 problems" in minixfs("check", second)


def damage_file_of_size(path, size):
    """The first zone of the one file of that size becomes one that no disk has."""
    with open(path, "r+b") as stream:
        stream.seek(1024)
        inodes, inode_map, zone_map = struct.unpack("<I2xHH", stream.read(10))
        table = (2 + inode_map + zone_map) * 1024
        stream.seek(table)
        found = [i for i, inode in enumerate(struct.iter_unpack("<HHHHI52x", stream.read(inodes * 64))) if inode[4] == size]
        assert len(found) == 1
        stream.seek(table + found[0] * 64 + 24)
        stream.write(struct.pack("<I", 0xFFFFFFF0))


def test_damage_makes_it_read_only(guest, image, tmp_path):
    """Where nonsense is met nothing is changed any more; what can be read is, and what was written before is there."""
    odd = tmp_path / "odd"
    odd.write_bytes(b"x" * 12345)
    minixfs("add", image, odd, "/root/odd")
    damage_file_of_size(image, 12345)
    result = guest("echo before >/root/before; cat /root/odd >/dev/null 2>&1 || echo unreadable; " +
                   soon("grep -q ' / minix ro,' /proc/mounts") + "; grep -c ' / minix ro,' /proc/mounts; "
                   "touch /root/x 2>&1 | grep -c Read-only; echo y 2>&1 >>/root/before | grep -c Read-only; "
                   "mount -o remount,rw / 2>/dev/null || echo refused; md5sum </bin/busybox >/dev/null && echo read; "
                   "/bin/svc log -k | grep -c 'minix.*read-only from now on'; "
                   "sync; cat /root/before", image=image)
    assert result.text.split() == ["unreadable", "1", "1", "1", "refused", "read", "1", "before"], result.text
    assert minixfs("cat", image, "/root/before") == b"before\n"


def test_made_checked_and_repaired_in_the_guest(guest, tmp_path):
    """minixfs is one program, for hosts and here: a disk made, filled, checked, damaged and repaired with it; not one in use."""
    second = tmp_path / "second.img"
    second.write_bytes(bytes(16 << 20))
    result = guest("""minixfs mkfs /dev/vdb 0 && mount -t minix /dev/vdb /mnt && mkdir /mnt/d && cp /bin/busybox /mnt/d/b && echo kept >/mnt/k
minixfs repair /dev/vdb 2>&1 | grep -c 'mounted on /mnt'; minixfs mkfs /dev/vda 0 2>&1 | grep -c 'mounted on /'; umount /mnt
minixfs check /dev/vdb | grep -c ' 0 problems'; dd if=/dev/zero of=/dev/vdb bs=1024 seek=2 count=2 conv=notrunc 2>/dev/null
minixfs check /dev/vdb >/dev/null || echo damaged; minixfs repair /dev/vdb >/tmp/log && echo repaired; minixfs check /dev/vdb | grep -c ' 0 problems'
mount -t minix /dev/vdb /mnt; cmp /bin/busybox /mnt/d/b && cat /mnt/k; umount /mnt""",
                   qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    assert result.text.split() == ["1", "1", "1", "damaged", "repaired", "1", "kept"], result.text
    assert b" 0 problems" in minixfs("check", second)


def test_sync_and_what_caches_say(guest, tmp_path):
    """With `sync` the disk has names and bytes when a call returns (it is looked at past the filesystem); hits and misses are counted."""
    second = tmp_path / "second.img"
    minixfs("mkfs", second, 16)
    result = guest("""mount -t minix -o sync /dev/vdb /mnt; grep -c '/mnt minix rw,sync,' /proc/mounts
mkdir /mnt/d; minixfs ls /dev/vdb / | grep -c ' d$'; echo bytes >/mnt/d/f; minixfs cat /dev/vdb /d/f; mv /mnt/d/f /mnt/g; minixfs cat /dev/vdb /g
>/mnt/d/e; minixfs ls /dev/vdb /d | grep -c ' e$'; rm /mnt/g; minixfs ls /dev/vdb / | grep -c ' g$'
mount -o remount,rw,async /mnt; grep -c 'rw,sync' /proc/mounts; cp /bin/busybox /mnt/b
hits() { grep ^/mnt /proc/xinim/cache | cut -d' ' -f4; }; before=$(hits); cat /mnt/b >/dev/null; [ $(hits) -gt $((before + 200)) ] && echo hits
grep ^/mnt /proc/xinim/cache | cut -d' ' -f1-3,5,7,9,11,13; sync; grep -c 'dirty_pages 0 ' /proc/xinim/cache; umount /mnt""",
                   qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    assert result.text.splitlines()[:10] == ["1", "1", "bytes", "bytes", "1", "0", "0", "hits",
                                             "/mnt minix hits requests dirty_pages files metadata_hits metadata_misses", "3"], result.text
    assert b" 0 problems" in minixfs("check", second)


def test_msync_of_one_file(guest, tmp_path):
    """It is on the disk (looked at past the filesystem), and what is dirty elsewhere stays so, but for what is written every few seconds."""
    subprocess.run(["make", "-s", "build/guest/msynced"], cwd=ROOT, check=True)
    second = tmp_path / "second.img"
    minixfs("mkfs", second, 16)
    result = guest("""mount -t minix /dev/vdb /mnt; dirty() { grep "^$1 " /proc/xinim/cache | sed 's/.*dirty_pages //; s/ .*//'; }
n=0; until [ $n = 30 ]; do n=$((n + 1)); echo $n >/root/x; echo $n >/mnt/other; /msynced /mnt/f one$n two$n >/tmp/out
[ $(dirty /) -gt 0 ] && [ $(dirty /mnt) -gt 0 ] && break; done; echo $((n < 30)); cat /tmp/out; minixfs cat /dev/vdb /f | tr -s '\\000' ' '; echo; echo one$n two$n""",
                   file=f"{ROOT}/build/guest/msynced:/msynced", qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    lines = result.text.splitlines()
    assert lines[:2] == ["1", "msynced: ok"] and lines[2].split() == lines[3].split(), result.text


def test_full_to_the_last_block(guest, image, fsck):
    result = guest("cd /root; dd if=/dev/zero of=a bs=64k 2>&1 | grep -c 'No space'; df / | tail -1 | tr -s ' ' | cut -d' ' -f4; "
                   "echo x >>b; echo still; cmp -n 1000000 a /dev/zero && rm a && echo y >c && cat c; sync", image=image)
    lines = result.text.split()
    assert lines[0] == "1" and int(lines[1]) < 8, result.text  # what is left is for indirect blocks
    assert lines[-1] == "y", result.text
    fsck(image)


def test_sparse_file_of_two_gigabytes(guest, image, fsck):
    result = guest("cd /root; echo end | dd of=s bs=1 seek=1900000000 2>/dev/null; ls -l s | tr -s ' ' | cut -d' ' -f5; "
                   "tail -c 4 s; dd if=s bs=1M skip=900 count=1 2>/dev/null | md5sum; truncate -s 5 s; wc -c <s; sync", image=image)
    assert result.text.split() == ["1900000004", "end", "b6d81b360a5672d80c27430f39153e2c", "-", "5"], result.text
    fsck(image)


def test_tree_of_many_files(guest, image, fsck):
    files = 600 if not SOAK else 10000
    result = guest(f"""cd /root; mkdir t; i=0
while [ $i -lt {files} ]; do d=t/$((i % 20)); [ -d $d ] || mkdir $d; echo file $i >$d/$i; i=$((i+1)); done
find t -type f | wc -l; cp -a t u; diff -r t u && echo same; tar cf x.tar t; mkdir v; tar xf x.tar -C v; diff -r t v/t && echo same
mv u /tmp/u; diff -r t /tmp/u && echo same; rm -rf t u v /tmp/u x.tar; ls; sync""", image=image, timeout=1200)
    assert result.text.split() == [str(files), "same", "same", "same"], result.text
    fsck(image)


@pytest.mark.skipif(not SOAK, reason="takes minutes")
def test_directory_of_100000_entries(guest, tmp_path, fsck):
    second = tmp_path / "second.img"
    minixfs("mkfs", second, 160, "--inodes", 110000)
    result = guest("mount -t minix /dev/vdb /mnt; mkdir /mnt/d; cd /mnt/d; seq 1 100000 | xargs touch; ls | wc -l; rm 50000 1 100000; "
                   "ls | wc -l; [ -e 77777 ] && echo there; cd ..; rm -rf d; ls; cd /; umount /mnt; echo gone", timeout=1800,
                   qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    assert result.text.split() == ["100000", "99997", "there", "gone"], result.text
    fsck(second)


def test_mounts(guest, image, tmp_path, fsck):
    """A process for each mount: memory, a second disk, over each other, read-only, detached, killed."""
    second = tmp_path / "second.img"
    minixfs("mkfs", second, 16)
    result = guest("""mkdir /mnt/m /mnt/d; mount -t tmpfs -o size=1m,mode=711 none /mnt/m; ls -ld /mnt/m | cut -c1-10
dd if=/dev/zero of=/mnt/m/x bs=64k 2>/dev/null; stat -c %s /mnt/m/x; rm /mnt/m/x; echo one >/mnt/m/x
cd /mnt; mount -t tmpfs two m; ls m; grep -c ' /mnt/m ' /proc/mounts; umount m; cat m/x
mount -o remount,ro,noexec /mnt/m; touch /mnt/m/y 2>/dev/null || echo ro; mount -o remount,rw /mnt/m; touch /mnt/m/y; ls m
(cd m; umount /mnt/m 2>/dev/null || echo busy; umount -l /mnt/m; cat x; ls /mnt/m); grep -c /mnt/m /proc/self/mountinfo
mount -t minix /dev/vdb /mnt/d || echo failed; cp /bin/busybox /mnt/d/b; /bin/svc kill minix.1; cmp /bin/busybox /mnt/d/b && echo same
mount -t minix /dev/vdb /mnt/m 2>/dev/null || echo once; mount -o remount,ro /mnt/d; touch /mnt/d/y 2>/dev/null || echo ro
/bin/svc restart minix.1; sleep 1; cmp /bin/busybox /mnt/d/b && echo same; cd /; umount /mnt/d || echo failed; ls /mnt/d
mount -t minix /dev/vda1 /mnt/d 2>&1 | grep -c 'No such'; mount -t minix /tmp /mnt/d 2>&1 | grep -c 'Block device'
""" + soon("! /bin/svc list | grep -q '^tmpfs\\.\\|^minix\\.'") + """; /bin/svc list | grep -c '^tmpfs\\.\\|^minix\\.'; sync""", image=image,
                   qemu=f"-drive if=none,id=d2,format=raw,file={second} -device virtio-blk-pci,drive=d2")
    assert result.text.split() == ["drwx--x--x", "983040", "2", "one", "ro", "x", "y", "busy", "one", "0", "same", "once", "ro",
                                   "same", "1", "1", "0"], result.text
    fsck(image)
    assert b" 0 problems" in minixfs("check", second)


def test_binds(guest, image, fsck):
    """A directory in two places: "..", mounts on one of them only, read-only, busy, a root, FIFOs, deaths of both servers."""
    result = guest("""mkdir -p /tmp/s/a/b /tmp/t /root/d/e; echo one >/tmp/s/a/f; echo two >/root/d/g
mount --bind /tmp/s/a /tmp/t; cat /tmp/t/f; (cd /tmp/t/b; pwd -P; cd ..; pwd -P; cd ..; pwd -P); ls /tmp/t/b/../..; cat /tmp/t/b/../../t/f
grep /tmp/t /proc/self/mountinfo | cut -d' ' -f4-6; mount -o bind /root/d /tmp/t; cat /tmp/t/g; umount /tmp/t; cat /tmp/t/f
mount -o remount,ro,bind /tmp/t; (echo x >/tmp/t/new) 2>/dev/null || echo ro; mkdir /tmp/t/q 2>/dev/null || echo ro
rm /tmp/t/f 2>/dev/null || echo ro; mv /tmp/t/f /tmp/t/h 2>/dev/null || echo ro; echo x >/tmp/s/a/new; cat /tmp/t/new
(cd /tmp/t; umount /tmp/t 2>/dev/null || echo busy); umount /tmp/t; ls /tmp/t
mount --bind /root/d /mnt; cp /bin/busybox /mnt/e/; chroot /mnt /e/busybox sh -c 'cd e; pwd; cd ../../..; pwd; ls'
mount -t tmpfs none /mnt/e; echo t >/mnt/e/in; ls /root/d/e /mnt/e; umount /root/d/e 2>/dev/null || echo none; umount /mnt/e
mkfifo /root/d/p; (echo through >/mnt/p &); cat /root/d/p
/bin/svc kill minix; cat /mnt/g; /bin/svc kill vfs; (cd /mnt/e; pwd -P; cd ..; cat g; umount -l /mnt; ls; ls ..); umount /mnt 2>/dev/null || echo none
mount --bind /bin/busybox /mnt 2>/dev/null || echo directory; mount --bind /nowhere /mnt 2>/dev/null || echo nowhere; sync""", image=image)
    assert result.text.split() == ["one", "/tmp/t/b", "/tmp/t", "/tmp", "s", "t", "one", "/s/a", "/tmp/t", "rw,relatime", "two", "one",
                                   "ro", "ro", "ro", "ro", "x", "busy", "/e", "/", "e", "g",
                                   "/mnt/e:", "in", "/root/d/e:", "busybox", "none", "through",
                                   "two", "/mnt/e", "two", "e", "g", "p", "e", "g", "p", "none", "directory", "nowhere"], result.text
    fsck(image)


def test_binds_of_files(guest, image, fsck):
    """A file in two places: written by either name, not removed, nothing below it; a device; a FIFO in what may only be read; deaths."""
    result = guest("""cd /root; mkdir s t; echo one >s/f; echo two >g; mount --bind s/f g; cat g; echo more >>g; echo new >g; cat s/f
rm g 2>/dev/null || echo busy; mv g h 2>/dev/null || echo busy; mv s/f g 2>/dev/null || echo busy; cat g/ 2>/dev/null || echo file
[ -e g/x ] || echo none; (set -C; echo x >g) 2>/dev/null || echo exists; mount --bind s/f t 2>/dev/null || echo directory
mount --bind s g 2>/dev/null || echo file; cut -d' ' -f4,5 /proc/self/mountinfo | grep /root; ln g other 2>/dev/null || echo link
/bin/svc kill minix; echo kept >>g; /bin/svc kill vfs; cat s/f; cp /bin/busybox s/b; >busybox; mount --bind s/b busybox; ./busybox echo ran; umount busybox
mount -o remount,ro,bind g; echo x 2>/dev/null >>g || echo ro; echo x >>s/f; umount g; cat g; rm g
>null; mount --bind /dev/null null; echo gone >null; cat null; umount null; ls -l null | cut -c1-10
mkfifo s/p; mount --bind s t; mount -o remount,ro,bind t; (echo through >t/p &); cat s/p; [ -w t/p ] && echo w; (>t/f) 2>/dev/null || echo ro
(>t/none) 2>/dev/null || echo ro; (>t/no/ne) 2>/dev/null || echo path; cat t/f; umount t; cd /; sync""", image=image)
    assert result.text.split() == ["one", "new", "busy", "busy", "busy", "file", "none", "exists", "directory", "file", "/root/s/f", "/root/g", "link",
                                   "new", "kept", "ran", "ro", "two", "-rw-r--r--", "through", "w", "ro", "ro", "path",
                                   "new", "kept", "x"], result.text
    fsck(image)


def test_binds_of_trees_and_moves(guest, image, fsck):
    """What is mounted in a directory is bound with it if that is asked for, wherever it lies; a mount goes elsewhere with all in it."""
    result = guest("""cd /tmp; mkdir -p s/a/m s/b t u; mount -t tmpfs x s/a/m; mkdir s/a/m/n; mount -t tmpfs y s/a/m/n; echo deep >s/a/m/n/d
mount -t tmpfs z s/b; echo beside >s/b/e; mount --bind s/a t; ls t/m; umount t; mount --rbind s/a t; cat t/m/n/d; echo $(ls t)
grep -c ' /tmp/t' /proc/mounts; umount t 2>/dev/null || echo busy; umount -l t; ls t; mount --rbind s t; cat t/a/m/n/d t/b/e; umount -l t
mkdir /root/r; mount --rbind / /root/r; cat /root/r/tmp/s/b/e; [ -c /root/r/dev/null ] && [ -d /root/r/proc/1 ] && echo all; umount -l /root/r
mount --move s/a/m u; cat u/n/d; ls s/a/m; (cd u/n; pwd -P; cd ..; pwd -P); grep ' /tmp/' /proc/mounts | cut -d' ' -f1,2 | sort
mount --move u u/n 2>/dev/null || echo loop; mount --move s t 2>/dev/null || echo none; mount --move u /nowhere 2>/dev/null || echo nowhere
/bin/svc kill vfs; /bin/svc kill tmpfs; cat u/n/d; (cd u; mount --move /tmp/u /mnt; pwd -P); cat /mnt/n/d; ls u; umount /mnt/n; umount /mnt; ls /mnt
umount s/b; cd /; rm -r /tmp/*; rmdir /root/r; sync""", image=image)
    assert result.text.split() == ["deep", "m", "3", "busy", "deep", "beside", "beside", "all", "deep", "/tmp/u/n", "/tmp/u",
                                   "x", "/tmp/u", "y", "/tmp/u/n", "z", "/tmp/s/b", "loop", "none", "nowhere",
                                   "deep", "/mnt", "deep"], result.text
    fsck(image)


def test_descriptors_in_binds(guest):
    """What is reached by a descriptor is seen by the bind in which it was opened: "..", getcwd, whether it may be written or run."""
    subprocess.run(["make", "-s", "build/guest/binds"], cwd=ROOT, check=True)
    result = guest("""mkdir -p /tmp/s/a/b /tmp/t; echo one >/tmp/s/a/f; mount --bind /tmp/s/a /tmp/t; mount -o remount,ro,bind /tmp/t
/binds /tmp/t f; mount -o remount,rw,noexec,bind /tmp/t; /binds /tmp/t f; /binds /tmp/s/a f | tail -5; echo $(ls /tmp/t)
umount /tmp/t; ls /tmp/t; mount --bind /tmp/s/a /tmp/t; /binds /tmp/t f /tmp/s/a; ls /tmp/t; mkdir -p /root/s /root/t; cp /tmp/s/a/f /root/s
mount --bind /root/s /root/t; (cd /root/t; /bin/svc kill minix); /binds /root/t f /root/s; ls /root/t""",
                   file=f"{ROOT}/build/guest/binds:/binds")
    calls = ["openat", "openat of a place", "mkdirat", "renameat", "renameat back", "fchmod", "fchown", "futimens", "open for writing"]
    runs = ["mmap done", "mprotect done"]
    ro = [f"{call} Read-only file system" for call in calls] + runs + ["/tmp/t", "/tmp", "binds: ok"]
    rw = [f"{call} done" for call in calls] + ["mmap Operation not permitted", "mprotect Permission denied", "/tmp/t", "/tmp", "binds: ok"]
    assert result.text.splitlines() == ro + rw + runs + ["/tmp/s/a", "/tmp/s", "binds: ok", "b d f new", "binds: ok", "binds: ok"], result.text


def test_a_large_read_of_random_bytes(guest):
    """Its buffer is not in the undo log: a mebibyte in one call filled that."""
    text = guest("dd if=/dev/urandom of=/root/r bs=1M count=4 2>/dev/null; echo $?; wc -c </root/r; /bin/svc status vfs").text
    assert text.split()[:2] == ["0", "4194304"] and "restarts     0" in text, text


def test_tmpfs_with_room_for_many_files(guest):
    """What it does to free a file must fit its undo log, however long its table is."""
    result = guest("""for i in 1 2 3 4 5 6 7 8; do echo $i > /tmp/a; rm /tmp/a; mkdir /tmp/d; rmdir /tmp/d; done
dd if=/dev/zero of=/tmp/x bs=1M count=100 2> /dev/null; rm /tmp/x; sleep 2; /bin/svc list | awk '$1 == "tmpfs" { print $2, $5 }'""",
                   append="tmpfs.inodes=200000", mem=512)
    assert result.text.split() == ["running", "0"]
