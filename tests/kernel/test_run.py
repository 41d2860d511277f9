"""The setting that `./run setup` makes while it installs PostgreSQL, and removes again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.conditions import eventually
from tests.lab.places import ROOT

SETTINGS = Path("/etc/postgresql-common")
CONF = SETTINGS / "createcluster.conf"
MADE = SETTINGS / "createcluster.d" / "a9fe-setup.conf"
ASK = f"pg_conftool {CONF} show -bs create_main_cluster"  # as the packages' scripts do


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Mount a file system with the packages' default settings."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(SETTINGS)], check=True)
    shutil.copy("/usr/share/postgresql-common/createcluster.conf", CONF)
    yield
    subprocess.run(["umount", str(SETTINGS)], check=True)


def without_cluster(command: str) -> "subprocess.Popen[str]":
    """Run the function of ./run with another command, as from a terminal.

    A background job ignores SIGINT, and so do its children; this restores the default.
    """
    script = f"source ./run help >/dev/null; without_cluster {command}"
    return subprocess.Popen(
        ["env", "--default-signal=INT", "bash", "-c", script, "./run"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_no_cluster_is_made_while_packages_are_installed():
    with without_cluster(ASK) as done:
        assert done.communicate(timeout=30)[0].strip() == "off"
    assert done.returncode == 0
    assert list(SETTINGS.glob("createcluster.d/*")) == []
    assert subprocess.run(ASK.split(), check=False, capture_output=True).stdout == b""


def test_a_failed_installation_is_one_and_the_setting_goes():
    with without_cluster("sh -c 'exit 7'") as done:
        assert done.wait(30) == 7
    assert not MADE.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_setting_goes_with_an_installation_that_is_interrupted(number: signal.Signals):
    with without_cluster("sh -c 'echo begun; exec cat /dev/zero >/dev/null'") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        assert MADE.exists()
        os.killpg(running.pid, number)
    assert running.returncode != 0
    eventually(lambda: not MADE.exists(), what="the end of the setting")
