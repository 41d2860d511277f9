"""The root of the errors: each class has its status and type, and no error is outside the root."""

import importlib
import inspect
import pkgutil

import a9fe
from a9fe.model.errors import FAILED, A9feError, Conflict, Forbidden, InvalidInput, NotFound

CONTROL_FLOW = {"_TransactionLost"}
"""Exceptions that never leave their module, and mean no error."""


def error_classes() -> list[type[Exception]]:
    modules = pkgutil.walk_packages(a9fe.__path__, "a9fe.")
    loaded = [importlib.import_module(m.name) for m in modules if not m.name.endswith("__main__")]
    return [
        found
        for module in loaded
        for _, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and issubclass(found, Exception)
    ]


def test_every_error_of_ours_has_the_one_root():
    found = [c for c in error_classes() if c.__name__ not in CONTROL_FLOW]
    assert len(found) > 40
    assert [c.__qualname__ for c in found if not issubclass(c, A9feError)] == []


def test_an_error_says_its_status_type_and_public_message():
    long = "x" * 300
    expected = [
        (A9feError("secret"), 500, "HTTPInternalServerError", FAILED),
        (NotFound("security_group", "1"), 404, "SecurityGroupNotFound",
         "Security group 1 does not exist"),
        (NotFound("floatingip", "1"), 404, "FloatingIPNotFound",
         "Floating IP 1 could not be found"),
        (Conflict("InUse", long), 409, "InUse", long),
        (Forbidden(long), 403, "PolicyNotAuthorized", "x" * 200 + "..."),
        (InvalidInput("mtu", 1, "68 or more"), 400, "InvalidInput",
         "mtu: 1 is not valid, expected 68 or more"),
        (InvalidInput("mtu", 1, "68 or more", type="BadRequest", words="Bad MTU"), 400,
         "BadRequest", "Bad MTU (mtu: 1 is not valid, expected 68 or more)"),
    ]  # fmt: skip
    for error, *found in expected:
        assert [error.status, error.type, error.public] == found
