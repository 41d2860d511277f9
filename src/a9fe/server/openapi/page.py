"""Render the OpenAPI document as one HTML page without scripts or external resources."""

import html
import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from a9fe.server.openapi.document import METHODS, Json

SERVER = "http://127.0.0.1:9696"

STYLE = """
:root { color-scheme: light dark; --line: #d8dee4; --soft: #f6f8fa; --text: #1f2328;
  --muted: #59636e; --page: #fff; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #151b23; --text: #e6edf3;
  --muted: #9198a1; --page: #0d1117; --link: #79c0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; display: grid; grid-template-columns: 15rem 1fr; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.2rem;
  border-right: 1px solid var(--line); background: var(--soft); }
nav h1 { font-size: 1.3rem; margin: 0 0 .8rem; }
nav a { display: block; padding: .15rem 0; color: var(--text); text-decoration: none; }
nav a:hover { color: var(--link); text-decoration: underline; }
main { padding: 1.2rem 2rem 4rem; max-width: 62rem; min-width: 0; }
a { color: var(--link); }
h2 { margin: 2.2rem 0 .6rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.1rem 0 .3rem; font-size: .82rem; text-transform: uppercase;
  letter-spacing: .05em; color: var(--muted); }
details.operation { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; }
summary { display: flex; gap: .8rem; align-items: baseline; padding: .45rem .7rem;
  cursor: pointer; list-style: none; flex-wrap: wrap; }
summary::-webkit-details-marker { display: none; }
details[open] > summary { background: var(--soft); border-bottom: 1px solid var(--line); }
.inside { padding: 0 1rem 1rem; }
.method { flex: none; width: 4.3rem; text-align: center; border-radius: 4px; color: #fff;
  font: 600 12px/1.8 ui-monospace, monospace; }
.get { background: #0969da; } .post { background: #1a7f37; } .put { background: #9a6700; }
.patch { background: #8250df; } .delete { background: #cf222e; }
h3 code { text-transform: none; letter-spacing: 0; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
summary .about { color: var(--muted); margin-left: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 600; } td:first-child { white-space: nowrap; overflow-wrap: normal; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px;
  padding: .7rem; overflow-x: auto; margin: .3rem 0; }
.needed { color: #cf222e; } .muted { color: var(--muted); }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; }
  main { padding: 1rem; } }
"""


def page(document: Json) -> str:
    """Return the HTML page of an OpenAPI document."""
    chapters = _chapters(document)
    info = document["info"]
    links = "".join(f'<a href="#{_anchor(t)}">{_text(t)}</a>' for t in chapters)
    body = "".join(_chapter(document, tag, found) for tag, found in chapters.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(info['title'])} API</title><style>{STYLE}</style></head><body>"
        f"<nav><h1>{_text(info['title'])} API</h1>{links}</nav><main>"
        f"{_about(info)}{body}</main></body></html>\n"
    )


def _about(info: Json) -> str:
    paragraphs = "".join(f"<p>{_inline(p)}</p>" for p in info["description"].split("\n\n"))
    return (
        f"{paragraphs}<p>Version {_text(info['version'])}. The OpenAPI document: "
        '<a href="openapi.json">openapi.json</a>. If the server requires API tokens, send one in '
        "<code>X-Auth-Token</code>; otherwise send the project in "
        "<code>X-Project-Id</code>.</p>"
    )


