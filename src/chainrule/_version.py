"""The version, where everything can ask for it without the package."""

__version__ = "0.1.0"
