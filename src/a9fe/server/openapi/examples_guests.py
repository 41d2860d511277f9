"""The examples of what guests write and operators announce, to the examples' instance."""

from a9fe.server.openapi.examples import delete, get, post, put

ONE = "/a9fe/v1/instances/{instance}"
GUESTS = (
    put(f"{ONE}/password", {"password": "bG9uZyBhbmQgZW5jcnlwdGVk"}),
    get(f"{ONE}/password"),
    delete(f"{ONE}/password", 200),
    get(f"{ONE}/config-drive?format=nocloud"),
    put(f"{ONE}/guest-attributes/health/state", {"value": "ready"}),
    get(f"{ONE}/guest-attributes"),
    delete(f"{ONE}/guest-attributes/health/state", 200),
    post(
        f"{ONE}/events",
        {
            "event": {
                "code": "system-reboot",
                "description": "a new kernel on the host",
                "not_before": "2026-11-29T02:00:00Z",
                "not_after": "2026-11-29T04:00:00Z",
            }
        },
        event="event.id",
    ),
    get(f"{ONE}/events"),
    post(f"{ONE}/events/{{event}}/acknowledge", None, 200),
    put(f"{ONE}/events/{{event}}", {"event": {"state": "completed"}}),
    post(
        "/a9fe/v1/imds-usage",
        {
            "host": "node1",
            "usage": [
                {
                    "instance_id": "{instance}",
                    "v1_requests": 12,
                    "v2_requests": 3,
                    "v1_last_at": "2026-11-22T15:00:00Z",
                    "v2_last_at": "2026-11-22T15:00:05Z",
                }
            ],
        },
        200,
    ),
    get("/a9fe/v1/imds-usage"),
)
