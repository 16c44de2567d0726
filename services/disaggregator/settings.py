"""The disaggregator's section of `hems.yaml`."""

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from hems.actor.settings import Section


class FleetSettings(BaseModel):
    """Many homes at once, instead of the one that `home.id` names; then `home.id` names this replica."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    partitions: Annotated[
        tuple[Annotated[int, Field(ge=0, le=9_999)], ...] | None,
        Field(min_length=1, description="those that this replica reads; absent where the broker splits nothing: all homes of the broker"),
    ] = None
    all: Annotated[
        int | None, Field(ge=1, le=10_000, description="how many partitions there are, to take over those of other replicas")
    ] = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$", description="the first level of what the broker splits")] = "hems-p"
    states: Annotated[SecretStr | None, Field(description="postgresql://user:password@host/name; this service's own file where absent")] = (
        None
    )
    redelivery_s: Annotated[
        float, Field(ge=0, le=120, description="how late a broker hands over what was not acknowledged; 0 where it keeps the order")
    ] = 0
    take_over_after_s: Annotated[float, Field(ge=0, le=3_600, description="a partition that nobody reads for so long is anybody's")] = 10
    window: Annotated[int, Field(ge=20, le=20_000, description="readings on their way, a partition")] = 2_000
    gather_s: Annotated[float, Field(ge=0.001, le=5, description="how long readings wait for others to share a step with")] = 0.02
    most_homes: Annotated[int, Field(ge=1, description="in memory; those heard least lately are let go")] = 20_000
    silent_after_s: Annotated[float, Field(ge=60, description="a home that says nothing for so long is let go")] = 900

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.states is not None and not self.states.get_secret_value().startswith("postgresql://"):
            raise ValueError("states begins with postgresql:// and user:password@host/name")
        if self.all is not None and (self.partitions is None or max(self.partitions) >= self.all or self.states is None):
            advice = (
                "`all` is the number of partitions: name some below it in `partitions`, and in `states` a database to take others over from"
            )
            raise ValueError(advice)
        return self


class DisaggregatorSettings(Section):
    """Which models name the appliances."""

    section: ClassVar[str] = "disaggregator"

    models: Annotated[tuple[str, ...], Field(min_length=1, description="shipped models by name, or paths of your own model folders")] = (
        "uk_30s",
        "fridge_60s",
    )
    fleet: Annotated[FleetSettings | None, Field(description="many homes in one process")] = None
