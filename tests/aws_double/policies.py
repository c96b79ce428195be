"""Policies of resources: whom a key or a role lets in, under which conditions."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tests.aws_double.accounts import Caller


def allows(policy: str, caller: Caller, action: str, context: Mapping[str, str]) -> bool:
    """Tell whether a policy lets somebody do something; what it denies, it denies whatever else.

    What the caller's own account lets it do is not asked: it is everything.
    """
    statements = [
        statement
        for statement in _listed(json.loads(policy).get("Statement", []))
        if _names(statement.get("Principal", {}), caller)
        and any(_is_like(action, pattern) for pattern in _listed(statement.get("Action", [])))
        and _holds(statement.get("Condition", {}), context)
    ]
    effects = {statement["Effect"] for statement in statements}
    return effects == {"Allow"}


def is_principal(named: str, caller: Caller) -> bool:
    """Tell whether a name of a principal is the caller, its role or its account."""
    account = caller.account
    if named in {"*", account, f"arn:aws:iam::{account}:root", caller.arn}:
        return True
    session = f"arn:aws:sts::{account}:assumed-role/"
    if not caller.arn.startswith(session):
        return False
    role = caller.arn.removeprefix(session).split("/", maxsplit=1)[0]
    is_role = named.startswith(f"arn:aws:iam::{account}:role/")
    return is_role and named.rsplit("/", maxsplit=1)[-1] == role


def _names(principal: str | Mapping[str, Any], caller: Caller) -> bool:
    named = principal if isinstance(principal, str) else principal.get("AWS", [])
    return any(is_principal(one, caller) for one in _listed(named))


def _is_like(text: str, pattern: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    known = {name.lower(): value for name, value in context.items()}
    return all(
        _compares(operator, known.get(key.lower()), [str(one) for one in _listed(wanted)])
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _compares(operator: str, got: str | None, wanted: list[str]) -> bool:
    if operator.endswith("IfExists") and got is None:
        return True
    name = operator.removesuffix("IfExists").replace("Arn", "String")
    is_like = got is not None and any(fnmatchcase(got, pattern) for pattern in wanted)
    results = {
        "StringEquals": got in wanted,
        "StringNotEquals": got not in wanted,
        "StringLike": is_like,
        "StringNotLike": not is_like,
        "Bool": (got or "false").lower() in [one.lower() for one in wanted],
        "Null": str(got is None).lower() in [one.lower() for one in wanted],
    }
    if name not in results:
        raise NotImplementedError(f"the double knows no condition {operator}")
    return results[name]


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
