"""Whoever writes is looked at again in the transaction that writes: no service opens one for a person in another way."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import mapex

ROOT = Path(mapex.__file__).parent

OTHERWISE: Mapping[str, str] = {
    "audit.log.events": "a reading, of which only the entry is written",
    "audit.proof.stretch": "a reading",
    "audit.proof.entry": "a reading",
    "audit.figures.view": "a reading",
    "login.sessions.close": "it ends what it acts by",
    "login.recovery_codes.use": "a code is used up before there is a session; what it leads to is `sessions.start`, which looks",
    "login.second_step.check_code": "only the refusal is written",
    "prices.quotes._count": "a number of those who asked, without a name",
    "rights.grants.grant": "an address ends with its signer, which is looked at first (`mapex.people.signers`)",
    "rights.grants._log_refusal": "only the refusal is written",
}


def opened_otherwise() -> Iterator[str]:
    """The functions that act for somebody (`by`) and open a transaction to write without `act`."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for found in ast.walk(tree):
            if isinstance(found, ast.FunctionDef) and _acts_for_somebody(found) and _opens(found):
                yield f"{module}.{found.name}"


def _acts_for_somebody(found: ast.FunctionDef) -> bool:
    return any(one.arg == "by" for one in (*found.args.posonlyargs, *found.args.args, *found.args.kwonlyargs))


def _opens(found: ast.FunctionDef) -> bool:
    calls = (node.func for node in ast.walk(found) if isinstance(node, ast.Call))
    return any(isinstance(one, ast.Attribute) and ast.unparse(one) in ("db.begin", "db.in_turn") for one in calls)


def test_every_service_that_writes_for_a_person_looks_at_the_person_again() -> None:
    assert set(opened_otherwise()) - {"database.acts.act"} == set(OTHERWISE)
