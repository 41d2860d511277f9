"""The limit of open files and sockets of this process."""

import resource


def raise_limit() -> int:
    """Raise the soft limit to the hard limit (setrlimit(2)), and return it.

    Systems default the soft limit to 1024 because of select(2), which we do not use.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
