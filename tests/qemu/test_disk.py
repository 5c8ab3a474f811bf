# SPDX-License-Identifier: BSD-2-Clause
"""What the host writes is read right in the guest, and the other way round."""
import hashlib
import os
import subprocess

from conftest import minixfs


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_host_to_guest_and_back(guest, image, tmp_path, fsck):
    data = os.urandom(9_000_001)
    source = tmp_path / "source"
    source.write_bytes(data)
    minixfs("mkdir", image, "/deep")
    minixfs("add", image, source, "/deep/source")
    result = guest("sha256sum </deep/source; cp /deep/source /root/copy; mkdir /root/d; "
                   "for i in $(seq 1 300); do echo $i >/root/d/file$i; done; rm /root/d/file1*; sync", image=image)
    assert result.text.split()[0] == sha(data)
    assert sha(minixfs("cat", image, "/root/copy")) == sha(data)
    assert minixfs("cat", image, "/root/d/file200") == b"200\n"
    listing = minixfs("ls", image, "/root/d").decode()
    assert "file23" in listing and "file1" not in listing
    fsck(image)


def test_image_survives_reboots(guest, image, fsck):
    for boot in range(3):
        result = guest(f"cat /root/boots 2>/dev/null; echo boot {boot} >>/root/boots", image=image)
        assert result.text == "".join(f"boot {i}\n" for i in range(boot))
    fsck(image)




def console(root, *arguments, seconds=8):
    """What a guest without an exec prints on its console."""
    with subprocess.Popen([str(root / "xinim"), "run", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as guest_process:
        try:
            output, _ = guest_process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            guest_process.kill()
            output, _ = guest_process.communicate()
    return output.decode(errors="replace")


def test_no_disk_is_told(root):
    text = console(root, "--disk", "none")
    assert "XINIM:" in text and "disk" in text, text
    assert "PANIC" not in text


def test_garbage_disk_is_told(root, tmp_path):
    garbage = tmp_path / "garbage.img"
    garbage.write_bytes(os.urandom(4 << 20))
    text = console(root, "--image", str(garbage))
    assert "XINIM:" in text and "MINIX" in text, text
    assert "PANIC" not in text


def test_truncated_disk_is_told(root, tmp_path, image):
    short = tmp_path / "short.img"
    with open(image, "rb") as stream:
        short.write_bytes(stream.read(64 << 10))
    text = console(root, "--image", str(short))
    assert "XINIM:" in text, text
    assert "PANIC" not in text


def test_partitions(guest, tmp_path, root, fsck):
    """The root filesystem in a GPT and in an MBR partition."""
    for label in ("gpt", "dos"):
        disk = tmp_path / f"{label}.img"
        with open(disk, "wb") as stream:
            stream.truncate(300 << 20)
        subprocess.run(["sfdisk", "-q", str(disk)], input=f"label: {label}\nstart=2048, size=536576\n", text=True, check=True)
        with open(root / "build/xinim.img", "rb") as source, open(disk, "r+b") as target:
            target.seek(1 << 20)
            while chunk := source.read(1 << 20):
                if chunk.strip(b"\0"):
                    target.write(chunk)
                else:
                    target.seek(len(chunk), os.SEEK_CUR)
        script = tmp_path / "exec"
        script.write_text("cat /proc/mounts | head -1; echo fine\n", encoding="utf-8")
        minixfs("add", disk, script, "/etc/xinim-exec", "--mode", "755", "--offset", str(1 << 20))
        text = console(root, "--image", str(disk), seconds=15)
        assert "fine" in text, text
