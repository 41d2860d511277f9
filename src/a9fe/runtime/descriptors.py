"""How many files and sockets this process may have open at once."""

import resource


def raise_limit() -> int:
    """Take all that the hard limit allows (setrlimit(2)); the limit then.

    Systems keep the soft one at 1024 for the sake of select(2), which we do not use.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
