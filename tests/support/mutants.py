"""Changed copies of functions of the standard library: each has one line, condition or constant changed."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ("Mutant", "mutants")

_OPPOSITE: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


class _Budget:
    """The iterations that the loops of one call have: a change may let them go on for ever."""

    def __init__(self) -> None:
        self._left = 0

    def begin(self) -> None:
        self._left = 500

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise OverflowError("a loop without end")


class Mutant:
    """A function of a class or module with one change, which is in force within :meth:`applied`."""

    def __init__(self, owner: Any, name: str, what: str, code: ast.Module) -> None:
        self.owner = owner
        self.name = name
        self.what = what
        self._code = code

    def __repr__(self) -> str:
        return f"{self.owner.__name__}.{self.name}, {self.what}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        held = vars(self.owner)[self.name]
        function = _function_of(held)
        space: dict[str, Any] = {}
        # The factory gives super() its class, and loops their end.
        exec(compile(self._code, "<mutant>", "exec"), function.__globals__, space)
        changed: Any = space["factory"](self.owner, _Budget())
        if isinstance(held, property):
            changed = property(changed)
        elif isinstance(held, (classmethod, staticmethod)):
            changed = type(held)(changed)
        names = [name for name, value in vars(self.owner).items() if value is held]
        for name in names:
            setattr(self.owner, name, changed)
        try:
            yield
        finally:
            for name in names:
                setattr(self.owner, name, held)


def mutants(owner: Any, name: str) -> Iterator[Mutant]:
    """All mutants of one function: a class or module, and the name in it."""
    source = textwrap.dedent(inspect.getsource(_function_of(vars(owner)[name])))
    for number in range(len(_changes(ast.parse(source)))):
        tree = ast.parse(source)
        what, change = _changes(tree)[number]
        change()
        (function,) = tree.body
        assert isinstance(function, ast.FunctionDef)
        function.decorator_list = []
        for loop in ast.walk(function):
            if isinstance(loop, (ast.While, ast.For)):
                loop.body.insert(0, ast.parse("_budget.spend()").body[0])
        function.body.insert(0, ast.parse("_budget.begin()").body[0])
        factory: Any = ast.parse(f"def factory(__class__, _budget):\n    return {function.name}").body[0]
        factory.body.insert(0, function)
        yield Mutant(owner, name, what, ast.fix_missing_locations(ast.Module([factory], [])))


def _function_of(held: Any) -> Any:
    return held.fget if isinstance(held, property) else inspect.unwrap(getattr(held, "__func__", held))


def _changes(tree: ast.Module) -> list[tuple[str, Callable[[], None]]]:
    found: list[tuple[str, Callable[[], None]]] = []
    function = tree.body[0]
    for node in ast.walk(function):
        line = f"line {getattr(node, 'lineno', 0)}"
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                found += _without(statements)
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            found.append((f"{line}: not {ast.unparse(node.test)}", lambda node=node: _negate(node)))
        elif isinstance(node, ast.Compare):
            found.append((f"{line}: other than {ast.unparse(node)}", lambda node=node: _oppose(node)))
        elif isinstance(node, ast.Constant) and type(node.value) in (int, str, bytes):
            found.append((f"{line}: other {node.value!r}", lambda node=node: _differ(node)))
    return found


def _without(statements: list[ast.stmt]) -> list[tuple[str, Callable[[], None]]]:
    def leave_out(place: int) -> None:
        statements[place] = ast.copy_location(ast.Pass(), statements[place])

    return [
        (
            f"line {one.lineno} left out: {ast.unparse(one).splitlines()[0]}",
            lambda place=place: leave_out(place),
        )
        for place, one in enumerate(statements)
        if not isinstance(one, (ast.Pass, ast.FunctionDef))
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    ]


def _negate(node: Any) -> None:
    node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)


def _oppose(node: ast.Compare) -> None:
    node.ops = [_OPPOSITE[type(node.ops[0])](), *node.ops[1:]]


def _differ(node: ast.Constant) -> None:
    value: Any = node.value
    node.value = value + 1 if isinstance(value, int) else value + (b"!" if isinstance(value, bytes) else "!")
