"""Errors of starting a process: a wrong configuration, or a host on which it cannot run."""

from a9fe.model.errors import A9feError


class ConfigError(A9feError):
    """The configuration is wrong."""


class InvalidOption(ConfigError):
    """A wrong value of an option; names the key, the value, its source and a right value."""

    def __init__(self, key: str, value: object, expected: str, source: str) -> None:
        """`source` is a file, a variable ("A9FE_X") or a flag ("--x")."""
        super().__init__(f"{key}: {value!r} (from {source}) is not valid, expected {expected}")
        self.key = key
        self.source = source


class UnknownOption(ConfigError):
    """An unknown key. Its value is not shown, because it may be a secret."""

    def __init__(self, key: str, source: str, near: str) -> None:
        """`near` is the option with the most similar name, "" for none."""
        hint = f"did you mean {near}?" if near else "`a9fe config` lists them"
        super().__init__(f"{key}: no such option (in {source}); {hint}")
        self.key = key
        self.source = source


class StartError(A9feError):
    """A process cannot start: a port in use, a wrong directory, another instance running."""
