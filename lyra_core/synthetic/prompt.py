# SPDX-License-Identifier: Apache-2.0
"""Reading a sentence: theme, things with counts and colours, finishes, light; and which words were not understood."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache

from lyra_core.errors import LyraError

from . import lexicon
from .objects import CATALOG
from .request import Item, Request
from .themes import OUTDOOR_ONLY, ROOMS, SMALL_THINGS, STREET_THINGS, THEMES, USED_IN, YARD_THINGS

MOST_OF_ONE_KIND = 8
"""More of one thing than this are not placed."""

_LONGEST_PHRASE = 3
_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s]", re.UNICODE)
_PUNCTUATION = set(".,;:!?()[]{}\"'`’‘“”*/\\|+=<>~_&#@%$^-–—…")
_UNCOUNTED = {"books", "boxes", "blocks", "gas bottles", "totes", "tires", "lockers", "stairs", "glassware"}


@dataclass(frozen=True)
class PromptReading:
    """What was made of a prompt.

    Attributes:
        text: the prompt.
        theme: the chosen theme, and why in `theme_reason`.
        request: the wishes that the world is built from.
        understood: words with a meaning, in order.
        not_understood: words without one, in order, each once.
        notices: sentences for the user: what was guessed, what could not be done.
    """

    text: str
    theme: str
    theme_reason: str
    request: Request
    understood: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass
class _Wish:
    """Things asked for by one noun; `word` may be one whose meaning depends on the theme."""

    word: str
    count: int
    colors: list[str] = field(default_factory=list)


@dataclass
class _Reader:
    """State while walking over the words from left to right."""

    theme: str | None = None
    theme_word: str = ""
    approximate: bool = False
    wishes: list[_Wish] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    request: Request = field(default_factory=Request)
    understood: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    # adjectives that wait for their noun
    count: int | None = None
    colors: list[str] = field(default_factory=list)
    groups: list[tuple[int | None, list[str]]] = field(default_factory=list)
    size: float | None = None
    finishes: list[str] = field(default_factory=list)
    mood: str | None = None
    refusing: bool = False
    # the noun that a colour after "is", "in" or "painted" speaks of
    linked: bool = False
    last: str = ""

    def settle(self) -> None:
        """Forget adjectives whose noun never came."""
        self.count, self.size, self.refusing, self.linked = None, None, False, False
        self.colors, self.groups, self.finishes = [], [], []


def read_prompt(text: str) -> PromptReading:
    """Read a prompt in English; words of other languages, emoji and the like are listed as not understood.

    Raises:
        LyraError: the prompt is empty.
    """
    if not text.strip():
        raise LyraError('The prompt is empty; describe a place, for example "a small kitchen with a red fridge".')
    tokens = _TOKEN.findall(text.lower().replace("_", " "))
    reader = _Reader()
    position = 0
    while position < len(tokens):
        position += _take(reader, tokens, position)
    return _conclude(text, reader)


def singular(word: str) -> str:
    """The singular of an English plural, or the word itself."""
    irregular = {"people": "person", "knives": "knife", "leaves": "leaf", "buses": "bus"}
    if word in irregular:
        return irregular[word]
    if word.endswith("shelves"):
        return word[:-3] + "f"
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2:
        return word[:-1]
    return word


def _take(reader: _Reader, tokens: list[str], start: int) -> int:
    """Read the longest known phrase at `start`; returns how many tokens it used."""
    for length in range(min(_LONGEST_PHRASE, len(tokens) - start), 0, -1):
        words = tokens[start : start + length]
        if any(word in _PUNCTUATION for word in words[:-1] + words[1:]):
            words = [word for word in words if word != "-"]  # "dark-blue" reads as "dark blue"
            if len(words) == length or any(word in _PUNCTUATION for word in words) or not words:
                continue
        phrase = " ".join(words)
        stem = " ".join([*words[:-1], singular(words[-1])])
        following = tokens[start + length] if start + length < len(tokens) else ""
        if _understand(reader, phrase, stem, following):
            reader.understood.append(phrase)
            return length
    word = tokens[start]
    if word not in _PUNCTUATION and word not in reader.not_understood:
        reader.not_understood.append(word)
    if word in (".", ";", ":"):
        reader.settle()
    return 1


def _understand(reader: _Reader, phrase: str, stem: str, following: str) -> bool:
    """Give the phrase its meaning; False when it has none."""
    if phrase in lexicon.SHADE_WORDS and following in lexicon.COLOR_WORDS:
        return True
    if stem in lexicon.WALL_NOUNS or stem in lexicon.FLOOR_NOUNS:
        return _finish_surface(reader, "wall" if stem in lexicon.WALL_NOUNS else "floor")
    if _is_finish(phrase) and singular(following) in lexicon.WALL_NOUNS | lexicon.FLOOR_NOUNS:
        reader.finishes.append(phrase)
        return True
    if stem in lexicon.AISLE_WORDS:
        reader.request = replace(reader.request, aisle=True)
        return _close_theme(reader, "aisle")
    for table in (lexicon.THEME_WORDS, lexicon.NEAREST_THEME):
        if stem in table:
            return _name_theme(reader, table[stem], phrase, table is lexicon.NEAREST_THEME)
    if stem in lexicon.OBJECT_WORDS:
        return _name_object(reader, lexicon.OBJECT_WORDS[stem], plural=phrase != stem)
    if phrase in lexicon.COLOR_WORDS:
        return _name_color(reader, lexicon.COLOR_WORDS[phrase])
    if phrase in lexicon.NUMBER_WORDS or (phrase.isascii() and phrase.isdigit()):
        return _name_number(reader, phrase)
    return _modify(reader, phrase)


def _is_finish(phrase: str) -> bool:
    return phrase in lexicon.WALL_WORDS or phrase in lexicon.FLOOR_WORDS


def _modify(reader: _Reader, phrase: str) -> bool:
    """Words that change the whole scene, or that only hold the sentence together."""
    if phrase in lexicon.MOOD_WORDS:
        reader.mood = reader.mood or lexicon.MOOD_WORDS[phrase]
    elif phrase in lexicon.SIZE_WORDS:
        reader.size = lexicon.SIZE_WORDS[phrase]
    elif _is_finish(phrase):
        reader.finishes.append(phrase)
    elif phrase in lexicon.EMPTY_WORDS:
        reader.request = replace(reader.request, sparse=True)
    elif phrase in lexicon.REFUSING_WORDS:
        reader.settle()
        reader.refusing = True
    elif phrase in lexicon.PLAIN_WORDS:
        if phrase in lexicon.LINK_WORDS:
            reader.linked = bool(reader.last)
        elif phrase in lexicon.BREAK_WORDS:
            reader.settle()
    else:
        return False
    return True


def _name_color(reader: _Reader, color: str) -> bool:
    if not reader.linked:
        reader.colors.append(color)
    elif reader.last == "wall":
        reader.request = replace(reader.request, wall_color=color)
    elif reader.last == "floor":
        reader.request = replace(reader.request, floor_color=color)
    elif reader.last == "theme":
        reader.request = replace(reader.request, wall_color=reader.request.wall_color or color)
    else:
        reader.wishes[-1].colors.append(color)
    return True


def _name_number(reader: _Reader, phrase: str) -> bool:
    number = lexicon.NUMBER_WORDS.get(phrase)
    number = int(phrase[:6]) if number is None else number
    if reader.colors and reader.count is not None:  # "three red and two blue barrels"
        reader.groups.append((reader.count, reader.colors))
        reader.colors = []
    reader.linked = False
    plain_article = phrase in ("a", "an") and reader.count is not None
    reader.count = reader.count if plain_article else number
    return True


def _finish_surface(reader: _Reader, surface: str) -> bool:
    color = reader.colors[-1] if reader.colors else None
    if surface == "wall":
        kind = next((lexicon.WALL_WORDS[f] for f in reader.finishes if f in lexicon.WALL_WORDS), None)
        request = replace(
            reader.request, wall_color=color or reader.request.wall_color, wall=kind or reader.request.wall
        )
    else:
        kind = next((lexicon.FLOOR_WORDS[f] for f in reader.finishes if f in lexicon.FLOOR_WORDS), None)
        request = replace(
            reader.request, floor_color=color or reader.request.floor_color, floor=kind or reader.request.floor
        )
    reader.request = request
    return _noun_done(reader, surface)


def _name_theme(reader: _Reader, theme: str, word: str, approximate: bool) -> bool:
    if reader.theme is None or (reader.approximate and not approximate):
        reader.theme, reader.theme_word, reader.approximate = theme, word, approximate
    return _close_theme(reader, "theme")


def _close_theme(reader: _Reader, last: str) -> bool:
    """Adjectives before the place itself: its size and the colour of its walls."""
    if reader.size is not None:
        reader.request = replace(reader.request, size=reader.size)
    if reader.colors:
        reader.request = replace(reader.request, wall_color=reader.colors[-1])
    return _noun_done(reader, "theme" if last == "aisle" else last)


def _name_object(reader: _Reader, word: str, plural: bool) -> bool:
    if reader.refusing:
        reader.without.append(word)
        return _noun_done(reader, reader.last, keep_refusing=True)
    for count, colors in reader.groups:
        reader.wishes.append(_Wish(word, count or 1, colors))
    colors = reader.colors
    default = 1 if not plural or word in _UNCOUNTED else max(2, len(colors))
    count = default if reader.count is None else reader.count
    if count == 0:
        reader.without.append(word)
    elif word in _UNCOUNTED and reader.count is None:
        reader.wishes.append(_Wish(word, max(1, len(colors)), colors))
    else:
        reader.wishes.append(_Wish(word, max(count, len(colors)), colors))
    return _noun_done(reader, "object" if count else reader.last)


def _noun_done(reader: _Reader, last: str, keep_refusing: bool = False) -> bool:
    reader.settle()
    reader.last = last
    reader.refusing = keep_refusing
    return True


# ---- conclusions


def _conclude(text: str, reader: _Reader) -> PromptReading:
    theme, reason = _choose_theme(reader)
    notices = list(reader.notices)
    if reader.approximate and theme == reader.theme:
        notices.append(f"There is no '{reader.theme_word}' theme; the closest one is used: {theme}.")
    if theme in ("yard", "street", "tabletop") and (reader.request.floor or reader.request.floor_color):
        notices.append(f"A {theme} has no floor to choose; that wish is left out.")
    if theme in ("yard", "street") and (reader.request.wall_color or reader.request.wall):
        notices.append(f"A {theme} has no walls; that wish is left out.")
    has_aisle = theme in ROOMS and bool(ROOMS[theme].aisle)
    if reader.request.aisle and not has_aisle:
        notices.append("An aisle is only built in a warehouse or a shop; the word has no effect here.")
    request = replace(
        reader.request,
        items=_items(reader, theme, notices),
        mood=reader.mood,
        without=tuple(dict.fromkeys(_resolve(word, theme) for word in reader.without)),
        aisle=reader.request.aisle and has_aisle,
    )
    if reader.not_understood:
        notices.append("Not understood: " + ", ".join(reader.not_understood) + ".")
    return PromptReading(
        text, theme, reason, request, tuple(reader.understood), tuple(reader.not_understood), tuple(notices)
    )


def _items(reader: _Reader, theme: str, notices: list[str]) -> tuple[Item, ...]:
    merged: list[Item] = []
    for wish in reader.wishes:
        name = _resolve(wish.word, theme)
        count = min(wish.count, MOST_OF_ONE_KIND)
        if count < wish.count:
            notices.append(f"At most {MOST_OF_ONE_KIND} of one kind are placed; {wish.count} x {name} were asked for.")
        if wish.colors and not takes_color(name):
            notices.append(f"A {name} comes in its own colour; '{' and '.join(wish.colors)}' is left out.")
        colors = tuple(wish.colors) if takes_color(name) else ()
        merged.append(Item(name, count, colors))
    return tuple(merged)


@cache
def takes_color(name: str) -> bool:
    """Whether things of this class can be made in a requested colour."""
    from random import Random

    from .objects import Style, build

    return build(name, Style(Random(0), "purple")).color == "purple"


def _resolve(word: str, theme: str) -> str:
    """Class name of an object word in a place."""
    if word not in lexicon.BY_THEME:
        return word
    meanings = lexicon.BY_THEME[word]
    return meanings.get(theme, meanings[""])


def _choose_theme(reader: _Reader) -> tuple[str, str]:
    if reader.theme is not None:
        return reader.theme, f"the word '{reader.theme_word}'"
    if reader.request.aisle:
        return "warehouse", "the word 'aisle'"
    votes: Counter[str] = Counter()
    for wish in reader.wishes:
        votes.update(_homes(wish.word))
    if votes:
        best = max(votes.values())
        theme = next(name for name in THEMES if votes[name] == best)
        words = ", ".join(dict.fromkeys(_resolve(w.word, theme) for w in reader.wishes if _homes(w.word).get(theme)))
        return theme, f"no place is named; guessed from: {words}"
    return "living room", "no place is named; the default"


@cache
def _homes(word: str) -> dict[str, int]:
    """Themes where the word's things are at home, with a weight."""
    homes: dict[str, int] = {}
    for theme in THEMES:
        name = _resolve(word, theme)
        if name in _inventory(theme):
            homes[theme] = 3 if name in OUTDOOR_ONLY or (theme == "tabletop" and _small(name)) else 1
        elif USED_IN.get(name) == theme:
            homes[theme] = 3
    if word in ("table:any", "desk:any"):
        homes["tabletop"] = 1
    return homes


def _small(name: str) -> bool:
    return name in SMALL_THINGS and name in CATALOG


@cache
def _inventory(theme: str) -> frozenset[str]:
    if theme in ROOMS:
        return ROOMS[theme].inventory()
    extra = {
        "tabletop": set(SMALL_THINGS),
        "yard": {*YARD_THINGS, "house", "shed", "hedge", "fence"},
        "street": {*STREET_THINGS, "house", "shop", "car", "van", "truck", "person"},
    }
    return frozenset(extra[theme])
