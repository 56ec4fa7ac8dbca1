"""The commands of the command line by their full names, such as "course check", those of groups too."""

from chainrule.cli.app import app

COMMANDS = {command.callback.__name__: command for command in app.registered_commands}
COMMANDS |= {
    f"{group.name} {command.callback.__name__}": command
    for group in app.registered_groups
    for command in group.typer_instance.registered_commands
}
