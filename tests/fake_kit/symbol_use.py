# SPDX-License-Identifier: Apache-2.0
"""Static check: every Kit symbol that a file uses is in the list, called as listed, and used where its tier allows."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from fake_kit.bindings import Bindings, Kind, Ref, Scope
from fake_kit.places import Place
from fake_kit.table import LIST, Symbol, Table, table

MODULES_BY_REASON = {
    "omni.isaac": "removed in Isaac Sim 5; the packages are called isaacsim.* now",
    "carb.events": "event streams are deprecated: use carb.eventdispatcher",
    "omni.kit.pipapi": "installs packages while Kit starts, for every other extension too",
    "omni.kit.ui": "the old editor menu: use omni.kit.menu.utils",
    "isaacsim.core.utils": "deprecated in Isaac Sim 6",
    "isaacsim.core.api": "deprecated in Isaac Sim 6",
    "omni.kit.window.popup_dialog": "not in every Kit application",
}
ATTRIBUTES = {
    "create_subscription_to_pop": "event streams are deprecated: use carb.eventdispatcher",
    "create_subscription_to_pop_by_type": "event streams are deprecated: use carb.eventdispatcher",
    "get_update_event_stream": "event streams are deprecated: use carb.eventdispatcher",
    "get_stage_event_stream": "event streams are deprecated: use carb.eventdispatcher",
    "run_until_complete": "Kit drives the event loop, one iteration per frame",
}
STANDARD = {
    "sys.executable": "that is Kit, not Python",
    "asyncio.create_subprocess_exec": "Kit runs one iteration of the event loop per frame: use subprocess.Popen",
    "asyncio.create_subprocess_shell": "Kit runs one iteration of the event loop per frame: use subprocess.Popen",
    "asyncio.run": "Kit drives the event loop",
    "builtins.print": "use carb.log_*",
    "time.sleep": "the window stands still",
}
HEAVY = ("torch", "diffusers", "gsplat", "numpy", "scipy", "PIL", "lyra_core", "usd_export")
EXCEPTIONS = {
    ("worker_client.py", "time.sleep"): "the waiting of scripts, outside Kit's loop",
    ("_paths.py", "usd_export"): "where it is looked for and imported on demand",
}


@dataclass(frozen=True)
class Finding:
    """Something that is not allowed, and where."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def check(source: str, place: Place, *, name: str = "") -> list[str]:
    """What is not allowed in a file, in the order of its lines."""
    visitor = _Check(ast.parse(source), place, name)
    return [str(finding) for finding in sorted(set(visitor.findings), key=lambda finding: finding.line)]


def modules_used(source: str) -> set[str]:
    """Listed modules that a file uses, inside functions too."""
    visitor = _Check(ast.parse(source), Place.KIT, "")
    return visitor.modules


