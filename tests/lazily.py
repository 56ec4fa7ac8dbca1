"""Packages that take seconds to import, imported by the first test that uses them, not when the tests are collected."""

import importlib


class Lazily:
    """A module that is imported when the first of its attributes is used."""

    def __init__(self, name):
        self.__name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self.__name), attribute)