def _inline(text: str) -> str:
    """Return text as HTML, with `...` as <code>."""
    parts = text.split("`")
    return "".join(
        f"<code>{_text(part)}</code>" if index % 2 else _text(part)
        for index, part in enumerate(parts)
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _anchor(tag: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in tag.lower())


Found = tuple[str, str, Json, list[Json]]


def _chapters(document: Json) -> dict[str, list[Found]]:
    """Return tuples (method, path, operation, parameters) by tag, in the document's order."""
    chapters: dict[str, list[Found]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                found = (method, path, operation, parameters)
                chapters.setdefault(operation["tags"][0], []).append(found)
    return chapters


def _chapter(document: Json, tag: str, found: Iterable[Found]) -> str:
    shown = "".join(_operation(document, *one) for one in found)
    return f'<h2 id="{_anchor(tag)}">{_text(tag)}</h2>{shown}'


def _operation(
    document: Json, method: str, path: str, operation: Json, parameters: list[Json]
) -> str:
    parts = [
        _parameters(parameters),
        _body(document, operation),
        _examples(operation),
        _answers(document, operation),
    ]
    return (
        f'<details class="operation" id="{_text(operation["operationId"])}"><summary>'
        f'<span class="method {method}">{method.upper()}</span>'
        f'<code>{_text(path)}</code><span class="about">{_text(operation["summary"])}</span>'
        f'</summary><div class="inside">{"".join(parts)}</div></details>'
    )


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return an HTML table; the cells of `rows` are HTML. "" without rows."""
    lines = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
    return f"<table>{lines}</table>" if lines else ""


def _parameters(parameters: list[Json]) -> str:
    rows = _table(
        (
            f"<code>{_text(p['name'])}</code>{_needed(bool(p.get('required')))}",
            f'<span class="muted">{_text(p["in"])}</span>',
            _text(p.get("description", "")),
        )
        for p in parameters
    )
    return f"<h3>Parameters</h3>{rows}" if rows else ""


def _needed(needed: bool) -> str:  # noqa: FBT001 - the only argument
    return ' <span class="needed" title="required">*</span>' if needed else ""


def _resolved(document: Json, schema: Json) -> Json:
    reference = schema.get("$ref")
    if not reference:
        return schema
    found: Json = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _unwrapped(document: Json, schema: Json) -> tuple[str, Json]:
    """Return the envelope's name ("network", "" for none) and the schema of the object inside.

    Of alternatives, the first one counts.
    """
    for option in ("oneOf", "anyOf"):
        if option in schema:
            schema = schema[option][0]
    properties = schema.get("properties", {})
    if len(properties) != 1:
        return "", _resolved(document, schema)
    [(name, inner)] = properties.items()
    inner = inner.get("items", inner)
    return name, _resolved(document, inner)


def _body(document: Json, operation: Json) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return ""
    name, schema = _unwrapped(document, content["schema"])
    rows = _properties(document, schema)
    title = f"Body: <code>{_text(name)}</code>" if name else "Body"
    return f"<h3>{title}</h3>{rows}" if rows else ""


def _properties(document: Json, schema: Json) -> str:
    required = schema.get("required", [])
    return _table(
        (
            f"<code>{_text(name)}</code>{_needed(name in required)}",
            f'<span class="muted">{_text(kind(document, given))}</span>',
            _notes(given),
        )
        for name, given in schema.get("properties", {}).items()
    )


def kind(document: Json, schema: Json) -> str:
    """Return a schema's type in a few words, such as "list of text"."""
    schema = _resolved(document, schema)
    if "const" in schema:
        return f"only {json.dumps(schema['const'])}"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    for option in ("anyOf", "oneOf"):
        if option in schema:
            return " or ".join(kind(document, s) for s in schema[option])
    kinds = schema.get("type", "any")
    names = [_word(document, k, schema) for k in (kinds if isinstance(kinds, list) else [kinds])]
    return " or ".join(names)


def _word(document: Json, name: str, schema: Json) -> str:
    if name == "array":
        items = schema.get("items")
        return f"list of {kind(document, items)}" if items else "list"
    if name == "string":
        return str(schema.get("format", "text")).replace("byte", "base64")
    if name == "object" and schema.get("properties"):
        return "{" + ", ".join(schema["properties"]) + "}"
    return {"integer": "number"}.get(name, name)


def _notes(schema: Mapping[str, Any]) -> str:
    notes = [_text(schema["description"])] if "description" in schema else []
    if "default" in schema:
        notes.append(f"default <code>{_text(json.dumps(schema['default']))}</code>")
    limits = [schema[n] for n in ("minimum", "maximum") if n in schema]
    if len(limits) == 2:
        notes.append(f"{limits[0]} to {limits[1]}")
    if "maxLength" in schema and schema["maxLength"] != 255:
        notes.append(f"at most {schema['maxLength']} characters")
    return ", ".join(notes)


def _examples(operation: Json) -> str:
    shown = "".join(f"<pre>{_text(_curl(call))}</pre>" for call in operation.get("x-examples", []))
    return f"<h3>Example</h3>{shown}" if shown else ""


def _curl(call: Json) -> str:
    words = ["curl", "-sS"]
    if call["method"] != "GET":
        words += ["-X", call["method"]]
    for name, value in call.get("headers", {}).items():
        words += ["-H", shlex.quote(f"{name}: {value}")]
    line = " ".join([*words, shlex.quote(SERVER + call["path"])])
    if "body" not in call:
        return line
    body = json.dumps(call["body"], indent=2, ensure_ascii=False)
    return f"{line} --json {shlex.quote(body)}"


def _answers(document: Json, operation: Json) -> str:
    rows = _table(
        (
            f"<code>{_text(status)}</code>",
            _text(answer["description"]),
            f'<span class="muted">{_text(_content(document, answer))}</span>',
        )
        for status, answer in sorted(operation["responses"].items())
    )
    good = next(a for s, a in sorted(operation["responses"].items()))
    content = good.get("content", {}).get("application/json")
    name, schema = _unwrapped(document, content["schema"]) if content else ("", {})
    fields = _properties(document, schema)
    answered = f"<h3>Answer: <code>{_text(name)}</code></h3>{fields}" if fields and name else ""
    return f"<h3>Statuses</h3>{rows}{answered}"


def _content(document: Json, answer: Json) -> str:
    for media, content in answer.get("content", {}).items():
        reference = content["schema"].get("$ref", "")
        if reference:
            return str(reference.rpartition("/")[2])
        name = _unwrapped(document, content["schema"])[0]
        return f"{{{name}}}" if name else str(media)
    return ""
