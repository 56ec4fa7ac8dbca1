"""The browsers of this machine, driven by Playwright."""

import shutil
from contextlib import contextmanager

import pytest

PATHS = {"chromium": shutil.which("chromium"), "firefox": shutil.which("firefox") or shutil.which("firefox-esr")}
EACH = [
    pytest.param(name, marks=pytest.mark.skipif(path is None, reason=f"{name.capitalize()} is not installed"))
    for name, path in PATHS.items()
]


def launch(kind, *, dark=False, **options):
    """Start a browser without a window; ``dark`` is for Firefox, which cannot be asked for dark pages later."""
    if kind.name == "firefox":  # by WebDriver BiDi, which a Firefox as it is installed understands
        options |= {"channel": "moz-firefox", "firefox_user_prefs": {"ui.systemUsesDarkTheme": int(dark)}}
    else:
        options["args"] = ["--no-sandbox"]
    return kind.launch(executable_path=PATHS[kind.name], **options)


@contextmanager
def browser(name, **options):
    """Run a browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        running = launch(getattr(started, name), **options)
        yield running
        running.close()
