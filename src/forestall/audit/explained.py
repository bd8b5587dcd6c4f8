"""Why each rule exists: the docstrings of the rules' modules."""

from functools import cache
from types import ModuleType

from forestall.audit import rules
from forestall.audit.rule import Rule


@cache
def _reasons() -> dict[str, str]:
    modules = [value for value in vars(rules).values() if isinstance(value, ModuleType)]
    return {
        module.RULE.id: (module.__doc__ or "").strip()
        for module in modules
        if isinstance(getattr(module, "RULE", None), Rule)
    }


def reason(rule: Rule) -> str:
    """The whole docstring: its first line says what is wrong, the rest why that matters."""
    return _reasons().get(rule.id) or rule.title
