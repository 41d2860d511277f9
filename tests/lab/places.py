"""Paths: the checkout, and what `./run setup` put below its .cache."""

from pathlib import Path

from a9fe.plan.mark import Mark

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
IMAGES = CACHE / "images"
CLOUD_INIT = CACHE / "cloud-init" / "usr/lib/python3/dist-packages"
A9FE = ROOT / ".venv" / "bin" / "a9fe"
CLIENTS = CACHE / "clients"
MARK = Mark("0123456789abcdef" * 2)  # of the tests' installation
STATE = Path("/run/a9fe-journey/state")  # in the sandbox; unprivileged users can search it
BR_EX = "br-ex"  # the bridge that journeys map physnet1 to; only some make it
