"""A guest that asks for its metadata all the time, and counts the answers."""

import subprocess
from collections import Counter
from dataclasses import dataclass, field

from a9fe.linux.vms import guest
from tests.lab.cloud import Vm

# Print the outcome of each request on a new connection, until stdin is closed.
ASK = """
import http.client, select, sys
sys.stdout.write("started\\n")
while not select.select([sys.stdin], [], [], 0.02)[0]:
    sys.stdout.flush()
    asked = http.client.HTTPConnection("169.254.169.254", timeout=20)
    try:
        asked.request("GET", "/latest/meta-data/instance-id")
        answer = asked.getresponse()
        answer.read()
        print(answer.status)
    except (OSError, http.client.HTTPException) as error:
        print(type(error).__name__)
    finally:
        asked.close()
"""


@dataclass(kw_only=True)
class Poller:
    """Asks from `start` until `stop`, which returns the number of each outcome: a status, or the
    name of an error.
    """

    vm: Vm
    process: "subprocess.Popen[str]" = field(init=False)

    def start(self) -> "Poller":
        argv = guest.command(self.vm.name, ["/usr/bin/python3", "-u", "-c", ASK])
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"
        return self

    def stop(self) -> Counter[str]:
        said, _ = self.process.communicate(timeout=60)
        return Counter(said.split())
