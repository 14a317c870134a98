"""Commands made from the method table: arguments, options, help and completion follow from a method's declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import click

from tonnetz.daemon.annotations import bare
from tonnetz.daemon.document_text import read_text
from tonnetz.rpc.method_table import Method, Parameter, load_methods

from .completing import completion_of
from .printing import failed, text_of
from .terminal import Terminal
from .words import WrongWord, assigned, is_assignment, sentence, value_of

BASIC: dict[Any, click.ParamType[Any]] = {str: click.STRING, int: click.INT, float: click.FLOAT, bool: click.BOOL}
METAVARS = {"node": "NODE", "type": "TYPE", "port": "PORT"}
SETTINGS = {"ignore_unknown_options": True}  # so that -40 in `move eq -40 80` is a number and no option


def command_from(method: Method) -> click.Command:
    """The click command of a method that has a shell form."""
    assert method.shell is not None
    parameters: list[click.Parameter] = []
    spelled = method.shell.arguments
    takes_words = any(way == "words" for _, way in spelled)
    for name, way in spelled:
        required = f"[<{name}" not in method.shell.usage
        if way != "words" and (required or not takes_words):
            parameters.append(_argument(parameter_of(method, name), way, required))
    if takes_words:  # with optional arguments before them, as in `add TYPE [NODE] [KEY=VALUE]…`
        usage = " ".join(f"[{_metavar(parameter_of(method, name))}]" for name in _optional(method))
        parameters.append(click.Argument(["words"], nargs=-1, metavar=f"{usage} [KEY=VALUE]...".strip()))
    named = [name for name, _ in spelled]
    others = [parameter for parameter in method.parameters if parameter.name not in named]
    parameters += [_option(parameter) for parameter in others if not _is_large(parameter)]

    @click.pass_context
    def run(context: click.Context, /, **given: Any) -> int:
        terminal: Terminal = context.obj
        try:
            params = params_from(method, given)
        except WrongWord as wrong:
            raise click.UsageError(sentence(wrong), context) from None
        result = terminal.call(method.name, **params)
        if isinstance(result, dict) and result.get("kind") == "blob":
            terminal.give_out(result)
            return 0
        terminal.print(result, text_of(method.result, result, dry_run=bool(params.get("dry_run"))))
        return int(failed(method.result, result))

    return click.Command(
        method.shell.command,
        callback=run,
        params=parameters,
        help=f"{method.text}\n\n\b\nExample:\n  {method.shell.example}",
        short_help=method.summary,
        context_settings=SETTINGS,
    )


def group_from(name: str, own: click.Command | None, below: Mapping[str, click.Command]) -> click.Group:
    """The command of the first word that several share; by itself it does what `own` does."""

    @click.pass_context
    def run(context: click.Context, /, **given: Any) -> Any:
        if own is not None and context.invoked_subcommand is None:
            assert own.callback is not None
            return context.invoke(own.callback, **given)
        return None

    help = own.help if own else None
    return click.Group(
        name,
        commands=dict(below),
        callback=run,
        params=own.params if own else [],
        invoke_without_command=own is not None,
        subcommand_metavar="[COMMAND]" if own else "COMMAND",
        help=help,
        short_help=own.short_help if own else None,
        context_settings=SETTINGS,
    )


def transaction_options() -> list[click.Parameter]:
    """The options that a whole transaction takes, for the commands that make one themselves."""
    method = load_methods()["graph.apply"]
    return [_option(parameter) for parameter in method.parameters if parameter.name != "edits"]


def params_from(method: Method, given: dict[str, Any]) -> dict[str, Any]:
    """The method's params from what click collected; what was not given is left out. Raises WrongWord."""
    assert method.shell is not None
    params = {name: value for name, value in given.items() if value is not None and name != "words"}
    for name, way in method.shell.arguments:
        if way == "file" and name in params:
            params |= _from_file(parameter_of(method, name), params.pop(name).read())
    words: Sequence[str] = given.get("words", ())
    for name in _optional(method):
        if words and not is_assignment(words[0]):
            params[name], words = words[0], words[1:]
    rest = next((name for name, way in method.shell.arguments if way == "words"), None)
    if rest is not None and words:
        params[rest] = assigned(words)
    elif rest is not None and parameter_of(method, rest).required:
        raise WrongWord(f"say what to {method.shell.command}, as key=value")
    return params


def _from_file(parameter: Parameter, content: bytes) -> dict[str, Any]:
    """The parameter from a file: as text, or as what its YAML or JSON says; that may name other parameters too."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise WrongWord("the file is not UTF-8 text") from None
    if bare(parameter.type)[0] is str:
        return {parameter.name: text}
    value = read_text(text, "The file")
    return value if isinstance(value, dict) and parameter.name in value else {parameter.name: value}


def parameter_of(method: Method, name: str) -> Parameter:
    parameter = method.parameter(name)
    assert parameter is not None, "the table checks that shell usage names parameters"
    return parameter


def _optional(method: Method) -> list[str]:
    """The optional arguments that share the end of the line with `key=value` words."""
    assert method.shell is not None
    if "words" not in [way for _, way in method.shell.arguments]:
        return []
    return [name for name, way in method.shell.arguments if way == "word" and f"[<{name}" in method.shell.usage]


def _argument(parameter: Parameter, way: str, required: bool) -> click.Argument:
    return click.Argument(
        [parameter.name],
        required=required,
        type=click.File("rb") if way == "file" else _click_type(parameter.type),
        metavar="FILE" if way == "file" else _metavar(parameter, required),
        shell_complete=None if way == "file" else completion_of(parameter.type),
    )


def _is_large(parameter: Parameter) -> bool:
    """Whether it is no option for a shell: an object or a list, for which a shell form has a file."""
    kind, _ = bare(parameter.type)
    return (get_origin(kind) or kind) in (dict, list)


def _option(parameter: Parameter) -> click.Option:
    flag = f"--{parameter.name.replace('_', '-')}"
    kind, _ = bare(parameter.type)
    help = sentence(parameter.description)
    if kind is bool:
        names = [f"{flag}/--no-{flag[2:]}"] if parameter.default or parameter.default is None else [flag]
        return click.Option([*names, parameter.name], is_flag=True, default=None, help=help)
    metavar = "NUMBER" if kind in (int, float) else "VALUE" if isinstance(kind, type) and kind is not str else None
    return click.Option([flag, parameter.name], type=_click_type(kind), help=help, metavar=metavar)


def _metavar(parameter: Parameter, required: bool = True) -> str | None:
    completion = completion_of(parameter.type)
    kind, _ = bare(parameter.type)
    if completion is not None:
        word = METAVARS[completion.what]
    elif get_origin(kind) is Literal:
        return None  # click lists the choices
    else:
        word = "on|off" if kind is bool else parameter.name.upper()
    return word if required else f"[{word}]"


def _click_type(kind: Any) -> Any:
    kind, _ = bare(kind)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    return BASIC.get(kind, _value)


def _value(text: str) -> Any:
    """What has no simpler form is read as in `key=value`: a JSON or YAML object, a list."""
    try:
        return value_of(text)
    except WrongWord as wrong:
        raise click.BadParameter(sentence(wrong)) from None
