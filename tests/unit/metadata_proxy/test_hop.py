"""The proxy's hop, built from configuration."""

from a9fe.http.report import Report
from a9fe.metadata_proxy.hop import build_hop
from a9fe.runtime.config import load
from a9fe.wire.message import Answer, Request
from tests.kit.http_world import NETWORK, Tally, run, serving

REQUEST = Request(
    method=b"GET", target=b"/latest", headers=(), client_address="10.0.0.5", listener=NETWORK
)


def test_the_metadata_agent_can_be_joined_by_a_call():
    seen = []

    def agent(request: Request) -> Answer:
        seen.append(request)
        return Answer(status=200, headers=((b"x-a9fe-hop-limit", b"2"),), body=b"ours")

    async def main():
        hop = build_hop(load(), Report("metadata-proxy", Tally()), upstream=agent)
        answer = hop.outgoing(hop.handler(REQUEST))
        await hop.close()
        return answer

    answer = run(main)
    assert (answer.body, answer.headers, answer.hop_limit) == (b"ours", (), 2)
    assert seen[0].values(b"x-neutron-network-id") == [b"net-1"]


def test_the_metadata_agent_is_asked_on_the_configured_socket(tmp_path):
    path = str(tmp_path / "agent")

    async def main():
        async with serving(lambda _: Answer(status=204), path=path):
            config = load({"metadata_proxy_socket": path})
            hop = build_hop(config, Report("metadata-proxy", Tally()))
            answer = await hop.handler(REQUEST)
            await hop.close()
            return answer.status

    status = run(main)
    assert status == 204
