"""What an operator copied from inventories/example and has not replaced; tests/house keeps this list and it in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from legalcloud.inventory import Inventory

MARK = "REPLACE"
RECIPIENTS = {
    "age1fcc3p4m9ps7nkkhg0c6zjzn0sqesumf6ffpsa0dsl3kw33mcmuvsadcgmp",
    "age19nj5awu53p2cn93ggtaq88wd9vu0k8540lrrewjyww622dzkj9xq4rppt2",
}
"""Nobody has the secret halves: a key that is revealed to one is lost."""


def left(loaded: Inventory) -> tuple[str, ...]:
    """Name each value of group_vars/all and of the tenants that is the example's."""
    tenants = (f"tenants/{tenant.id}.yml: reveal_to" for tenant in loaded.tenants if tenant.reveal_to in RECIPIENTS)
    return (*_marked(loaded.variables, ""), *tenants)


def _marked(value: object, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _marked(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _marked(inner, f"{place}[{number}]")
    elif isinstance(value, str) and MARK in value:
        yield place
