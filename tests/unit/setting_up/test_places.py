"""Where a home's files are, and whose."""

import os
from pathlib import Path

import pytest

from hems.setting_up.places import hand_over


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves files that the owner can't read")
def test_what_root_leaves_goes_to_the_folders_owner(tmp_path: Path) -> None:
    """As after `sudo hems setup` in the folder of a service; what belongs to others, and what links lead to, stays as it is."""
    home, elsewhere = tmp_path / "hems", tmp_path / "elsewhere"
    (home / "secrets").mkdir(parents=True)
    for path in (home / "secrets/token", home / "theirs", elsewhere):
        path.write_text("x")
    (home / "link").symlink_to(elsewhere)
    os.chown(home, 65_534, 65_534)
    os.chown(home / "theirs", 65_533, 65_533)
    hand_over(home)
    owners = {path.name: path.lstat().st_uid for path in home.rglob("*")}
    assert owners == {"secrets": 65_534, "token": 65_534, "theirs": 65_533, "link": 65_534}
    assert elsewhere.stat().st_uid == 0


def test_a_folder_that_is_not_there_is_no_matter(tmp_path: Path) -> None:
    """Nothing was left in it."""
    hand_over(tmp_path / "var")
