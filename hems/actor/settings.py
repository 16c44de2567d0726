"""Settings: one `hems.yaml` for all, the environment over it, a class per section.

`HEMS_<SECTION>__<KEY>` replaces a key; `HEMS_<SECTION>__<KEY>_FILE` names a file that holds it, for secrets. In `hems.yaml` itself,
`<secret>_file` names the file of a secret in the same way.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from hems.contracts.payload import Identifier


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: longer than a file's name may be, or a folder's
        raise ValueError(f"{name!r} is not a time zone; one is 'Europe/London'") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]


class Section(BaseSettings):
    """One section of `hems.yaml`. Unknown keys are mistakes; every key has a default where one makes sense."""

    section: ClassVar[str]
    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, values: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Self:
        """The section, from a file's values and the environment over them.

        Raises:
            pydantic.ValidationError: a value breaks its rule.
            pydantic_settings.SettingsError: a variable should hold JSON, and doesn't.
            UnusableVariable: a variable names no key, or a file that can't be read.
            UnusableFile: a key names a secret's file that can't be read.
        """
        variables = dict(os.environ if environment is None else environment)
        given = _with_secrets(cls, values or {}, (cls.section,))
        return cls(_values=given, _environment=variables)  # type: ignore[call-arg]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order: the environment, then what the caller or the file gives."""
        given: dict[str, Any] = dict(init_settings())
        values = given.pop("_values", given)
        environment = given.pop("_environment", {})
        return _Environment(settings_cls, cls.section, environment), InitSettingsSource(settings_cls, values)


class UnusableVariable(ValueError):
    """An environment variable that can't be used: its name, and what is wrong. Its value is never shown."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable
        self.reason = reason


class UnusableFile(ValueError):
    """A secret's file that can't be read: the key that names it, and what is wrong."""

    def __init__(self, key: tuple[str, ...], reason: str) -> None:
        super().__init__(f"{'.'.join(key)}: {reason}")
        self.key = key
        self.reason = reason


class _Environment(EnvSettingsSource):
    """`HEMS_<SECTION>__<KEY>`, or the content of the file that `…_FILE` names."""

    def __init__(self, settings_cls: type[BaseSettings], section: str, environment: Mapping[str, str]) -> None:
        self._given = environment
        super().__init__(settings_cls, env_prefix=f"HEMS_{section}__", env_nested_delimiter="__", case_sensitive=False)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        variables = {key: value for key, value in self._given.items() if key.upper().startswith(self.env_prefix.upper())}
        return dict(self._variable(key, value) for key, value in variables.items())

    def _variable(self, name: str, value: str) -> tuple[str, str]:
        key = name[len(self.env_prefix) :].lower()
        if self._is_declared(key):
            return name.lower(), value
        if key.endswith("_file") and self._is_declared(key.removesuffix("_file")):
            return name.lower().removesuffix("_file"), _content(name, value)
        raise UnusableVariable(name, "no such key")

    def _is_declared(self, key: str) -> bool:
        first, *rest = key.split("__")
        field: Any = self.settings_cls.model_fields.get(first)
        for level in rest:
            field = field if field is Any else self.next_field(field, level)
        return field is not None


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UnusableVariable(variable, _unreadable(path, error)) from None


def _unreadable(path: str, error: Exception) -> str:
    return f"the file {path} can't be read: {error.strerror if isinstance(error, OSError) else 'it is not text'}"


def _with_secrets(kind: type[BaseModel], values: Mapping[str, Any], key: tuple[str, ...]) -> dict[str, Any]:
    """The values, each `<secret>_file` replaced by the secret that the file holds."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        secret = str(name).removesuffix("_file")
        if name != secret and name not in kind.model_fields and _is_secret(kind, secret) and isinstance(value, str):
            found[secret] = _secret(value, (*key, name))
        else:
            found[str(name)] = _inner(kind, name, value, (*key, str(name)))
    return found


def _inner(kind: type[BaseModel], name: str, value: Any, key: tuple[str, ...]) -> Any:
    annotation: Any = kind.model_fields[name].annotation if name in kind.model_fields else None
    models = [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    if len(models) != 1 or not isinstance(value, Mapping):
        return value
    mapping = cast("Mapping[str, Any]", value)
    if get_origin(annotation) is not dict:
        return _with_secrets(models[0], mapping, key)
    return {
        name: _with_secrets(models[0], cast("Mapping[str, Any]", each), (*key, str(name))) if isinstance(each, Mapping) else each
        for name, each in mapping.items()
    }


def _is_secret(kind: type[BaseModel], name: str) -> bool:
    return name in kind.model_fields and SecretStr in _parts(kind.model_fields[name].annotation)


def _parts(annotation: Any) -> list[Any]:
    inner = get_args(annotation)
    return [annotation, *(part for each in inner for part in _parts(each))]


def _secret(path: str, key: tuple[str, ...]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UnusableFile(key, _unreadable(path, error)) from None


class HomeSettings(Section):
    """The home that all services serve."""

    section: ClassVar[str] = "home"

    id: Annotated[Identifier, Field(description="in every topic")] = "home"
    time_zone: TimeZone = "Europe/London"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")] = "GBP"
    nominal_voltage_v: Annotated[float, Field(ge=90, le=260)] = 230.0
    latitude: Annotated[float | None, Field(ge=-90, le=90, description="degrees, for sunrise and sunset")] = None
    longitude: Annotated[float | None, Field(ge=-180, le=180, description="degrees, for sunrise and sunset")] = None


class BrokerSettings(Section):
    """The MQTT broker, and who connects."""

    section: ClassVar[str] = "broker"

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 18_883
    others: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^:/\s]+:[0-9]{1,5}$")], ...],
        Field(description="host:port of the other nodes, where the broker is a cluster: tried in turn while one does not answer"),
    ] = ()
    tls: bool = False
    ca_file: Annotated[str | None, Field(description="the authority that signed the broker's certificate")] = None
    username: Annotated[str | None, Field(description="the service's own name where absent")] = None
    password: SecretStr | None = None
    protocol: Annotated[Literal["5", "3.1.1"], Field(description="MQTT version")] = "5"
    keepalive_s: Annotated[int, Field(ge=2, le=600, description="a frozen broker is noticed after about twice this")] = 5
    session_expiry_s: Annotated[int, Field(ge=3_600, description="how long the broker queues for a service that is away")] = 7 * 86_400
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$", description="the first level of every topic")] = "hems"

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every node, `host` first."""
        others = (address.rsplit(":", 1) for address in self.others)
        return ((self.host, self.port), *((host, int(port)) for host, port in others))


class StorageSettings(Section):
    """Where services keep what must survive them."""

    section: ClassVar[str] = "storage"

    directory: Path = Path("var")
    outbox_rows: Annotated[int, Field(ge=1_000, description="72 hours at a reading each 2 s, and some")] = 150_000
    keep_said_s: Annotated[float, Field(ge=60, description="twice the broker's autosave interval")] = 600


class ClockSettings(Section):
    """The wall clock, or the simulated one that `hems up --speed` hands to all."""

    section: ClassVar[str] = "clock"

    epoch: Annotated[AwareDatetime | None, Field(description="the recording's time at `anchor_s`; the wall clock where absent")] = None
    anchor_s: Annotated[float, Field(description="on this machine's monotonic clock, s")] = 0
    rate: Annotated[float, Field(gt=0, le=10_000)] = 1
