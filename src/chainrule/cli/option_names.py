"""What messages of the estimators call their parameters, and what the options of the command line are called."""

from __future__ import annotations

from collections.abc import Mapping


def option_names(arguments: Mapping[str, str]) -> dict[str, str]:
    """Return what :func:`chainrule._internal.names.reworded` replaces; ``arguments`` are options and their parameters.

    >>> from chainrule._internal.names import reword
    >>> message = "The 'max_iter' parameter of MLPClassifier must be an int in the range [1, inf). Got 0 instead."
    >>> reword(message, option_names({"epochs": "max_iter"}))
    '--epochs: must be an int in the range [1, inf), got 0.'
    """
    refused = r"The '{}' parameter of MLP\w+ must be (.+)\. Got (.+) instead\."
    options = {parameter: f"--{option.replace('_', '-')}" for option, parameter in arguments.items()}
    return {
        r", an instance of 'list' or an instance of 'tuple'|an instance of 'dict', ": "",
        r" or an instance of '[^']*'| or None|a str among \{'auto'\} or ": "",
        r"a str among \{('\w+')\}": r"\1",
        r"a str among \{([^}]*)\}": r"one of \1",
        **{refused.format(name): rf"{option}: must be \1, got \2." for name, option in options.items()},
        r"^unknown activation": "--activation: unknown activation",
        r"gradient_clip=": "--clip-norm ",
        r"learning_rate_init": "--learning-rate",
    }
