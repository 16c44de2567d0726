"""A model's card: what stands beside the ONNX file, and what the service reads of it."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hems.contracts.payload import Identifier
from services.disaggregator.domain.network import Head, Model

LONGEST_CORRECTION_S = 600.0
_WITHOUT_HEATER = ("fridge", "freezer", "fridge_freezer")

Probability = Annotated[float, Field(ge=0, le=1)]


class UnusableModel(Exception):
    """A model folder that can't be used; the message says why and what to do."""


class ApplianceCard(BaseModel):
    """One appliance of a model; fields that the service doesn't need are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    name: Identifier
    threshold_on: Annotated[float, Field(gt=0, le=1)]
    threshold_off: Annotated[float, Field(gt=0, le=1)]
    threshold_corrected: Annotated[float, Field(gt=0, le=1)]
    minimum_on_s: Annotated[float, Field(ge=0)] = 0
    minimum_off_s: Annotated[float, Field(ge=0)] = 0
    hold_corrected_s: Annotated[float, Field(ge=0)] = 0
    probable_threshold: Annotated[float | None, Field(gt=0, le=1)] = None
    corrected_lag_s: Annotated[float | None, Field(description="the longest of the model's lags where absent")] = None
    priority: int = 0
    heats: bool | None = None
    learns_from_hindsight: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.threshold_off > self.threshold_on:
            raise ValueError("threshold_off lies above threshold_on: it would stop before it started")
        return self

    def head(self, lags_s: tuple[float, ...]) -> Head:
        """As the domain takes it."""
        heats = self.name not in _WITHOUT_HEATER if self.heats is None else self.heats
        longest_s = max(lags_s) if self.corrected_lag_s is None else self.corrected_lag_s
        same = {"threshold_on", "threshold_off", "threshold_corrected", "minimum_on_s", "minimum_off_s", "hold_corrected_s"}
        given = self.model_dump(include={*same, "learns_from_hindsight"})
        return Head(
            appliance=self.name, corrected_lag=lags_s.index(longest_s), probable_threshold=self.probable_threshold,
            priority=self.priority, heats=heats, **given,
        )  # fmt: skip


class Card(BaseModel):
    """`card.json`, as far as the service reads it; the rest is for people."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    name: Identifier
    version: int | str
    period_s: Annotated[float, Field(ge=1, le=300, description="the model's clock")]
    state_size: Annotated[int, Field(ge=1, le=1_000_000)]
    lags_s: Annotated[tuple[float, ...], Field(min_length=1, description="how far back each output speaks; the first is 0")]
    power_is: Literal["given_on"] = "given_on"
    appliances: Annotated[tuple[ApplianceCard, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of model.onnx")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.lags_s[0] != 0 or max(self.lags_s) > LONGEST_CORRECTION_S or min(self.lags_s) < 0:
            raise ValueError(f"lags_s: the first is 0, the others lie within {LONGEST_CORRECTION_S:.0f} s")
        names = [appliance.name for appliance in self.appliances]
        if len(set(names)) != len(names):
            raise ValueError("appliances: a name stands twice")
        strange = [a.name for a in self.appliances if a.corrected_lag_s is not None and a.corrected_lag_s not in self.lags_s]
        if strange:
            raise ValueError(f"appliances: corrected_lag_s of {', '.join(strange)} is not one of lags_s")
        return self

    @property
    def model(self) -> Model:
        """As the domain takes it."""
        heads = tuple(appliance.head(self.lags_s) for appliance in self.appliances)
        return Model(self.name, self.sha256, self.period_s, self.state_size, self.lags_s, heads)


def read_card(folder: Path) -> Card:
    """The card of a model's folder, checked against its `model.onnx`.

    Raises:
        UnusableModel: a file is missing, broken, or not the one that the card describes.
    """
    for name in ("card.json", "model.onnx"):
        if not (folder / name).is_file():
            raise UnusableModel(f"{folder}: there is no {name}; a model is a folder that holds model.onnx and card.json")
    card = _parsed(folder / "card.json")
    found = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    if found != card.sha256:
        raise UnusableModel(f"{folder}: model.onnx is not the file that card.json describes (sha256 {found}, the card says {card.sha256})")
    return card


def _parsed(path: Path) -> Card:
    try:
        return Card.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'card'}: {problem['msg']}" for problem in error.errors()[:5])
        raise UnusableModel(f"{path}: {problems}") from None
    except ValueError as error:
        raise UnusableModel(f"{path}: this is not JSON: {error}") from None
