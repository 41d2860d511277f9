"""What programs of guests begin with: their arguments, and requests to 169.254.169.254.

They run by the system's Python alone.
"""

BEGIN = r"""
import asyncio, sys, time

CLIENTS, PAUSE = int(sys.argv[1]), float(sys.argv[2])  # s between two requests of a client

def usable(kept):
    "Return the streams, None if their end has been seen."
    if kept and (kept[0].at_eof() or kept[0].exception()):
        kept[1].close()
        return None
    return kept

async def exchange(kept, request, keeps):
    "Send a request on the kept streams or new ones. Return status, ETag, body, streams to keep."
    reader, writer = kept or await asyncio.open_connection("169.254.169.254", 80)
    writer.write((request + ("" if keeps else "Connection: close\r\n") + "\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    status, tag = head.split()[1], fields.get("etag", "").strip('"')
    if keeps and fields.get("connection") != "close":
        return status, tag, body, (reader, writer)
    writer.close()
    return status, tag, body, None
"""
