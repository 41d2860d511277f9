"""IMDSv2 at the service: issuing tokens, checking them, and the refusals."""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import product

import pytest

from a9fe.metadata.imds_tokens import Tokens
from a9fe.metadata.instance_view import Settings
from a9fe.metadata_service.guest_call import GuestCall
from a9fe.metadata_service.parts import token_gate_of
from a9fe.metadata_service.token_gate import TOKEN, TTL, TokenGate
from a9fe.metadata_service.usage_reports import UsageTally
from a9fe.model.guest import HTTP_TOKENS, MetadataOptions
from a9fe.model.resources import Port
from a9fe.runtime.config import load
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse
from a9fe.wire.trusted import HOP_LIMIT, OUR_HOP, sign
from tests.golden.metadata.scenarios import INSTANCE_ID, PROJECT, one_card, several_cards, zeros
from tests.kit.service_world import (
    LOST_AFTER,
    NOW,
    ORIGIN,
    OTHER_ID,
    RESOURCES,
    SECRET,
    SYNCED,
    FakeSource,
    always_certain,
    signed,
    signed_service,
    without,
)

API = b"/latest/api/token"
USER_DATA = b"/latest/user-data"
PATHS = (b"/", b"/latest", USER_DATA, b"/openstack/latest/meta_data.json", b"/latest/api/token")
OTHER_MODES = ("optional", "observe", "required")


@dataclass
class World:
    """A service with tokens, a clock, and its counts and refusals."""

    options: MetadataOptions = field(
        default_factory=lambda: MetadataOptions(http_tokens="required")
    )
    now: float = NOW
    resources: tuple[object, ...] = RESOURCES
    counted: Counter[int] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        def refusing(refusal: Refusal, *_: object) -> Answer:
            self.refused.append(refusal)
            return refuse(refusal)

        imds = TokenGate(tokens=Tokens(SECRET), options=self.options, count=self._count)
        answer = signed_service(
            confirm=always_certain,
            source=FakeSource(self.resources, SYNCED),  # type: ignore[arg-type] - resources all
            settings=Settings,
            now=lambda: self.now,
            random_bytes=zeros,
            source_lost_after=LOST_AFTER,
            refuse=refusing,
            gates=(imds.gate,),
            actions=imds.actions,
        )(request)
        assert isinstance(answer, Answer)
        return answer

    def _count(self, _: GuestCall, version: int) -> None:
        self.counted[version] += 1

    def of_instance(self, **own: object) -> "World":
        """Return a world whose instance has these metadata options."""
        of = replace(RESOURCES[0], metadata_options=MetadataOptions(**own))  # type: ignore[arg-type] - each its own
        return replace(self, resources=(of, *self.resources[1:]))

    def token(self, ttl: bytes = b"60", **more: object) -> bytes:
        answer = self(put(ttl, **more))
        assert answer.status == 200, answer
        return answer.body


@pytest.fixture
def world() -> World:
    return World()


def put(
    *ttls: bytes, target: bytes = API, header: bytes = TTL[0], instance_id: str = INSTANCE_ID
) -> Request:
    extra = tuple((header, ttl) for ttl in ttls)
    return signed(target, method=b"PUT", instance_id=instance_id, extra=extra)


def with_token(
    *tokens: bytes, target: bytes = USER_DATA, header: bytes = TOKEN[0], **more: str
) -> Request:
    return signed(target, extra=tuple((header, token) for token in tokens), **more)


# -- Issuing -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", OTHER_MODES)
@pytest.mark.parametrize("ttl", [b"1", b"60", b"21600"])
def test_a_token_is_text_with_its_time_to_live(mode: str, ttl: bytes):
    answer = World(options=MetadataOptions(http_tokens=mode))(put(ttl))
    assert answer.status == 200
    assert answer.headers == ((b"content-type", b"text/plain"), (TTL[0], ttl))
    assert 0 < len(answer.body) <= 256


@pytest.mark.parametrize("ttls", [(), (b"0",), (b"21601",), (b"",), (b"six",), (b"60", b"60")])
def test_without_a_valid_time_to_live_it_is_400_and_names_the_header(
    world: World, ttls: tuple[bytes, ...]
):
    answer = world(put(*ttls))
    assert (answer.status, world.refused) == (400, [Refusal.TOKEN_TTL])
    assert TTL[0] in answer.body.lower()


@pytest.mark.parametrize(("ttl", "token"), list(product(TTL, TOKEN)))
def test_both_families_of_header_names_are_accepted(world: World, ttl: bytes, token: bytes):
    given = world(put(b"60", header=ttl))
    assert dict(given.headers)[ttl] == b"60"
    assert world(with_token(given.body, header=token)).status == 200


