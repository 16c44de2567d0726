"""Questions and answers."""

import pytest
from click.testing import CliRunner

from hems.setting_up.conversation import Left, Terminal
from tests.support.conversation import Scripted


def test_an_answer_that_can_not_be_used_is_asked_for_again() -> None:
    """What is wrong is said in the check's own words."""
    talk = Scripted({"How many": ["x", "7"]})
    assert talk.ask("How many?", check=int) == 7
    assert "That can't be used: invalid literal" in talk.text


def test_first_letters_choose() -> None:
    """One that fits two options is asked for again."""
    options = {"simulated": "", "silent": "", "gpio": ""}
    talk = Scripted({"Which": ["si", "GP"]})
    assert talk.choose("Which?", options) == "gpio"
    assert "Please answer one of: simulated, silent, gpio." in talk.text


def test_an_empty_answer_is_the_default() -> None:
    """Also for yes and no."""
    talk = Scripted({})
    assert talk.ask("Name?", "home") == "home"
    assert talk.confirm("Sure?", default=False) is False
    assert talk.confirm("Sure?") is True


def test_the_end_of_the_terminal_ends_the_conversation() -> None:
    """Ctrl-D leaves, as Ctrl-C does."""
    with CliRunner().isolation(input=""), pytest.raises(Left):
        Terminal().ask("Name?")
