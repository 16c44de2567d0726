"""Native elements: what a browser, a keyboard and a screen reader know without help."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

Handler = Callable[[], Awaitable[None] | None]


def tag(name: str, text: str = "", classes: str = "", **attributes: str) -> TextElement:
    """An element with a text, which is never read as HTML. `aria_label` stands for `aria-label`."""
    element = TextElement(tag=name, text=text)
    if classes:
        element.classes(classes)
    for key, value in attributes.items():
        element.props[key.rstrip("_").replace("_", "-")] = value
    return element


def button(text: str, pressed: Handler, classes: str = "button", **attributes: str) -> TextElement:
    """A button."""
    element = tag("button", text, classes, type="button", **attributes)
    element.on("click", pressed, args=[])
    return element


def put(element: TextElement, text: str) -> None:
    """Set a text, where it is another one."""
    if element.text != text:
        element.set_text(text)


def note(element: TextElement, **attributes: str | None) -> None:
    """Set attributes, where they are others; None takes one away."""
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if attribute(element, name) == value:
            continue
        if value is None:
            element.props.pop(name, None)
        else:
            element.props[name] = value


def attribute(element: TextElement, name: str) -> Any:
    """An attribute's value; None where it is not set."""
    properties: Any = element.props
    return properties.get(name)


def set_option(chart: ui.echart, options: dict[str, Any]) -> None:
    """Change a part of a picture in the browser, without sending all of it."""
    untyped: Any = chart
    untyped.run_chart_method("setOption", options)


def choice(
    label: str, options: Sequence[tuple[str, str]], chosen: str, pick: Callable[[str], Awaitable[None] | None]
) -> dict[str, TextElement]:
    """A row of buttons of which one is pressed; the buttons by key."""
    buttons: dict[str, TextElement] = {}

    def picker(key: str) -> Handler:
        def picked() -> Awaitable[None] | None:
            for other, element in buttons.items():
                note(element, aria_pressed="true" if other == key else "false")
            return pick(key)

        return picked

    with tag("div", classes="choice", role="group", aria_label=label):
        for key, text in options:
            buttons[key] = button(text, picker(key), "choice-option", aria_pressed="true" if key == chosen else "false")
    return buttons


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], caption: str, marks: Sequence[dict[str, str]]) -> None:
    """A table of texts; its first column heads the rows, each with the attributes of `marks`.

    On a phone the rows stand as lists, and a list is no table for a screen reader unless its parts say so: hence the roles.
    """
    with tag("div", classes="table-frame", tabindex="0", role="region", aria_label=caption), tag("table", role="table"):
        tag("caption", caption, "visually-hidden")
        with tag("thead", role="rowgroup"), tag("tr", role="row"):
            for header in headers:
                tag("th", header, scope="col", role="columnheader")
        with tag("tbody", role="rowgroup"):
            for (first, *others), mark in zip(rows, marks, strict=True):
                with tag("tr", role="row"):
                    tag("th", first, "status", scope="row", role="rowheader", **mark)
                    for header, cell in zip(headers[1:], others, strict=True):
                        tag("td", cell, role="cell", data_label=header)
