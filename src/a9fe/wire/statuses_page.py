"""docs/contracts/statuses.md, generated from the table of refusals."""

from a9fe.wire.refusals import Refusal

_PAGE = """# Statuses of the metadata path

What a guest gets if a hop refuses its request; generated from `wire/refusals.py` by
`./run docs`. Other answers of the metadata service pass unchanged.

1. 404 only when certain: the server has confirmed it. cloud-init takes 404 as final and
   retries 503.
2. What is not certain yet is 503 with Retry-After.
3. An empty list of networks never widens a search.
4. Every refusal has one reason, one counter (`a9fe_refusals_total{reason=}`) and one log line,
   and carries the request id.

| reason | status | retry after, s | the guest reads | the operator reads |
|---|---|---|---|---|
"""


def markdown() -> str:
    """Return the page docs/contracts/statuses.md."""
    rows = sorted(Refusal, key=lambda refusal: (refusal.value.status, refusal.label))
    return _PAGE + "".join(
        f"| {r.label} | {r.value.status} | {r.value.retry_after or ''} | {r.value.text} |"
        f" {r.value.why} |\n"
        for r in rows
    )
