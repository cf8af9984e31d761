"""A mypy plugin: `self.ops.dense` has the type of `functions.dense`, so that mypy checks the arguments of such calls.

`ops` is the module `tinynet.functions` itself, and mypy knows nothing about the attributes of a module in a variable.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.checker import TypeChecker
from mypy.nodes import FuncDef, MemberExpr
from mypy.plugin import AttributeContext, Plugin
from mypy.types import Type

MODULE = "types.ModuleType."


class OpsPlugin(Plugin):
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        return _type_in_functions if fullname.startswith(MODULE) else None


def _type_in_functions(context: AttributeContext) -> Type:
    checker, node = context.api, context.context
    assert isinstance(checker, TypeChecker)
    assert isinstance(node, MemberExpr)
    if not (isinstance(node.expr, MemberExpr) and node.expr.name == "ops"):
        return context.default_attr_type
    symbol = checker.modules["tinynet.functions"].names.get(node.name)
    if symbol and isinstance(symbol.node, FuncDef) and symbol.node.type:
        return symbol.node.type
    checker.fail(f"functions.py has no {node.name!r}", node)
    return context.default_attr_type


def plugin(version: str) -> type[Plugin]:
    return OpsPlugin
