"""The dashboard's section of `hems.yaml`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from hems.actor.settings import Section
from services.dashboard.domain.guard import is_loopback
from services.dashboard.domain.sign_in import check_hash

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]


class UnitSettings(BaseModel):
    """How figures are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    power: Annotated[Literal["auto", "W", "kW"], Field(description="auto: W below 10 kW")] = "W"
    carbon: Literal["kg", "lb"] = "kg"
    temperature: Literal["C", "F"] = "C"
    clock: Literal["24h", "12h"] = "24h"


class DashboardSettings(Section):
    """The local page."""

    section: ClassVar[str] = "dashboard"

    host: Annotated[str, Field(description="the address to listen on; beyond this computer only with a password")] = "127.0.0.1"
    reached_at: Annotated[
        str | None,
        Field(description="where a container's page is published, if that is elsewhere; who may come in goes by it"),
    ] = None
    port: Annotated[int, Field(ge=0, le=65_535, description="the next free one if it is taken; 0 takes any")] = 8_080
    hosts: Annotated[tuple[HostName, ...], Field(description="names that people may open the page by, such as home.example.org")] = ()
    password_hash: Annotated[SecretStr | None, Field(description="made by `hems password`; asked for unless bound to loopback")] = None
    language: Annotated[Literal["en"], Field(description="of the page's texts")] = "en"
    units: UnitSettings = UnitSettings()
    month_budget: Annotated[float | None, Field(gt=0, description="in the home's currency; recorder.budget.month_cost where absent")] = None
    demo: Annotated[bool, Field(description="say that a recording is played")] = False

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.password_hash is not None:
            check_hash(self.password_hash.get_secret_value())
        elif not is_loopback(self.seen_at):
            raise ValueError(f"to listen on {self.seen_at}, password_hash is needed: make one with `hems password`, or listen on 127.0.0.1")
        return self

    @property
    def seen_at(self) -> str:
        """The address that people come by."""
        return self.reached_at or self.host
