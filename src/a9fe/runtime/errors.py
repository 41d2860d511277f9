"""Errors of the shell: a configuration that cannot be used, a process that cannot start."""

from a9fe.model.errors import A9feError


class ConfigError(A9feError):
    """A configuration that cannot be used."""


class InvalidOption(ConfigError):
    """A value that an option does not take: names key, value, what would be right, and where."""

    def __init__(self, key: str, value: object, expected: str, source: str) -> None:
        """`source` is a file, a variable ("A9FE_X") or a flag ("--x")."""
        super().__init__(f"{key}: {value!r} (from {source}) is not valid, expected {expected}")
        self.key = key
        self.source = source


class UnknownOption(ConfigError):
    """A key that no option has. Its value is not repeated: it may be a secret's."""

    def __init__(self, key: str, source: str, near: str) -> None:
        """`near` is the option most like it, or ""."""
        hint = f"did you mean {near}?" if near else "`a9fe config` lists them"
        super().__init__(f"{key}: no such option (in {source}); {hint}")
        self.key = key
        self.source = source


class StartError(A9feError):
    """A process cannot start here: a taken port, a broken directory, another one running."""
