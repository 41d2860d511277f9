"""Write the generated pages of docs/. `./run docs` calls this."""

import json
from pathlib import Path

from a9fe.http import metrics_page
from a9fe.metadata import tree_page
from a9fe.server.app import OPERATIONS
from a9fe.server.openapi.document import document as openapi
from a9fe.wire import limits_page, statuses_page

DOCS = Path(__file__).parent


def write(name: str, text: str) -> None:
    """Write a page if it differs."""
    path = DOCS / name
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


write("metadata-tree.md", tree_page.markdown())
write("contracts/statuses.md", statuses_page.markdown())
write("contracts/limits.md", limits_page.markdown())
write("metrics.md", metrics_page.markdown())
write("openapi.json", json.dumps(openapi(OPERATIONS), indent=1, ensure_ascii=False) + "\n")
