"""A guest that sends requests without pause, on connections that it keeps and on new ones.

It repeats nothing. It uses a kept connection again unless it has already seen its end, as curl and
urllib3 do, and every fourth request is a PUT, which no client and no hop may repeat.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

from a9fe.linux.vms import guest
from tests.kit.conditions import eventually
from tests.lab.cloud import Vm
from tests.lab.guest_program import BEGIN

ANSWERED = "200"
KEPT, SINGLE = "kept", "single"  # and "waits": a request that waits for a change, kept
CLIENTS = 3  # of each kind: enough that a request is under way at most moments
PAUSE = 0.06  # s between two requests of a client: below the limit of requests of one guest

# Print "kind begin end outcome" for each request (seconds of CLOCK_MONOTONIC) until stdin closes.
PROGRAM = (
    BEGIN
    + r"""
import os

WITHIN = 40.0
GET = "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: m\r\n"
PUT = "PUT /latest/api/token HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n"
PUT += "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
WAIT = "GET /openstack/latest/meta_data.json?wait_for_change=true&timeout_sec=10&last_etag="

async def ask(kind):
    kept, number, tag = None, 0, ""
    while True:
        number += 1
        request = PUT if number % 4 == 3 else GET
        if kind == "waits":
            request = WAIT + (tag or "0") + " HTTP/1.1\r\nHost: m\r\n"
        kept = usable(kept)
        used = "new" if kept is None else "used"
        began = time.monotonic()
        try:
            doing = exchange(kept, request, kind != "single")
            outcome, tag, _, kept = await asyncio.wait_for(doing, WITHIN)
        except Exception as error:
            outcome, kept = f"{type(error).__name__}-{used}-{number % 4}", None
        print(kind, began, time.monotonic(), outcome)
        await asyncio.sleep(PAUSE)

async def main():
    kinds = ["kept", "single"] * CLIENTS + ["waits"]
    asking = [asyncio.ensure_future(ask(kind)) for kind in kinds]
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    while not ended.is_set():
        sys.stdout.flush()
        try:
            await asyncio.wait_for(ended.wait(), 0.05)
        except asyncio.TimeoutError:
            pass
    sys.stdout.flush()
    os._exit(0)  # requests under way are of no interest

asyncio.run(main())
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: `began` and `ended` in seconds of CLOCK_MONOTONIC; a status or an error."""

    kind: str
    began: float
    ended: float
    outcome: str


@dataclass(kw_only=True)
class Load:
    """Requests of one guest from the begin of a block to its end."""

    vm: Vm
    clients: int = CLIENTS
    pause: float = PAUSE
    process: "subprocess.Popen[bytes]" = field(init=False)
    output: int = field(init=False)

    def __enter__(self) -> "Load":
        command = ["/usr/bin/python3", "-c", PROGRAM, str(self.clients), str(self.pause)]
        self.output = os.memfd_create("load")
        self.process = subprocess.Popen(
            guest.command(self.vm.name, command), stdin=subprocess.PIPE, stdout=self.output
        )
        self.more(4)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.process.communicate(timeout=60)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.output)

    def all(self) -> list[Asked]:
        """Return the requests that have ended."""
        text = os.pread(self.output, os.fstat(self.output).st_size, 0).decode()
        whole = text[: text.rfind("\n") + 1]
        fields = (line.split(" ", 3) for line in whole.splitlines())
        return [
            Asked(kind=kind, began=float(began), ended=float(ended), outcome=outcome)
            for kind, began, ended, outcome in fields
        ]

    def more(self, count: int, kind: str = "") -> None:
        """Wait until that many requests of each kind that begin from now on are answered."""
        before = len(self.all())

        def answered() -> bool:
            new = [one for one in self.all()[before:] if one.outcome == ANSWERED]
            kinds = (kind,) if kind else (KEPT, SINGLE)
            return all(sum(one.kind == each for one in new) >= count for each in kinds)

        eventually(answered, 60, f"{count} answers more")

    def failed(self, excused: Callable[[Asked], bool] = lambda _: False) -> list[Asked]:
        """Return the requests that were not answered with 200, without the excused ones."""
        return [one for one in self.all() if one.outcome != ANSWERED and not excused(one)]
