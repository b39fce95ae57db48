# SPDX-License-Identifier: Apache-2.0
"""What the names and attributes of a source file refer to, as far as the file itself tells.

Imports (with aliases), local assignments, `self` attributes, `with ... as`, annotations and the return values in
the list of symbols are followed; what comes from elsewhere is unknown, and the fake Kit sees it at run time.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from enum import Enum

from fake_kit.table import Table

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scoped = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
WATCHED_STANDARD = ("asyncio", "builtins", "importlib", "sys", "time")


class Kind(Enum):
    """Kinds of reference."""

    MODULE = "a listed module or a package above one"
    SYMBOL = "a listed symbol, or names above one"
    INSTANCE = "an object of a listed class"
    STANDARD = "something of the standard library that we watch"
    LOCAL_CLASS = "a class of this file"
    LOCAL_OBJECT = "an object of a class of this file"
    LOCAL_FUNCTION = "a function of this file"
    UNLISTED = "a name that the list does not have"


@dataclass(frozen=True)
class Ref:
    """What an expression refers to; `name` is in the form of the list."""

    kind: Kind
    name: str
    node: ast.AST | None = field(default=None, compare=False)


@dataclass
class Scope:
    """Names of a module, class or function, and the expressions that are bound to them."""

    node: Scoped
    parent: Scope | None
    names: dict[str, list[Ref | ast.expr | None]] = field(default_factory=dict)
    annotations: dict[str, ast.expr] = field(default_factory=dict)
    children: dict[int, Scope] = field(default_factory=dict)

    @property
    def in_function(self) -> bool:
        """Whether code of this scope runs later than the import of the module."""
        if isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return True
        return self.parent is not None and self.parent.in_function

    @property
    def enclosing_class(self) -> Scope | None:
        """The class in whose method we are."""
        if isinstance(self.node, ast.ClassDef):
            return self
        return self.parent.enclosing_class if self.parent else None

    def bind(self, name: str, value: Ref | ast.expr | None) -> None:
        """Bind a name to one more value; None: something unknown."""
        self.names.setdefault(name, []).append(value)


class Bindings(ast.NodeVisitor):
    """Scopes of a source file, and `resolve`, which says what an expression refers to."""

    def __init__(self, tree: ast.Module, table: Table) -> None:
        self._table = table
        self.module = Scope(tree, None)
        self._scope = self.module
        self._busy: set[tuple[int, str]] = set()
        self._class_scopes: dict[int, Scope] = {}
        self.generic_visit(tree)

    # ------------------------------------------------------------ collecting

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b` binds `a`; `import a.b as c` binds `c`."""
        for alias in node.names:
            root = alias.name.split(".")[0]
            self._scope.bind(alias.asname or root, self.module_ref(alias.name if alias.asname else root))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b as c` binds `c`."""
        for alias in node.names:
            base = None if node.level or not node.module else self.module_ref(node.module)
            self._scope.bind(alias.asname or alias.name, self.attribute(base, alias.name))

    def visit_Assign(self, node: ast.Assign) -> None:
        """Bind names and attributes of `self`."""
        for target in node.targets:
            self._bind_target(target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """As an assignment, with a type."""
        self._bind_target(node.target, node.value)
        if isinstance(node.target, ast.Name):
            self._scope.annotations[node.target.id] = node.annotation
        elif self._own_attribute(node.target) is not None and self._scope.enclosing_class:
            assert isinstance(node.target, ast.Attribute)
            self._scope.enclosing_class.annotations[node.target.attr] = node.annotation
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """`(name := value)`."""
        self._bind_target(node.target, node.value)
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        """`with value as name`."""
        if node.optional_vars is not None:
            self._bind_target(node.optional_vars, node.context_expr)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        """What is iterated over is not followed."""
        self._bind_target(node.target, None)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """What is iterated over is not followed."""
        self._bind_target(node.target, None)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A function: its name here, its arguments in a scope of its own."""
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As a function."""
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """A function without a name."""
        with_arguments = self._enter(node)
        self._arguments(with_arguments, node.args)
        self._within(with_arguments, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class."""
        self._scope.bind(node.name, Ref(Kind.LOCAL_CLASS, node.name, node))
        scope = self._enter(node)
        self._class_scopes[id(node)] = scope
        for expression in [*node.bases, *node.decorator_list]:
            self.visit(expression)
        self._within(scope, node.body)

    def _function(self, node: Function) -> None:
        self._scope.bind(node.name, Ref(Kind.LOCAL_FUNCTION, node.name, node))
        for expression in [*node.decorator_list, *node.args.defaults, *[d for d in node.args.kw_defaults if d]]:
            self.visit(expression)
        scope = self._enter(node)
        self._arguments(scope, node.args)
        self._within(scope, node.body)

    def _arguments(self, scope: Scope, arguments: ast.arguments) -> None:
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for argument in [argument for argument in named if argument is not None]:
            scope.bind(argument.arg, None)
            if argument.annotation is not None:
                scope.annotations[argument.arg] = argument.annotation
        owner = scope.parent.node if scope.parent else None
        if isinstance(owner, ast.ClassDef) and arguments.args and isinstance(scope.node, Function):
            scope.names[arguments.args[0].arg] = [Ref(Kind.LOCAL_OBJECT, owner.name, owner)]

    def _enter(self, node: Scoped) -> Scope:
        scope = Scope(node, self._scope)
        self._scope.children[id(node)] = scope
        return scope

    def _within(self, scope: Scope, nodes: list[ast.stmt] | list[ast.expr]) -> None:
        outer, self._scope = self._scope, scope
        for node in nodes:
            self.visit(node)
        self._scope = outer

    def _bind_target(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._scope.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            paired = len(values) == len(target.elts)
            for index, element in enumerate(target.elts):
                self._bind_target(element, values[index] if paired else None)
        else:
            attribute = self._own_attribute(target)
            owner = self._scope.enclosing_class
            if attribute is not None and owner is not None:
                owner.bind(attribute, _Deferred(value, self._scope) if value is not None else None)

    def _own_attribute(self, target: ast.expr) -> str | None:
        """Name of an attribute of `self`."""
        if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
            return None
        bound = self._scope.names.get(target.value.id, [None])[0]
        return target.attr if isinstance(bound, Ref) and bound.kind is Kind.LOCAL_OBJECT else None

    # ------------------------------------------------------------ resolving

    def module_ref(self, name: str) -> Ref | None:
        """Reference to a module by its dotted name."""
        if name.split(".")[0] in WATCHED_STANDARD:
            return Ref(Kind.STANDARD, name)
        if not self._table.is_package(name.split(".")[0]):
            return None
        return Ref(Kind.MODULE if self._table.is_package(name) else Kind.UNLISTED, name)

    def resolve(self, node: ast.expr | None, scope: Scope) -> Ref | None:
        """What an expression refers to; None: unknown."""
        match node:
            case ast.Name(id=name):
                return self._lookup(name, scope)
            case ast.Attribute(value=value, attr=attr):
                return self.attribute(self.resolve(value, scope), attr)
            case ast.Call():
                return self._called(node, scope)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.resolve(value, scope)
            case ast.IfExp(body=first, orelse=second):
                return self.resolve(first, scope) or self.resolve(second, scope)
            case ast.BoolOp(values=values):
                return next((ref for ref in (self.resolve(value, scope) for value in values) if ref), None)
        return None

    def attribute(self, base: Ref | None, name: str) -> Ref | None:
        """What an attribute of something refers to."""
        match base:
            case Ref(Kind.STANDARD):
                return Ref(Kind.STANDARD, f"{base.name}.{name}")
            case Ref(Kind.MODULE):
                return self._of_module(base.name, name)
            case Ref(Kind.SYMBOL):
                return self._of_symbol(base.name, name)
            case Ref(Kind.INSTANCE):
                return self._of_instance(base.name, name)
            case Ref(Kind.LOCAL_OBJECT, node=ast.ClassDef() as owner):
                return self._of_local(owner, name)
        return None

    def bases(self, node: ast.ClassDef) -> list[str]:
        """Listed classes that a class of this file derives from."""
        scope = self._class_scopes[id(node)].parent
        assert scope is not None
        found = []
        for base in node.bases:
            ref = self.resolve(base, scope)
            if ref and ref.kind is Kind.SYMBOL:
                found.append(ref.name)
            elif ref and isinstance(ref.node, ast.ClassDef) and ref.node is not node:
                found += self.bases(ref.node)
        return found

    def _of_module(self, module: str, name: str) -> Ref:
        row = self._table.get(f"{module}:{name}")
        if (row and row.exported) or (self._table.is_prefix(f"{module}:{name}") and not row):
            return Ref(Kind.SYMBOL, f"{module}:{name}")
        dotted = f"{module}.{name}"
        return Ref(Kind.MODULE if self._table.is_package(dotted) else Kind.UNLISTED, dotted)

    def _of_symbol(self, symbol: str, name: str) -> Ref | None:
        row = self._table.get(symbol)
        if row is None:
            return self._below(symbol, name)
        if row.open or name in row.members or name.startswith("__"):
            return None
        constant = not (row.params or row.members or row.bases or self._table.is_prefix(symbol))
        if constant:
            return None  # a text or number, whose methods are Python's
        method = self._table.method(symbol, name)
        if method:
            return Ref(Kind.SYMBOL, method.name)
        return Ref(Kind.UNLISTED, f"{symbol}.{name}")

    def _below(self, prefix: str, name: str) -> Ref:
        full = f"{prefix}.{name}"
        known = self._table.get(full) or self._table.is_prefix(full)
        return Ref(Kind.SYMBOL if known else Kind.UNLISTED, full)

    def _of_instance(self, class_name: str, name: str) -> Ref | None:
        if name == "__init__":
            return Ref(Kind.SYMBOL, class_name)
        if name.startswith("__") or any(row.open for row in self._table.lineage(class_name)):
            return None
        method = self._table.method(class_name, name)
        if method:
            return Ref(Kind.SYMBOL, method.name)
        kind = self._table.attributes(class_name).get(name)
        if kind is None:
            return Ref(Kind.UNLISTED, f"{class_name}.{name}")
        return None if kind == "value" else Ref(Kind.INSTANCE, kind)

    def _of_local(self, owner: ast.ClassDef, name: str) -> Ref | None:
        scope = self._class_scopes[id(owner)]
        if name in scope.names or name in scope.annotations:
            return self._values(name, scope)
        for base in owner.bases:
            ref = self.resolve(base, scope.parent or scope)
            if ref and isinstance(ref.node, ast.ClassDef) and ref.node is not owner:
                return self._of_local(ref.node, name)
            if ref and ref.kind is Kind.SYMBOL and len(owner.bases) == 1:
                return self._of_instance(ref.name, name)
        return None

    def _lookup(self, name: str, scope: Scope) -> Ref | None:
        here: Scope | None = scope
        while here is not None:
            visible = here is scope or not isinstance(here.node, ast.ClassDef)
            if visible and (name in here.names or name in here.annotations):
                return self._values(name, here)
            here = here.parent
        return Ref(Kind.STANDARD, f"builtins.{name}")

    def _values(self, name: str, scope: Scope) -> Ref | None:
        """The first value of a name that is known, else what its annotation says."""
        key = (id(scope), name)
        if key in self._busy:
            return None
        self._busy.add(key)
        try:
            for value in scope.names.get(name, []):
                ref = value if isinstance(value, Ref) or value is None else self._value(value, scope)
                if ref is not None and not ref.name.startswith("builtins."):
                    return ref
            return self.of_type(scope.annotations.get(name), scope)
        finally:
            self._busy.discard(key)

    def _value(self, value: ast.expr, scope: Scope) -> Ref | None:
        if isinstance(value, _Deferred):
            return self.resolve(value.expression, value.scope)
        return self.resolve(value, scope)

    def of_type(self, annotation: ast.expr | None, scope: Scope) -> Ref | None:
        """An object of the listed class that an annotation names."""
        match annotation:
            case ast.Constant(value=str() as text):
                return self.of_type(ast.parse(text, mode="eval").body, scope)
            case ast.BinOp(left=left, right=right):
                return self.of_type(left, scope) or self.of_type(right, scope)
            case ast.Name() | ast.Attribute():
                return self._object(self.resolve(annotation, scope))
        return None

    def _called(self, node: ast.Call, scope: Scope) -> Ref | None:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and scope.enclosing_class:
            owner = scope.enclosing_class.node
            bases = self.bases(owner) if isinstance(owner, ast.ClassDef) else []
            return Ref(Kind.INSTANCE, bases[0]) if bases else None
        function = self.resolve(node.func, scope)
        if function == Ref(Kind.STANDARD, "builtins.getattr") and len(node.args) > 1:
            if isinstance(node.args[1], ast.Constant):
                return self.attribute(self.resolve(node.args[0], scope), str(node.args[1].value))
            return None
        if function == Ref(Kind.STANDARD, "importlib.import_module") and isinstance(node.args[0], ast.Constant):
            return self.module_ref(str(node.args[0].value))
        if function and isinstance(function.node, ast.FunctionDef | ast.AsyncFunctionDef):
            return self.of_type(function.node.returns, self.module)
        return self._object(function)

    def _object(self, ref: Ref | None) -> Ref | None:
        """What calling something gives."""
        if ref and ref.kind is Kind.LOCAL_CLASS:
            return Ref(Kind.LOCAL_OBJECT, ref.name, ref.node)
        row = self._table.get(ref.name) if ref and ref.kind is Kind.SYMBOL else None
        if row is None or row.open:
            return None
        if row.returns:
            return Ref(Kind.INSTANCE, row.returns)
        is_class = row.path[-1][0].isupper() and not row.members
        return Ref(Kind.INSTANCE, row.name) if is_class else None


class _Deferred(ast.expr):
    """A value of an attribute of `self`, with the scope of the method that assigns it."""

    def __init__(self, expression: ast.expr, scope: Scope) -> None:
        super().__init__()
        self.expression = expression
        self.scope = scope