def forwarded(request: Request, *values: bytes) -> Request:
    bare = without(request, b"x-forwarded-for")
    more = tuple((b"x-forwarded-for", value) for value in values)
    return replace(bare, headers=(*bare.headers, *more))


def test_a_forwarded_request_gets_no_token(world: World):
    asked = put(b"60")
    for request in (
        replace(asked, headers=(*asked.headers, (b"x-a9fe-guest-forwarded", b"1"))),
        forwarded(asked, b"10.9.9.9, 10.1.0.7"),
        forwarded(asked, b"10.9.9.9", b"10.1.0.7"),
    ):
        assert world(request).status == 403
    assert world.refused == [Refusal.FORWARDED] * 3
    assert world(forwarded(asked, b"10.1.0.7")).status == 200


def test_where_tokens_are_off_none_is_issued(world: World):
    off = world.of_instance(http_tokens="off")
    assert off(put(b"60")).status == 403
    assert off.refused == [Refusal.TOKENS_OFF]
    assert off(with_token(b"nonsense")).status == 200


@pytest.mark.parametrize("version", [b"1.0", b"2009-04-04", b"2021-03-23"])
def test_a_dated_version_issues_no_tokens(world: World, version: bytes):
    assert world(put(b"60", target=b"/" + version + b"/api/token")).status == 403
    assert world.refused == [Refusal.TOKEN_DATED]


@pytest.mark.parametrize(
    "target", [b"/nonsense/api/token", b"/latest/api", b"/latest/api/token/x"]
)
def test_other_paths_near_the_tokens_are_404(world: World, target: bytes):
    token = world.token()
    extra = ((TOKEN[0], token), (TTL[0], b"60"))
    assert world(signed(target, method=b"PUT", extra=extra)).status == 404


def test_a_trailing_slash_does_not_matter(world: World):
    assert world(put(b"60", target=API + b"/")).status == 200


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS"])
@pytest.mark.parametrize("mode", HTTP_TOKENS)
def test_other_methods_are_405_and_allow_put(mode: str, method: bytes):
    answer = World(options=MetadataOptions(http_tokens=mode))(signed(API, method=method))
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"PUT")


def test_without_signature_there_is_no_token(world: World):
    request = without(put(b"60"), b"x-instance-id-signature")
    assert world(request).status == 400
    forged = replace(request, headers=(*request.headers, (b"x-instance-id-signature", b"0")))
    assert world(forged).status == 403


@pytest.mark.parametrize(("cloud", "own", "said"), [(0, 0, None), (2, 0, b"2"), (2, 1, b"1")])
def test_the_hop_limit_is_sent_to_our_proxy_only(
    world: World, cloud: int, own: int, said: bytes | None
):
    world.options = replace(world.options, http_put_response_hop_limit=cloud)
    asked = world.of_instance(http_put_response_hop_limit=own)
    ours = ((OUR_HOP, b"1"),)
    from_ours = signed(API, method=b"PUT", extra=((TTL[0], b"60"), *ours))
    assert dict(asked(from_ours).headers).get(HOP_LIMIT) == said
    assert HOP_LIMIT not in dict(asked(put(b"60")).headers)  # haproxy would show it to the guest
    assert HOP_LIMIT not in dict(asked(with_token(asked.token())).headers)


# -- Checking ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS[:-1])
def test_required_applies_to_every_path(world: World, path: bytes):
    for method in (b"GET", b"HEAD", b"POST"):
        assert world(signed(path, method=method)).status == 401
    assert set(world.refused) == {Refusal.NO_TOKEN}
    assert world(with_token(world.token(), target=path)).status == 200


@pytest.mark.parametrize("mode", ["optional", "observe"])
@pytest.mark.parametrize("path", PATHS[:-1])
def test_in_other_modes_a_token_is_optional(mode: str, path: bytes):
    world = World(options=MetadataOptions(http_tokens=mode))
    assert world(signed(path)).status == 200


@pytest.mark.parametrize("mode", OTHER_MODES)
def test_a_token_that_is_sent_must_be_valid(mode: str):
    world = World(options=MetadataOptions(http_tokens=mode))
    token = world.token(b"60")
    other = replace(RESOURCES[0], id=OTHER_ID)
    world.resources = (*RESOURCES, other)
    altered = bytes([token[0] ^ 1]) + token[1:]
    foreign = world.token(instance_id=OTHER_ID)
    for request in (
        with_token(b""),
        with_token(b"nonsense"),
        with_token(altered),
        with_token(foreign),
        with_token(token, instance_id=OTHER_ID),
        with_token(token, token),
        with_token(token, altered),
    ):
        assert world(request).status == 401
    world.now += 60
    assert world(with_token(token)).status == 401
    assert world.refused == [Refusal.BAD_TOKEN] * 8


