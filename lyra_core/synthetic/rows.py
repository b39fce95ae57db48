# SPDX-License-Identifier: Apache-2.0
"""Things that stand in rows: storage along an aisle, beds or doors along a wall, desks before a blackboard."""

from __future__ import annotations

from .objects import Prop
from .places import Places

_BETWEEN = 0.35
"""Least gap [m] between neighbours of a row."""
_TEACHER = 3.0
"""Free depth [m] before the blackboard."""
_SEAT_PITCH = (1.35, 1.5)
"""Distance [m] of desks across and along the room."""


def line_aisle(places: Places) -> None:
    """Storage along both sides, as far as the eye reaches."""
    stage, room, name = places.stage, places.room, places.theme.aisle
    color = next((i.color(0) for i in stage.request.items if i.name == name), None)
    first, most, gap = (0.9, 12, 0.02) if places.theme.narrow else (3.0, 2, 0.12)
    for side in ("left", "right"):
        y = first
        for _ in range(most):
            prop = stage.make(name, color)
            color = prop.color if places.theme.narrow else color
            low, high = prop.bounds()
            half = (high[0] - low[0]) / 2
            if y + 2 * half > room.depth - 0.1:
                break
            if places.at_wall(prop, side, y + half, gap=min(0.04, gap)):
                stage.deliver(name)
            y += 2 * half + gap
    if places.theme.narrow:
        stage.add(stage.make("hanging sign"), 0.0, 0.5 * room.depth, 0.0, room.height - 0.012)


def row_at_back(places: Places) -> None:
    """Things of the theme's row side by side along the whole back wall, each with what belongs beside it."""
    stage, room = places.stage, places.room
    props = [stage.make(name, color) for name, color in _row_names(places)]
    widths = [_width(prop) for prop in props]
    while props and (room.width - sum(widths)) / (len(props) + 1) < _BETWEEN:
        props.pop()
        widths.pop()
    gap = (room.width - sum(widths)) / (len(props) + 1)
    x = -room.width / 2
    for prop, width in zip(props, widths, strict=True):
        x += gap + width / 2
        shift = -(prop.bounds()[0][0] + prop.bounds()[1][0]) / 2
        if places.at_wall(prop, "back", x + shift):
            stage.deliver(prop.name)
            friends = list(places.theme.companions.get(prop.name, ()))
            places.companions(prop, x + shift, names=places.rng.sample(friends, len(friends)))
        x += width / 2


def _row_names(places: Places) -> list[tuple[str, str | None]]:
    """Classes and colours of a row: the wanted ones, hosts for wanted companions, else as many as the theme says."""
    theme, rng = places.theme, places.rng
    members = [(item.name, item.color(0)) for item in places.stage.wishes(set(theme.row))]
    wanted = {item.name for item in places.stage.request.items}
    hosts = [name for name in dict.fromkeys(theme.row) if wanted & set(theme.companions.get(name, ()))]
    count = len(members) or rng.randint(*theme.row_count)
    members += [(name, None) for name in hosts if name not in dict(members)]
    allowed = [name for name in theme.row if name not in places.stage.request.without]
    while allowed and len(members) < count:
        members.append((rng.choice(allowed), None))
    return rng.sample(members, len(members))


def _width(prop: Prop) -> float:
    low, high = prop.bounds()
    return high[0] - low[0]


def rows_of_seats(places: Places) -> None:
    """Desks in rows that face the back wall: as many as were asked for, else as many as there is room for."""
    stage, room, name = places.stage, places.room, places.theme.seats
    wanted = stage.wishes({name})
    if name in stage.request.without or (stage.request.sparse and not wanted):
        return
    across, along = _SEAT_PITCH
    columns = int((room.width - 1.5) / across)
    rows = int((room.depth - _TEACHER - 1.0) / along) + 1
    spots = [
        (across * (column - (columns - 1) / 2), room.depth - _TEACHER - along * row)
        for row in range(rows)
        for column in range(columns)
    ]
    if wanted:
        spots.sort(key=lambda spot: abs(stage.view.bearing(*spot)[1]) > 0.5)  # where they are seen comes first
    left = len(wanted) or len(spots)
    for x, y in spots:
        if left == 0:
            return
        prop = stage.make(name, wanted[-left].color(0) if wanted else None)
        turn = places.rng.uniform(-0.05, 0.05)
        if stage.try_add(prop, x + places.rng.uniform(-0.06, 0.06), y, turn, gap=0.1):
            stage.deliver(name)
            left -= 1
