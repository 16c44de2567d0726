"""`hems check-config` on files that no person would write, and some that one might."""

import random
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from services.check_config import mistakes

EXAMPLE = Path(__file__).parents[2] / "hems.example.yaml"
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, float("nan"), "", "x", "off", "22:00", 1_320, "a" * 5_000,
    [], {}, [None], {"a": None}, {1: 2}, {True: 1}, [[[]]],
)  # fmt: skip
KEYS: tuple[Any, ...] = (1, True, None, "", "zz", "a_b", "key_file", "auth_token_file")


def changed(value: Any, chance: random.Random) -> Any:
    """A part of the example, with something odd here and there."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, list):
        return [changed(each, chance) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    parts = {key: changed(each, chance) for key, each in cast("dict[Any, Any]", value).items() if chance.random() > 0.03}
    return parts | ({chance.choice(KEYS): chance.choice(ODD)} if chance.random() < 0.1 else {})


@pytest.mark.parametrize("seed", range(4))
def test_no_file_is_a_crash(seed: int, tmp_path: Path) -> None:
    """Whatever stands where: each mistake has its sentence, and every service reads the file in the same way."""
    chance, path = random.Random(seed), tmp_path / "hems.yaml"
    example = yaml.safe_load(EXAMPLE.read_text())
    for _ in range(30):
        path.write_text(yaml.safe_dump(changed(example, chance)))
        assert all(mistake.message and str(path) in str(mistake) for mistake in mistakes(path))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("bridge_adafruit: {hooks: {1: {action: mute}}}", "bridge_adafruit.hooks"),
        ("bridge_adafruit: {hooks: {a_b: {secret: x}, a-b: 7}}", "bridge_adafruit.hooks"),
        (f"home: {{time_zone: {'x' * 300}}}", "home.time_zone"),
        ("home: {time_zone: Europe}", "home.time_zone"),
    ],
)
def test_what_was_a_crash_is_a_mistake(text: str, key: str, tmp_path: Path) -> None:
    """Found by the test above, with other seeds."""
    (tmp_path / "hems.yaml").write_text(text)
    found = mistakes(tmp_path / "hems.yaml")
    assert found
    assert all(mistake.key.startswith(key) for mistake in found), found