class _Check(ast.NodeVisitor):
    """Walks a file with the scope it is in."""

    def __init__(self, tree: ast.Module, place: Place, name: str) -> None:
        self._table: Table = table()
        self._bindings = Bindings(tree, self._table)
        self._scope: Scope = self._bindings.module
        self._place = place
        self._name = name
        self._optional = 0  # depth of `try` with a handler for ImportError
        self._typing = 0  # depth of `if TYPE_CHECKING`
        self.findings: list[Finding] = []
        self.modules: set[str] = set()
        self.generic_visit(tree)

    # ------------------------------------------------------------ scopes and blocks

    def visit(self, node: ast.AST) -> None:
        """Enter the scope of a function or class."""
        inner = self._scope.children.get(id(node))
        if inner is None:
            super().visit(node)
            return
        outer, self._scope = self._scope, inner
        self.generic_visit(node)
        self._scope = outer

    def visit_Try(self, node: ast.Try) -> None:
        """Imports in a `try` for ImportError are optional ones."""
        handles = any(_catches_import_error(handler.type) for handler in node.handlers)
        self._optional += handles
        for child in node.body:
            self.visit(child)
        self._optional -= handles
        for rest in [*node.handlers, *node.orelse, *node.finalbody]:
            self.visit(rest)

    def visit_With(self, node: ast.With) -> None:
        """`with suppress(ImportError)` is a `try` as well."""
        suppresses = any(
            isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func).endswith("suppress")
            and any(_catches_import_error(argument) for argument in item.context_expr.args)
            for item in node.items
        )
        self._optional += suppresses
        self.generic_visit(node)
        self._optional -= suppresses

    def visit_If(self, node: ast.If) -> None:
        """What is imported for types only is not imported."""
        typing = ast.unparse(node.test).endswith("TYPE_CHECKING")
        self._typing += typing
        for child in node.body:
            self.visit(child)
        self._typing -= typing
        self.visit(node.test)
        for child in node.orelse:
            self.visit(child)

    # ------------------------------------------------------------ imports

    def visit_Import(self, node: ast.Import) -> None:
        """Check each module."""
        for alias in node.names:
            self._module(node, alias.name)
            if alias.name in self._table.modules:
                rows = [row for row in self._table if row.module == alias.name and row.exported]
                self._imported(node, alias.name, rows)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Check each name."""
        if node.level or not node.module:
            return
        self._module(node, node.module)
        for alias in node.names:
            ref = self._bindings.attribute(self._bindings.module_ref(node.module), alias.name)
            if ref and ref.kind is Kind.UNLISTED and self._table.is_package(node.module):
                self._unlisted(node, ref.name)
            elif ref and ref.kind is Kind.MODULE:
                rows = [row for row in self._table if row.module == ref.name and row.exported]
                self._imported(node, ref.name, rows)
            elif ref and ref.kind is Kind.SYMBOL:
                row = self._table.get(ref.name)
                self._imported(node, ref.name, [row] if row else [])
                self._use(node, ref.name)
            elif ref and ref.kind is Kind.STANDARD:
                self._standard(node, ref.name)

    def _module(self, node: ast.AST, name: str) -> None:
        root = name.split(".")[0]
        if root in HEAVY and self._place.in_extension and (self._name, root) not in EXCEPTIONS:
            self._find(node, f"{root} is not imported inside Kit")
        if self._table.is_package(root) and not self._table.is_package(name):
            self._unlisted(node, name)

    def _imported(self, node: ast.AST, name: str, rows: list[Symbol]) -> None:
        """Whether an import may stand where it stands."""
        tiers = {row.tier for row in rows}
        if not rows or self._typing or tiers <= {"T", "X"}:
            return
        late = self._scope.in_function
        if self._place is Place.FREE:
            self._find(node, f"{name}: this module does without Kit")
        elif self._place is Place.LAZY and not late:
            self._find(node, f"{name} is imported inside functions only, here")
        elif self._place in (Place.KIT, Place.LAZY) and tiers == {"O"} and not (late and self._optional):
            self._find(node, f"{name} is optional: import it inside a function, in a try for ImportError")
        elif self._place.in_extension and not late and all(row.local for row in rows):
            self._find(node, f"{name} is imported inside functions only")

    # ------------------------------------------------------------ uses

    def visit_Name(self, node: ast.Name) -> None:
        """Check a name."""
        self._reference(node, self._bindings.resolve(node, self._scope))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Check a chain."""
        if node.attr in ATTRIBUTES:
            self._find(node, f"{node.attr}: {ATTRIBUTES[node.attr]}")
        self._reference(node, self._bindings.resolve(node, self._scope))
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        """Check the arguments of a call of a listed symbol, and modules that are imported by their name."""
        function = self._bindings.resolve(node.func, self._scope)
        if function == Ref(Kind.STANDARD, "importlib.import_module") and isinstance(node.args[0], ast.Constant):
            self._module(node, str(node.args[0].value))
        if function == Ref(Kind.STANDARD, "builtins.getattr"):
            self._reference(node, self._bindings.resolve(node, self._scope))
        if function and function.kind is Kind.SYMBOL and self._table.get(function.name):
            self._arguments(node, function.name)
        self.generic_visit(node)

    def _reference(self, node: ast.AST, ref: Ref | None) -> None:
        if ref is None:
            return
        if ref.kind is Kind.UNLISTED:
            self._unlisted(node, ref.name)
        elif ref.kind is Kind.SYMBOL:
            self._use(node, ref.name)
        elif ref.kind is Kind.STANDARD:
            self._standard(node, ref.name)

    def _use(self, node: ast.AST, name: str) -> None:
        row = self._table.get(name)
        if row is None:
            return
        self.modules.add(row.module)
        if row.tier == "T" and self._place is not Place.TESTS:
            self._find(node, f"{name} is for tests inside Kit only")
        elif row.tier == "X" and self._place not in (Place.ISAAC_LAB, Place.EXAMPLE):
            self._find(node, f"{name} is for examples and Isaac Lab only")
        elif self._place is Place.FREE and not self._typing:
            self._find(node, f"{name}: this module does without Kit")

    def _standard(self, node: ast.AST, name: str) -> None:
        if self._place.in_extension and name in STANDARD and (self._name, name) not in EXCEPTIONS:
            self._find(node, f"{name.removeprefix('builtins.')}: {STANDARD[name]}")

    def _arguments(self, node: ast.Call, name: str) -> None:
        signature = self._table.signature(name)
        if signature is None:
            self._find(node, f"{name} is not called, according to {LIST}")
            return
        problem = _misfit(signature, node)
        if problem:
            self._find(node, f"{name}{signature}: {problem}")

    def _unlisted(self, node: ast.AST, name: str) -> None:
        dotted = name.replace(":", ".")
        reasons = (why for module, why in MODULES_BY_REASON.items() if f"{dotted}.".startswith(f"{module}."))
        self._find(node, f"{name} is not in {LIST}" + "".join(f" ({why})" for why in reasons))

    def _find(self, node: ast.AST, text: str) -> None:
        self.findings.append(Finding(getattr(node, "lineno", 0), text))


def _misfit(signature: inspect.Signature, node: ast.Call) -> str:
    """Why the arguments of a call do not fit; empty if they do. Unpacked arguments are not counted."""
    unpacked = any(isinstance(argument, ast.Starred) for argument in node.args)
    unpacked = unpacked or any(keyword.arg is None for keyword in node.keywords)
    positional = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
    named = {keyword.arg: None for keyword in node.keywords if keyword.arg is not None}
    try:
        bind = signature.bind_partial if unpacked else signature.bind
        bind(*positional, **named)
    except TypeError as error:
        return str(error)
    return ""


def _catches_import_error(node: ast.expr | None) -> bool:
    names = {child.id for child in _walk(node) if isinstance(child, ast.Name)}
    return bool(names & {"ImportError", "ModuleNotFoundError"})


def _walk(node: ast.expr | None) -> Iterator[ast.AST]:
    return ast.walk(node) if node is not None else iter(())
