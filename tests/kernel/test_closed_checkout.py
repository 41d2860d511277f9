"""`a9fe up` and the demo run from a checkout that only root can read, such as one in /root."""

import subprocess
import sys
from pathlib import Path

from tests.lab.places import ROOT

# In a new mount namespace the checkout is a directory of mode 700 with the same entries.
CLOSED = """
set -eu
root=$1 real=$(mktemp -d)
shift
mount --bind "$root" "$real"
mount -t tmpfs -o mode=700 tmpfs "$root"
for entry in $(ls -A "$real"); do
	if [ -d "$real/$entry" ]; then mkdir "$root/$entry"; else touch "$root/$entry"; fi
	mount --bind "$real/$entry" "$root/$entry"
done
cd "$root"
setpriv --reuid=65534 --clear-groups ls "$root" 2>/dev/null && exit 99
exec "$@"
"""

UP = """
from pathlib import Path
from tests.lab.cloud import Cloud
from tests.lab.house import House
house = House(state=Path("/run/a9fe-closed/state"))
with house.api:
    house.start()
    cloud = Cloud(house=house)
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    assert vm.reads_its_own()
    vm.fetch("/latest/dynamic/instance-identity/document")
    cloud.clear()
    house.stop()
    house.a9fe("clean")
    house.a9fe("db", "check")
print("late:", sorted(set(house.late.read_text().splitlines())))
print(house.log.read_text() if "Traceback" in house.log.read_text() else "no defect")
"""


def closed(*argv: str | Path) -> "subprocess.CompletedProcess[str]":
    mounts = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", CLOSED, "sh"]
    command = [*mounts, str(ROOT), *map(str, argv)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)


def test_a9fe_up_in_a_checkout_that_only_root_may_read() -> None:
    done = closed(sys.executable, "-c", UP)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "late: []\nno defect\n"


def test_the_demo_in_a_checkout_that_only_root_may_read() -> None:
    done = closed(ROOT / "run", "demo", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
