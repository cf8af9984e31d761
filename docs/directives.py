"""Directives that connect the book to the code: functions from the source, formulas that match docstrings, links."""

from __future__ import annotations

import inspect
import itertools
import pydoc
import re
import textwrap
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import tinynet as tn
from tinynet import functions


class Source(SphinxDirective):
    """```{source} functions.dense functions.dense_backward``` shows the source of these functions."""

    has_content = False
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        names = self.arguments[0].split()
        objects = [pydoc.locate(f"tinynet.{name}") for name in names]
        if None in objects:
            raise self.error(f"tinynet has no {names[objects.index(None)]}")
        return [self.code_block(path, list(group)) for path, group in itertools.groupby(objects, self.file_of)]

    @staticmethod
    def file_of(found: Any) -> str:
        return inspect.getsourcefile(inspect.unwrap(found)) or ""

    def code_block(self, path: str, objects: list[Any]) -> nodes.Node:
        self.env.note_dependency(path)
        code = "\n\n".join(textwrap.dedent(inspect.getsource(found)).rstrip() for found in objects)
        caption = nodes.caption("", "", nodes.literal(text="tinynet/" + path.rpartition("/tinynet/")[2]))
        block = nodes.literal_block(code, code, language="python")
        return nodes.container("", caption, block, literal_block=True, classes=["literal-block-wrapper"])


class Formula(SphinxDirective):
    """A formula of a function in lines of LaTeX. `says` is its text, which the docstring must contain."""

    has_content = True
    required_arguments = 1
    option_spec: ClassVar = {"says": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        (name,) = self.arguments
        function, says = getattr(functions, name), self.options["says"]
        if says not in " ".join(function.__doc__.split()):
            raise self.error(f"the docstring of {name} does not say {says!r}: {function.__doc__}")
        self.env.note_dependency(functions.__file__)
        latex = r" \\[4pt] ".join([r"\begin{gathered}" + self.content[0], *self.content[1:]]) + r"\end{gathered}"
        math = nodes.math_block(latex, latex, number=None, nowrap=False, **{"no-wrap": False, "label": None})
        line = nodes.paragraph("", "", nodes.literal(text=f"{name}: {says}"), classes=["says"])
        return [nodes.container("", math, line, classes=["formula"])]


def as_rst(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText: keep indented lines and columns as code, and make `names` links."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    lines[:] = "\n\n".join(paragraph(part) for part in paragraphs).splitlines()


def paragraph(text: str) -> str:
    if re.search(r"\S {2,}\S|^ ", text, re.MULTILINE) or "\n  " in text:
        return ".. code-block:: text\n\n" + "\n".join(f"    {line}" for line in text.splitlines())
    pieces = re.split(r"`([^`]+)`", text)
    words = [re.sub(r"([*_|\\])", r"\\\1", piece) if k % 2 == 0 else linked(piece) for k, piece in enumerate(pieces)]
    return "".join(words)


def linked(name: str) -> str:
    bare = name.removeprefix("tn.")
    return f":py:obj:`{name} <tinynet.{bare}>`" if bare in tn.__all__ else f"``{name}``"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("source", Source)
    app.add_directive("formula", Formula)
    app.connect("autodoc-process-docstring", as_rst)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
