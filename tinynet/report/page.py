"""Renders the template, style and scripts as one HTML file, with a policy that allows no other code."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from pathlib import Path
from typing import Any

from ..arrays.optional import optional_import
from ..files.archive import replacing

HERE = Path(__file__).parent


def checked(path: str | os.PathLike[str]) -> Path:
    """Return the path. Raises OSError if no file can be written there, and ImportError without jinja2."""
    optional_import("jinja2", "examples")
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"report: expected the path of a file, got the folder {target}; add a file name")
    if not target.parent.is_dir():
        cause = f"expected a path in an existing folder, got {target}; make {target.parent} first"
        raise FileNotFoundError(f"report: {cause}")
    return target


def write(facts: dict[str, Any], path: Path) -> None:
    """Write the page atomically."""
    text = render(facts)
    with replacing(path) as file:
        file.write(text.encode("utf-8", errors="replace"))


def render(facts: dict[str, Any]) -> str:
    """Return the page as text."""
    jinja2 = optional_import("jinja2", "examples")
    loader, undefined = jinja2.FileSystemLoader(HERE), jinja2.StrictUndefined
    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(loader=loader, undefined=undefined, **options)
    environment.filters["breakable"] = breakable
    style = (HERE / "style.css").read_text(encoding="utf-8")
    scripts = sorted((HERE / "script").glob("*.js"), key=_order)
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    best = max(facts["networks"], key=lambda network: network["validation"][1] or 0)
    return environment.get_template("page.html.j2").render(
        facts=facts,
        best=best,
        policy=policy(style, script),
        style=style,
        script=script,
        facts_as_json=json_for_html({name: fact for name, fact in facts.items() if name != "table"}),
    )


def breakable(name: str) -> str:
    """Return a name as HTML, with line breaks allowed after an x between two numbers."""
    return re.sub(r"(?<=\d)x(?=\d)", "x<wbr>", html.escape(name))


def policy(style: str, script: str) -> str:
    """Return a content security policy that allows only this style, this script and pictures made by the page."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_for_html(value: Any) -> str:
    """Return JSON with <, > and & escaped, so that no text in it can close the script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _order(script: Path) -> tuple[bool, bool, str]:
    """Return the key to sort scripts by: dom.js is first, because it says "use strict", and main.js starts the page."""
    return script.name != "dom.js", script.name == "main.js", script.name


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
