"""The tiny VM: Debian's cloud kernel and static busybox in an initramfs of 2 MB.

It is built once, from two packages that apt downloads, in a cache directory. The VM takes a lease
with udhcpc, applies option 121, reads its metadata and prints it on the serial console, each line
with the prefix `MARK`.
"""

import gzip
import hashlib
import lzma
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from a9fe.linux.processes.programs import run, run_bytes
from a9fe.model.errors import A9feError

MARK = "a9fe-vm:"
DONE = f"{MARK} done"  # its last line
POWEROFF = "a9fe.poweroff"  # on the kernel command line: power off when done
CONSOLE = "console=ttyS0 quiet panic=-1 rdinit=/init"
# Skips what is slow under emulation and of no use in a VM that runs for seconds.
FAST = "tsc=reliable no_timer_check mitigations=off sysrq_always_enabled random.trust_cpu=on"

KERNEL_PACKAGE = "linux-image-cloud-amd64"  # names the newest kernel package in its Depends
BUSYBOX_PACKAGE = "busybox-static"
MODULES = (  # in the order in which they must be loaded
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)
DOWNLOAD_TIMEOUT = 600  # s
PARTS = "tiny"  # the directory of kernel, busybox and modules
CHECKOUT = Path(__file__).parents[4]  # our checkout, if we were installed with --editable


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What QEMU boots: an uncompressed kernel and an initramfs."""

    kernel: Path
    initrd: Path


def directory(state_path: Path, checkout: Path = CHECKOUT) -> Path:
    """Return the directory of the image: the checkout's if it is the only one that was built.

    `./run setup` builds the checkout's. Otherwise it is below state_path, where `ensure` builds
    it.
    """
    images, built = state_path / "images", checkout / ".cache" / "images"
    is_only_built = not (images / PARTS).exists() and (built / PARTS).exists()
    return built if is_only_built else images


def ensure(directory: Path) -> Image:
    """Return the image below `directory`; build it if it is missing. Raises A9feError."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    parts = directory / PARTS
    if not parts.exists():
        with tempfile.TemporaryDirectory(dir=directory) as work:
            _fetch_parts(Path(work))
            _move(Path(work) / "parts", parts)
    image = Image(kernel=parts / "vmlinux", initrd=directory / f"tiny-{_scripts_hash()}.cpio")
    if not image.initrd.exists():
        with tempfile.TemporaryDirectory(dir=directory) as work:
            _move(_pack(parts, Path(work)), image.initrd)
    return image


def _move(made: Path, place: Path) -> None:
    """Rename into place, unless another builder was first."""
    try:
        made.rename(place)
    except OSError:
        if not place.exists():
            raise


def _script(name: str) -> bytes:
    return (resources.files("a9fe.linux.vms") / name).read_bytes()


def _scripts_hash() -> str:
    return hashlib.sha256(_script("tiny_vm_init.sh") + _script("udhcpc_event.sh")).hexdigest()[:12]


def _fetch_parts(work: Path) -> None:
    """Extract kernel, busybox and modules from Debian's packages to work/parts."""
    download = ["apt-get", "-q", "download", _kernel_package(), BUSYBOX_PACKAGE]
    run_bytes(download, directory=work, timeout=DOWNLOAD_TIMEOUT)
    tree, parts = work / "tree", work / "parts"
    for package in work.glob("*.deb"):
        run_bytes(["dpkg-deb", "-x", str(package), str(tree)])
    (parts / "lib").mkdir(parents=True)
    kernel = next((tree / "boot").glob("vmlinuz-*"))
    (parts / "vmlinux").write_bytes(uncompressed(kernel.read_bytes()))
    shutil.copy(tree / "bin/busybox", parts / "busybox")
    modules = next((tree / "lib/modules").glob("*/kernel"))
    for module in MODULES:
        shutil.copy(modules / f"{module}.ko", parts / "lib")


def _kernel_package() -> str:
    for line in run(["apt-cache", "depends", KERNEL_PACKAGE]).splitlines():
        kind, _, package = line.strip().partition(": ")
        if kind == "Depends":
            return package
    raise A9feError(f"apt knows no package {KERNEL_PACKAGE}: run apt-get update (Debian, amd64)")


def _pack(parts: Path, work: Path) -> Path:
    """Pack these parts and our scripts into an initramfs in `work`; return its path."""
    root, archive = work / "root", work / "initrd.cpio"
    for name in ("bin", "dev", "proc", "sys", "etc", "run", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copytree(parts / "lib", root / "lib")
    shutil.copy(parts / "busybox", root / "bin/busybox")
    (root / "lib/order").write_text("".join(f"{Path(m).name}\n" for m in MODULES))
    for script, place in (("tiny_vm_init.sh", "init"), ("udhcpc_event.sh", "etc/udhcpc_event.sh")):
        (root / place).write_bytes(_script(script))
        (root / place).chmod(0o755)
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    stdin = "".join(f"{name}\n" for name in names).encode()
    archive.write_bytes(run_bytes(["cpio", "-o", "-H", "newc", "--quiet"], stdin, directory=root))
    return archive


def uncompressed(kernel: bytes) -> bytes:
    """Return the ELF kernel in a bzImage (x86 boot protocol 2.08: setup_sects, payload_offset).

    It boots without its decompressor, which takes a second under emulation.
    """
    start = ((kernel[0x1F1] or 4) + 1) * 512
    offset = int.from_bytes(kernel[0x248:0x24C], "little")
    length = int.from_bytes(kernel[0x24C:0x250], "little")
    payload = kernel[start + offset : start + offset + length]
    elf = _decompress(payload)
    if not elf.startswith(b"\x7fELF"):
        raise A9feError("the kernel's payload is no ELF image")
    return elf


def _decompress(payload: bytes) -> bytes:
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload[:-4])
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return run_bytes(["zstd", "-dcq"], payload[:-4])
    if payload.startswith(b"\x02\x21\x4c\x18"):  # legacy lz4; the last 4 bytes are the length
        return run_bytes(["lz4", "-dcq"], payload[:-4])
    raise A9feError(f"the kernel is compressed in an unknown way ({payload[:6]!r})")


if __name__ == "__main__":  # ./run setup
    built = ensure(Path(sys.argv[1]))
    sys.stdout.write(f"{built.kernel}\n{built.initrd}\n")
