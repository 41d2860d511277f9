"""The order of the examples: what a request needs is made before it, and removed after it."""

import pytest

from a9fe.server.asgi.examples import Example, ExampleRequest, example, ordered, request_of


def request(method: str, path: str, given: Example) -> ExampleRequest:
    return request_of(method, path, given)


def test_a_request_follows_the_one_that_saves_its_variable():
    subnet = request("POST", "/subnets", example({"n": ["{net}"]}, save={"subnet": "id"}))
    shown = request("GET", "/subnets/{id}", example(id="{subnet}"))
    net = request("POST", "/nets", example(save={"net": "id"}))
    other = request("GET", "/", example())
    assert ordered([shown, subnet, net, other]) == (net, subnet, shown, other)


def test_the_last_requests_remove_first_what_was_made_last():
    def made(name: str, needs: str = "") -> ExampleRequest:
        return request(
            "POST", f"/{name}", example(f"{{{needs}}}" if needs else "", save={name: "id"})
        )

    def removed(name: str) -> ExampleRequest:
        return request("DELETE", "/x/{id}", example(204, id=f"{{{name}}}", last=True))

    some = [made("a"), made("b", "c"), made("c"), removed("a"), removed("b"), removed("c")]
    assert [r.save or r.path for r in ordered(some)] == [
        {"a": "id"}, {"c": "id"}, {"b": "id"}, "/x/{b}", "/x/{c}", "/x/{a}"
    ]  # fmt: skip


def test_a_variable_that_nothing_saves_is_an_error():
    with pytest.raises(ValueError, match=r"GET /x/\{y\}: nothing saves \['y'\]"):
        ordered([request("GET", "/x/{id}", example(id="{y}"))])


def test_a_parameter_without_a_value_is_an_error():
    with pytest.raises(KeyError, match="id"):
        request("GET", "/x/{id}", example())
