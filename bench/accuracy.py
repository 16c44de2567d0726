"""`make bench-accuracy DATA=DIR`: how well the models name the appliances of recorded homes, each home left out in turn.

A home that a released model was trained on is judged with the network that never saw it (`bench/folds`); where there is none, the
released network is judged and the row says so. All through the ONNX files and the service's own streaming code.
"""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.accuracy_table import Row, as_table, card_figures
from bench.packs import Pack, Recorded, find, key_of, read
from services.disaggregator import onnx_model
from services.disaggregator.card import UnusableModel
from services.disaggregator.domain.network import Network
from services.disaggregator.evaluation.judge import Judgement, judge
from services.disaggregator.evaluation.picture import picture
from services.disaggregator.recording import UnusableRecording

FOLDS = Path(__file__).parent / "folds"
OUT = Path(__file__).parents[1] / ".cache" / "accuracy"
RELEASED = ("uk_30s", "fridge_60s")


@dataclass(frozen=True)
class Released:
    """A model as it is shipped, the homes that it was trained on, and the networks that left one of them out."""

    name: str
    folder: Path
    network: Network
    homes: frozenset[str]
    folds: dict[str, Path]

    def for_home(self, home: str) -> tuple[Network, str]:
        """The network that may be judged on this home, and what the home is to it."""
        if home in self.folds:
            return _load(self.folds[home]), "left out"
        return self.network, "trained on" if home in self.homes else "never seen"


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--folds", type=click.Path(file_okay=False, path_type=Path), default=FOLDS, help="Networks with a home left out.")
@click.option("--model", "models", multiple=True, default=RELEASED, help="A shipped model, or a model's folder; again for several.")
@click.option("--days", type=click.FloatRange(min=0.01), default=200.0, show_default=True, help="Judge the last days of each pack.")
@click.option("--only", default="", metavar="TEXT", help="Only packs whose file name holds this.")
@click.option("--interval", "intervals", multiple=True, metavar="NAME=SECONDS", help="For files without times, by their name's beginning.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=OUT, help="Folder of the JSON file and the pictures.")
@click.option("--cards", is_flag=True, help="Write the figures of homes left out into the released models' cards.")
def main(
    data: Path, folds: Path, models: tuple[str, ...], days: float, only: str, intervals: tuple[str, ...], out: Path, cards: bool
) -> None:
    """Judge the models on every recorded home in DATA, a folder of packs (docs/packs.md).

    Example: python -m bench.accuracy ~/homes --only refit
    """
    released = [_released(name, folds) for name in models]
    packs = [pack for pack in find(data, _intervals(intervals)) if only in pack.path.stem]
    if not packs:
        raise click.ClickException(f"{data}: there is no pack (*.parquet) whose name holds {only!r}; docs/packs.md says what one is")
    out.mkdir(parents=True, exist_ok=True)
    rows = list[Row]()
    for pack, recorded in _readable(packs, days):
        rows += _judged(pack, recorded, released, out)
    click.echo(as_table(rows))
    (out / "accuracy.json").write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n", encoding="utf-8")
    click.echo(f"\nall figures: {out / 'accuracy.json'}; a picture per appliance: {out}/*.svg", err=True)
    if cards:
        _write_cards(released, rows)


def _released(name: str, folds: Path) -> Released:
    folder = onnx_model.folder_of(name)
    network = _load(folder)
    homes = frozenset(key_of(home) for home in _card(folder)["training"]["homes"])
    made = [path.parent for path in sorted((folds / network.model.name).glob("*/card.json"))]
    left_out = {key_of(_card(fold)["left_out"]): fold for fold in made}
    return Released(network.model.name, folder, network, homes, left_out)


def _load(folder: Path) -> Network:
    try:
        return onnx_model.load(folder)
    except UnusableModel as error:
        raise click.ClickException(str(error)) from None


def _card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def _intervals(given: tuple[str, ...]) -> dict[str, float]:
    try:
        return {name: float(seconds) for name, _, seconds in (entry.partition("=") for entry in given)}
    except ValueError:
        raise click.BadParameter("give an interval as NAME=SECONDS, such as redd_house=3.6") from None


def _readable(packs: list[Pack], days: float) -> Iterator[tuple[Pack, Recorded]]:
    """Packs in which something was metered; the others are named and left out."""
    for pack in packs:
        try:
            recorded = read(pack, days)
        except UnusableRecording as error:
            click.echo(f"left out: {error}", err=True)
            continue
        if recorded is None:
            click.echo(f"left out: {pack.path.name} has no column of an appliance that the models know", err=True)
        else:
            yield pack, recorded


def _judged(pack: Pack, recorded: Recorded, released: list[Released], out: Path) -> list[Row]:
    """Every model that knows one of the pack's appliances, all of them at once, as the service runs them."""
    chosen = [(model, *model.for_home(pack.home)) for model in released]
    able = [entry for entry in chosen if {head.appliance for head in entry[1].model.heads} & set(recorded.truth_w)]
    if not able:
        return []
    with _progress(pack.path.stem, 2 * len(recorded.times_s)) as progress:
        networks = [network for _, network, _ in able]
        judgement = judge(pack.path.stem, networks, recorded.times_s, recorded.mains_w, dict(recorded.truth_w), progress)
    _draw(out, judgement)
    whose = {head.appliance: (model.name, standing) for model, network, standing in able for head in network.model.heads}
    return [Row(pack.home, pack.path.stem, *whose[verdict.appliance], verdict) for verdict in judgement.verdicts if verdict.days]


@contextmanager
def _progress(label: str, samples: int) -> Generator[Callable[[int], None]]:
    with click.progressbar(length=samples, label=f"{label:40}", update_min_steps=20_000) as bar:
        yield bar.update


def _draw(out: Path, judgement: Judgement) -> None:
    for verdict in judgement.verdicts:
        if verdict.days:
            (out / f"{judgement.home}-{verdict.appliance}.svg").write_text(picture(judgement, verdict), encoding="utf-8")


def _write_cards(released: list[Released], rows: list[Row]) -> None:
    for model in released:
        path = model.folder / "card.json"
        content = _card(model.folder) | {"figures": card_figures([row for row in rows if row.model == model.name])}
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(str(path), err=True)


if __name__ == "__main__":
    main()
