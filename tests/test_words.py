"""The style of English: phrases that no native editor would leave, found in docstrings, comments, messages and pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Rooms that still have such phrases. Sweep one, take it out, and never add one.
UNSWEPT = {
    "docs/reference.md",
}

FORBIDDEN = {
    "detected": r"\bfound out\b",
    "custom": r"\bof (one's|your) own\b",
    "is not a": r"(?<!there )\bis no (?!longer\b|more\b|less\b|better\b|slower\b|faster\b|larger\b|need\b|[a-z]+ (to|for|in|of|between)\b)[a-z]+",
    "(a noun)": r"\bwhat is none\b",
    "should, or nothing": r"\bby rights\b",
    "result in": r"\b(come|comes|came) of\b(?! age)",
    "an imperative or a noun": r'"""(What|Say whether|Return what)\b',
}


def swept():
    """Yield the files that must be free of these phrases."""
    pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "VISION.md"]
    for path in [
        *ROOT.glob("src/**/*.py"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/book/*.md"),
        *(ROOT / p for p in pages),
    ]:
        name = path.relative_to(ROOT).as_posix()
        if not any(name == room or name.startswith(f"{room}/") for room in UNSWEPT):
            yield name, path


def phrases(text, better):
    """Return the numbers of the lines on which the phrase begins."""
    return [text.count("\n", 0, m.start()) + 1 for m in re.finditer(FORBIDDEN[better], text)]


@pytest.mark.parametrize("better", FORBIDDEN)
def test_no_phrase_that_a_native_editor_would_strike(better):
    found = [
        f"{name}:{line}: write {better!r}"
        for name, path in swept()
        for line in phrases(path.read_text(encoding="utf-8"), better)
    ]
    assert not found, "\n".join(found)


def test_every_unswept_room_exists():
    assert [room for room in sorted(UNSWEPT) if not (ROOT / room).exists()] == []


def test_the_phrases_are_found():
    text = 'x\n"""What comes of it is found out; a layer of one\'s own is no layer, by rights what is none."""'
    assert {better: phrases(text, better) for better in FORBIDDEN} == {better: [2] for better in FORBIDDEN}
