"""HTTP/1.1 of the data path: the server that guests connect to, and pooled upstream connections.

The deciding modules (`head`, `framing`, `render`, `server.reader`, `server.states`) do no I/O; the
others are shells on asyncio (uvloop or plain). No module here knows about metadata or instances:
handlers do. Obeys RFC 9110 and 9112; where they leave a choice, takes the strict one: a message
that two parsers could read differently is refused.
"""
