"""`hems disaggregate` and `hems evaluate`: recorded homes through the service's own code."""

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import click

from hems.actor.configuration import Configuration, ConfigurationError
from services.disaggregator import history, recording
from services.disaggregator.domain.network import Network
from services.disaggregator.evaluation import judge
from services.disaggregator.evaluation.picture import picture
from services.disaggregator.evaluation.text import table
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings

_IN = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
_MODELS = click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A shipped model, or a model's folder; again for several.  [default: hems.yaml's]",
)
_INTERVAL = click.option("--interval", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Between rows, for a file without times.")


@click.command()
@click.argument("source", metavar="IN.parquet", type=_IN)
@click.argument("target", metavar="OUT.parquet", type=_OUT)
@click.option("--events", type=_OUT, metavar="EVENTS.csv", help="Write what would have been announced.")
@_MODELS
@_INTERVAL
def disaggregate(source: Path, target: Path, events: Path | None, models: tuple[str, ...], interval: float | None) -> None:
    """Say which appliances ran in a recorded home.

    IN.parquet holds a time column or index and `mains` in W, at any interval from 1 s to 60 s; NaN is a gap. OUT.parquet
    gets a row a tick: for each appliance its probability, whether it runs (0 or 1) and its power in W as said at that
    moment; and the last two again, as known some minutes later.

    Example: hems disaggregate home.parquet appliances.parquet --events events.csv
    """
    home = _read(source, interval)
    networks = _networks(models)
    with _progress("disaggregating", len(home.times_s)) as progress:
        said = history.disaggregate(networks, home.times_s, home.mains_w, progress)
    recording.write_history(target, said)
    if events is not None:
        recording.write_events(events, said.events)
    click.echo(f"{target}: {len(said.times_s)} rows of {', '.join(said.appliances)}; {len(said.events)} events", err=True)
    if said.dropped_readings:
        click.echo(f"{said.dropped_readings} readings were left out: they are not later than the one before", err=True)


@click.command()
@click.argument("source", metavar="DATA.parquet", type=_IN)
@click.option("--json", "target", type=_OUT, metavar="FILE", help="Write all figures.")
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Draw a picture per appliance (SVG).")
@click.option("--truth", multiple=True, metavar="NAME=COLUMN", help="The column that holds an appliance, where it isn't named so.")
@_MODELS
@_INTERVAL
def evaluate(
    source: Path, target: Path | None, pictures: Path | None, truth: tuple[str, ...], models: tuple[str, ...], interval: float | None
) -> None:
    """Judge the models on a home whose appliances were metered.

    DATA.parquet holds a time column or index, `mains` in W, and a column in W for each metered appliance: kettle,
    microwave, dishwasher, washing_machine, fridge.

    Example: hems evaluate home.parquet --pictures pictures
    """
    home = _read(source, interval)
    metered = _metered(home, truth)
    networks = _networks(models)
    with _progress("evaluating", 2 * len(home.times_s)) as progress:
        judgement = judge.judge(home.name, networks, home.times_s, home.mains_w, metered, progress)
    click.echo(table(judgement))
    if target is not None:
        target.write_text(json.dumps(judgement.as_json(), indent=2) + "\n", encoding="utf-8")
    if pictures is not None:
        _draw(pictures, judgement)


def _read(source: Path, interval_s: float | None) -> recording.Recording:
    try:
        return recording.read(source, interval_s)
    except recording.UnusableRecording as error:
        raise click.ClickException(str(error)) from None


def _metered(home: recording.Recording, truth: Iterable[str]) -> "dict[str, history.Floats]":
    metered = dict(home.columns)
    for entry in truth:
        name, _, column = entry.partition("=")
        if column not in metered:
            raise click.ClickException(f"--truth {entry}: there is no column {column!r}; there are {', '.join(home.columns)}")
        metered[name] = metered[column]
    return metered


def _networks(models: tuple[str, ...]) -> list[Network]:
    """The models named, or those of the service; a model that can't be used ends the command."""
    try:
        names = models or Configuration.load().section(DisaggregatorSettings).models
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    networks, refused = load_all(names)
    if refused:
        raise click.ClickException("; ".join(map(str, refused)))
    return networks


@contextmanager
def _progress(label: str, samples: int) -> Generator[Callable[[int], None]]:
    with click.progressbar(length=samples, label=label, update_min_steps=20_000, show_pos=True) as bar:
        yield bar.update


def _draw(folder: Path, judgement: judge.Judgement) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for verdict in judgement.verdicts:
        path = folder / f"{judgement.home}-{verdict.appliance}.svg"
        path.write_text(picture(judgement, verdict), encoding="utf-8")
        click.echo(str(path), err=True)
