"""Writes the reference pages from the code: `docs/configuration.md`, `docs/cli.md`, `docs/codes.md`. Run by `make pages`.

A test compares the committed pages with what this makes, so a setting, command or code without documentation fails the check.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = ("tiles", "mapex", "ingest", "web")
CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
RAISERS = {"Invalid", "NotFound", "Denied", "Conflict", "Unpaid", "Unavailable", "Lost", "Cancelled"}
FINDERS = {"error", "question", "warning", "info"}
FAILERS = {"fail", "_end_failed"}


def configuration() -> str:
    """The settings, from `mapex.config.Settings`."""
    from mapex.config import NOT_SETTINGS, Settings

    rows = []
    for field in fields(Settings):
        meta = field.metadata
        default = f"`{field.default}`" if field.default not in ("", Path()) else "-"
        more = f" One of: {', '.join(meta['choices'])}." if meta["choices"] else ""
        secret = " Secret: may come from a file, `MAPEX_" + field.name.upper() + "_FILE`." if meta["secret"] else ""
        rows.append(f"| `MAPEX_{field.name.upper()}` | {default} | {meta['help'].capitalize()}.{more}{secret} |")
    return f"""# Configuration

Settings come from `mapex.toml` in the folder of the exchange (keys in lower case, without the prefix) and from environment variables,
which win. Unknown keys are refused. `mapex init` writes the file with fresh secrets, mode 0600; `mapex doctor` says what is wrong.

| Variable | Default | What it is |
|---|---|---|
{chr(10).join(rows)}

Not settings of the exchange, but of its clients: {", ".join(f"`{name}`" for name in sorted(NOT_SETTINGS - {"MAPEX_FAILPOINT"}))}.
"""


def commands() -> str:
    """Commands and options, from the command line itself."""
    import click

    from mapex.cli import COMMANDS, cli
    from mapex.cli.output import EXIT_CODES

    context = click.Context(cli, info_name="mapex")
    pages = []

    def write(name: str, command: click.Command) -> None:
        arguments = " ".join(p.make_metavar(context) for p in command.params if isinstance(p, click.Argument))
        lines = [f"### `mapex {name}{' ' + arguments if arguments else ''}`", "", inspect.cleandoc(command.help or ""), ""]
        for parameter in command.params:
            record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
            if record:
                lines.append(f"- `{record[0]}`: {' '.join(record[1].split())}" if record[1] else f"- `{record[0]}`")
        pages.append("\n".join(lines).rstrip() + "\n")

    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for sub, inner in command.commands.items():
                for deeper, innermost in inner.commands.items() if isinstance(inner, click.Group) else [("", inner)]:
                    write(f"{name} {sub} {deeper}".rstrip(), innermost)
        else:
            write(name, command)
    codes = "\n".join(f"| {status} | {kind} |" for kind, status in sorted(EXIT_CODES.items(), key=lambda pair: pair[1]))
    return f"""# Command line

`mapex COMMAND --help` says the same. `init org person token permit serve worker fsck doctor demo` act on the exchange of `MAPEX_DIR`;
`push publish withdraw recall dataset version search quote buy get order wallet audit` speak HTTP to `MAPEX_URL` with `MAPEX_TOKEN`;
`inspect`, `tile`, `join` and `convert` need no exchange.
`--json` prints JSON on standard output. A failure is one sentence on standard error, with `--json` also
`{{"error": {{"code", "message", "details"}}}}` on standard output, and an exit status:

| status | kind of failure |
|---|---|
| 0 | none |
{codes}

{chr(10).join(pages)}"""


def codes() -> str:
    """Stable codes of errors and findings with their sentences, from the source."""
    found: dict[str, tuple[str, str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for code, kind, sentence in _codes_in(ast.parse(path.read_text(encoding="utf-8"))):
                if code not in found or not found[code][1]:
                    found[code] = (kind, sentence)
    rows = [f"| `{code}` | {kind} | {sentence} |" for code, (kind, sentence) in sorted(found.items())]
    return f"""# Codes

Every error answer is `{{"code", "message", "details"}}`; every finding about an upload carries a code as well. Codes are stable, the
sentences may get better. `{{…}}` stands for a value.
Kinds: Invalid 422, NotFound 404, Denied 403, Conflict 409, Unpaid 402, Unavailable 503; error, warning
and info are findings; the others are errors of the tile library (422; of the store, and of extras that are absent, 503).

| code | kind | sentence |
|---|---|---|
{chr(10).join(rows)}
"""


def _codes_in(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    for name, node in classes.items():
        for line in node.body:
            if isinstance(line, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "code" for t in line.targets):
                value = line.value
                if isinstance(value, ast.Constant) and CODE.fullmatch(str(value.value)):
                    yield str(value.value), name, " ".join((ast.get_docstring(node) or "").split())
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None and CODE.fullmatch(_text(key)) and " " in _text(value):
                    yield _text(key), "sentence", _text(value)
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [_text(argument) for argument in node.args] + [_text(k.value) for k in node.keywords]
        named = {k.arg: _text(k.value) for k in node.keywords}
        code = named.get("code") or next((text for text in texts[:4] if CODE.fullmatch(text)), "")
        if name == "_refuse" and len(texts) > 1 and texts[0].isidentifier():  # tiles.grid.region writes its codes without their first word
            code, kind, texts = f"region.{texts[0]}", "InvalidRegion", texts[1:]
            yield code, kind, texts[0]
            continue
        if not CODE.fullmatch(code):
            continue
        kind = "failed job" if name in FAILERS else name if name in RAISERS | FINDERS or "code" in named else ""
        after = texts[texts.index(code) + 1 :] if "code" not in named else texts[:1]
        sentence = next((text for text in after if " " in text), "")
        if kind or sentence:
            yield code, kind or "finding", sentence


def _text(node: Any) -> str:
    """The words of a string in the source; values become `{…}`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("|", "\\|")
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) if isinstance(v, ast.Constant) else "{…}" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return ""


PAGES = {"docs/configuration.md": configuration, "docs/cli.md": commands, "docs/codes.md": codes}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (ROOT / page).write_text(make(), encoding="utf-8")
        print(page)
