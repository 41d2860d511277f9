"""HTTP/1.1 of the data path: the server that faces guests, and the pooled upstream.

Deciding parts (`head`, `framing`, `reader`, `render`) do no I/O; `connection`, `server` and
`upstream` are shells on asyncio (uvloop or plain). It may not know what is asked for, nor by whom:
that is the handlers' business. Obeys RFC 9110 and 9112, and where they leave a choice, the strict
one: whatever two parsers could read in two ways is refused.
"""
