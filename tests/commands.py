"""The commands of the command line by their full names, such as "course check"."""

from chainrule.cli.app import app, lessons

COMMANDS = {command.callback.__name__: command for command in app.registered_commands}
COMMANDS |= {f"course {command.callback.__name__}": command for command in lessons().registered_commands}
