"""The command tree: a command's module is imported when the command or its help is requested."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from oncotrack.background.isolation import SWITCH, use_helper
from oncotrack.cli.commands import COMMANDS, GROUPS, RENAMED, option_of, overview
from oncotrack.errors import OncoTrackError, long_names_refused

_MODULES = {"import": "import_objects", "list": "list_studies"}
"""Modules and functions of the commands whose names mean something else in Python."""


class Command(TyperCommand):
    """A command that accepts the earlier names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Replace earlier option names, ``--part`` or ``--part=all``, and parse the arguments."""
        names = {option for parameter in self.params for option in parameter.opts}
        current = {old: new for old, new in RENAMED.items() if new in names}
        pieces = (arg.partition("=") for arg in args)
        return super().parse_args(ctx, [current.get(name, name) + sign + value for name, sign, value in pieces])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error names its parameter only where the command has an option for it."""
        try:
            with long_names_refused():
                return super().invoke(ctx)
        except OncoTrackError as error:
            if option_of(error) not in {option for parameter in self.params for option in parameter.opts}:
                error.parameter = ""
            raise


class CommandGroup(TyperGroup):
    """A group whose commands are looked up by name: ``evaluate masks`` is `oncotrack.cli.evaluate.masks.masks`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        assert self.name is not None
        self.group = self.name
        self.commands = dict.fromkeys(COMMANDS[self.group])

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the command names in the order of the help text."""
        return list(COMMANDS[self.group])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None when there is no such name."""
        if cmd_name not in COMMANDS[self.group]:
            return None
        if self.group == "oncotrack" and cmd_name in GROUPS:
            return CommandGroup(name=cmd_name, help=GROUPS[cmd_name], no_args_is_help=True, rich_markup_mode=None)
        folder = "" if self.group == "oncotrack" else f"{self.group}."
        name = _MODULES.get(cmd_name) or cmd_name.replace("-", "_")
        function = getattr(import_module(f"oncotrack.cli.{folder}{name}"), name)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, cls=Command)(function)
        return get_command(single)

    def get_help(self, ctx: Any) -> str:
        """Return the help text without importing the commands."""
        return overview(self.group).rstrip("\n")


app = typer.Typer(
    name="oncotrack",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    unsafe_in_process: Annotated[
        bool, typer.Option("--unsafe-in-process", help="Read scans without a process of their own.")
    ] = False,
) -> None:
    if unsafe_in_process:
        os.environ[SWITCH] = "1"
        use_helper()
    if version:
        from oncotrack import __version__

        typer.echo(__version__)
        raise typer.Exit
