"""Who we are at Adafruit IO, and where it is."""

from dataclasses import dataclass, field

from services.bridge_adafruit.settings import BridgeAdafruitSettings


@dataclass(frozen=True)
class Account:
    """An account, its group of feeds, and the two ways to it."""

    username: str
    key: str = field(repr=False)
    group: str
    mqtt_host: str
    mqtt_port: int
    tls: bool
    ca_file: str | None
    base_url: str
    timeout_s: float

    @classmethod
    def of(cls, settings: BridgeAdafruitSettings) -> "Account | None":
        """The account that is set; None where there is none."""
        if settings.username is None or settings.key is None:
            return None
        mqtt, http = settings.mqtt, settings.http
        return cls(
            username=settings.username,
            key=settings.key.get_secret_value(),
            group=settings.group,
            mqtt_host=mqtt.host,
            mqtt_port=mqtt.port,
            tls=mqtt.tls,
            ca_file=mqtt.ca_file,
            base_url=http.base_url,
            timeout_s=http.timeout_s,
        )
