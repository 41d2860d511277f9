"""Text that fits a header, and text of one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.metadata_agent.upstream_request import upstream_request
from a9fe.model.resources import Port
from a9fe.model.rules.text import fits_header, is_one_line
from a9fe.wire.message import Request
from a9fe.wire.trusted import INSTANCE_ID, TENANT_ID


@pytest.mark.parametrize(
    ("text", "header", "line"),
    [
        ("", True, True),
        ("vm-1", True, True),
        ("a b", True, True),
        (" a", False, True),
        ("a ", False, True),
        ("é", False, True),
        ("a\n", False, False),
        ("\n", False, False),
        ("a\r\nb", False, False),
        ("a\tb", False, False),
        ("a\x00", False, False),
        ("a\x7f", False, False),
        ("a\x85b", False, False),
        ("a\u2028b", False, False),
        ("a\u200db", False, True),
    ],
)
def test_texts(text: str, header: bool, line: bool):  # noqa: FBT001 - a row
    assert (fits_header(text), is_one_line(text)) == (header, line)


@given(st.text(max_size=20), st.text(max_size=20))
def test_text_that_fits_a_header_survives_it(device: str, project: str):
    port = Port(id="p", network_id="n", mac_address="", project_id=project, device_id=device)
    request = Request(method=b"GET", target=b"/", headers=())
    if fits_header(device) and fits_header(project):
        sent = upstream_request(request, port, "10.0.0.5", b"sig", b"id")
        for name, value in ((INSTANCE_ID, device), (TENANT_ID, project)):
            (field,) = sent.values(name)
            assert field.strip(b" \t").decode("ascii") == value


@given(st.text(max_size=20))
def test_one_line_is_one_line_for_every_reader(text: str):
    if is_one_line(text):
        assert len(text.splitlines()) <= 1
        assert text == text.removesuffix("\n")
