"""What stands in an SMS: its alphabet, its length, and how things are said."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain.gsm7 import fit, fold, segments
from services.notifier.domain.wording import check_template, energy, money, name_of, power, render, span


@given(st.text(max_size=700))
@settings(deadline=None)
def test_any_text_fits_into_two_segments(text: str) -> None:
    """Whatever people or services write."""
    assert segments(fit(text)) <= 2
    assert fold(fit(text)) == fit(text), "every character is in the alphabet"


@given(st.text(st.sampled_from("abc XYZ 0123 .,:;!?()@£$é\n"), max_size=120))
@settings(deadline=None)
def test_plain_text_stays_as_it_is(text: str) -> None:
    """Only what the alphabet lacks is replaced, and only what is too long is cut."""
    assert fit(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Küche” – fertig…", '"Küche" - fertig...'),  # noqa: RUF001
        ("Lampe à 5 €", "Lampe à 5 €"),
        ("naïve façade ½ Ł", "naive facade 1/2 ?"),
        ("☃ zero\u200bwidth\x07", "? zerowidth"),
    ],
)
def test_likenesses(text: str, expected: str) -> None:
    """Accents go where they must, punctuation becomes plain, the rest a question mark."""
    assert fold(text) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2), ("€" * 152, 2), ("a" + "€" * 152, 2)],
)
def test_segments_are_counted_as_the_networks_do(text: str, count: int) -> None:
    """160 septets alone, 153 each in a chain; an escaped character takes two, and is never split."""
    assert segments(text) == count


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (span(timedelta(seconds=6_720)), "1 h 52 min"),
        (span(timedelta(seconds=40)), "40 s"),
        (span(timedelta(days=2, hours=3, minutes=5)), "2 d 3 h"),
        (energy(0.9), "0.9 kWh"),
        (energy(0.04), "0.04 kWh"),
        (energy(123.4), "123 kWh"),
        (money(0.243, "GBP"), "0.24 GBP"),
        (power(850), "850 W"),
        (power(10_240), "10.2 kW"),
        (name_of("washing_machine"), "Washing machine"),
    ],
)
def test_figures_are_said_as_people_say_them(said: str, expected: str) -> None:
    """Two figures, two units."""
    assert said == expected


@pytest.mark.parametrize("template", ["{nobody}", "{appliance!r}", "{appliance:>9}", "{appliance.__class__}", "{", "{0}", "{}"])
def test_a_template_names_only_what_is_known(template: str) -> None:
    """Anything else is a mistake, found when hems.yaml is read."""
    with pytest.raises(ValueError, match=r"not known|expected|Single|single"):
        check_template(template, {"appliance", "time"})


def test_a_template_is_filled() -> None:
    """Braces that are doubled stand for themselves."""
    check_template("{appliance} {{x}}", {"appliance"})
    assert render("{appliance} {{x}}", {"appliance": "Oven"}) == "Oven {x}"
