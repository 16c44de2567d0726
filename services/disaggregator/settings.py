"""The disaggregator's section of `hems.yaml`."""

from typing import Annotated, ClassVar

from pydantic import Field

from hems.actor.settings import Section


class DisaggregatorSettings(Section):
    """Which models name the appliances."""

    section: ClassVar[str] = "disaggregator"

    models: Annotated[tuple[str, ...], Field(min_length=1, description="shipped models by name, or paths of your own model folders")] = (
        "uk_30s",
        "fridge_60s",
    )