def card(resources: tuple[object, ...], number: int) -> tuple[bytes, bytes]:
    ports = [r for r in resources if isinstance(r, Port)]
    return (b"x-a9fe-port-id", ports[number].id.encode())


def test_a_token_is_valid_at_its_own_port_only(world: World):
    view = several_cards()
    world.resources = (
        view.instance,
        *view.ports,
        *view.networks.values(),
        *view.subnets.values(),
    )
    ids = {"instance_id": view.instance.id, "tenant_id": view.instance.project_id}
    here, there = card(world.resources, 0), card(world.resources, 1)
    asked = signed(API, method=b"PUT", extra=((TTL[0], b"60"), here), **ids)
    token = (TOKEN[0], world(asked).body)
    assert world(signed(USER_DATA, extra=(token, there), **ids)).status == 401
    assert world(signed(b"/latest", extra=(token, here), **ids)).status == 200
    assert world(signed(b"/latest", extra=(token,), **ids)).status == 401


def test_required_begins_at_its_time(world: World):
    made = replace(RESOURCES[0], created_at="2026-11-22T15:00:00Z")
    world = replace(
        world,
        options=MetadataOptions(http_tokens="observe", http_tokens_required_after=300),
        resources=(made, *RESOURCES[1:]),
    )
    world.now = 1795359600.0 + 299
    assert world(signed(USER_DATA)).status == 200
    world.now += 1
    assert world(signed(USER_DATA)).status == 401
    assert world(with_token(world.token())).status == 200


def test_the_clouds_options_apply_where_the_instance_has_none(world: World):
    assert world(signed()).status == 401
    assert world.of_instance(http_tokens="optional")(signed()).status == 200
    assert world.of_instance(http_put_response_hop_limit=2)(signed()).status == 401


def test_the_root_needs_no_token_without_signature(world: World):
    assert world(Request(method=b"GET", target=b"/", headers=())).status == 200
    assert world(signed(b"/")).status == 401


def test_a_forged_instance_id_does_not_choose_the_mode(world: World):
    assert world(signed(b"/", instance_id=OTHER_ID)).status == 200
    headers = (
        (b"x-instance-id", INSTANCE_ID.encode()),
        (b"x-tenant-id", PROJECT.encode()),
        (b"x-instance-id-signature", sign("another secret", INSTANCE_ID).encode()),
    )
    assert world(Request(method=b"GET", target=USER_DATA, headers=headers)).status == 403


# -- Counting ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", HTTP_TOKENS)
def test_every_request_of_an_instance_is_counted_once(mode: str):
    world = World(options=MetadataOptions(http_tokens=mode))
    v1 = [signed(path) for path in PATHS] + [signed(b"/nothing"), signed(method=b"POST")]
    v2 = [put(b"60"), put(b"0"), put(b"60", target=b"/2009-04-04/api/token")]
    v2 += [with_token(b"nonsense"), with_token(b"a", b"b")]
    for request in (*v1, *v2):
        world(request)
    world(without(signed(), b"x-instance-id"))
    assert world.counted == {1: len(v1), 2: len(v2)}


# -- The cloud's options -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, MetadataOptions(http_tokens="optional")),
        (
            {"http_tokens": "observe", "http_tokens_required_after": "0"},
            MetadataOptions(http_tokens="observe", http_tokens_required_after=0),
        ),
        (
            {"http_tokens": "required", "http_put_response_hop_limit": "2"},
            MetadataOptions(http_tokens="required", http_put_response_hop_limit=2),
        ),
    ],
)
def test_the_options_of_the_cloud(given: dict[str, str], options: MetadataOptions):
    config = load(given)
    assert token_gate_of(config, UsageTally(), SECRET).options == options


def test_counts_are_those_of_the_instance():
    tally = UsageTally()
    imds = token_gate_of(load(), tally, SECRET)
    view = one_card()
    for request in (signed(), signed(), with_token(b"x")):
        imds.gate(
            GuestCall(
                origin=ORIGIN,
                request=request,
                path="/latest",
                query={},
                view=view,
                port_id="",
                now=NOW,
            )
        )
    assert {id: counts.requests for id, counts in tally.take().items()} == {
        view.instance.id: [2, 1]
    }
