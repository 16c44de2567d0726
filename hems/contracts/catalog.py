"""Every topic, in one tuple: the public interface of a home."""

from typing import Any

from hems.contracts.alerts import Alert, NotifyMessage, NotifyMute, NotifyTest
from hems.contracts.appliances import ApplianceEvent, ApplianceLabel, ApplianceState, ApplianceTaught
from hems.contracts.demand import DemandEvent, DemandOverride, DemandState
from hems.contracts.energy import Energy, HistoryQuery, HistoryResult, Series
from hems.contracts.health import BrokerUptime, Missed, ServiceHealth, ServiceStatus, TasmotaPower, TasmotaPresence
from hems.contracts.mains import Mains, Voltage
from hems.contracts.relays import RelayCommand, RelayResult, RelayState
from hems.contracts.topic import Topic, by

SERVICES = ("sensor", "disaggregator", "actuator", "load_manager", "notifier", "bridge_adafruit", "recorder", "dashboard")
"""Each has a broker user of its name."""

CLIENT = "client"
"""A person's own programs, and `hems watch`: reads the whole home, writes a few topics."""

DEVICE = "device"
"""A meter that publishes by itself, or a Tasmota plug."""

TASMOTA_CHANNELS = range(1, 9)
"""The relays of one Tasmota device that can be told apart."""

FLEET = "fleet"
"""Whoever runs many homes, with a user at their cluster and none at a home's broker: `hems.contracts.fleet`."""

_EACH = tuple(by(service, service=service) for service in SERVICES)
_ANY_SERVICE = tuple(by(service) for service in SERVICES)
_KEEPERS = ("recorder", "notifier", "dashboard")
_ONLOOKERS = (*_KEEPERS, "bridge_adafruit")

MAINS = Topic(
    "mains", Mains, "What the home draws.", retain=True,
    said_by=(by("sensor"),), read_by=("disaggregator", "load_manager", *_ONLOOKERS),
)  # fmt: skip
VOLTAGE = Topic(
    "voltage", Voltage, "The mains voltage from a device of its own, such as an ESP8266.", qos=0,
    said_by=(by(DEVICE),), read_by=("sensor",),
)  # fmt: skip
APPLIANCE = Topic(
    "appliance/{appliance}", ApplianceState, "Whether an appliance runs; at each change and every minute.", retain=True,
    said_by=(by("disaggregator"),), read_by=("load_manager", *_ONLOOKERS),
)  # fmt: skip
APPLIANCE_EVENT = Topic(
    "appliance/{appliance}/event", ApplianceEvent, "An appliance probably runs, has started or has finished.",
    said_by=(by("disaggregator"),), read_by=("load_manager", *_ONLOOKERS),
)  # fmt: skip
APPLIANCE_LABEL = Topic(
    "appliance/{appliance}/label", ApplianceLabel, "A person's word on an appliance.",
    said_by=(by("dashboard"), by("notifier"), by(CLIENT)), read_by=("disaggregator", "recorder"),
)  # fmt: skip
APPLIANCE_TAUGHT = Topic(
    "appliance/{appliance}/taught", ApplianceTaught, "What people have taught of an appliance.", retain=True,
    said_by=(by("disaggregator"),), read_by=(),
)  # fmt: skip
RELAY_SET = Topic(
    "relay/{relay}/set", RelayCommand, "Switch a relay, from the local network; the bare ON, OFF, 1 and 0 are taken too.",
    said_by=(by(CLIENT),), read_by=("actuator",),
)  # fmt: skip
RELAY_SET_BY = Topic(
    "relay/{relay}/set/{source}", RelayCommand, "Switch a relay, from one service: the topic is the proof of its source.",
    said_by=(
        by("bridge_adafruit", source="adafruit"), by("bridge_adafruit", source="webhook"), by("notifier", source="sms"),
        by("load_manager", source="load_manager"), by("dashboard", source="dashboard"), by(FLEET, source="fleet"),
    ),
    read_by=("actuator",),
)  # fmt: skip
RELAY = Topic(
    "relay/{relay}", RelayState, "Where a relay stands.", retain=True,
    said_by=(by("actuator"),), read_by=("load_manager", *_ONLOOKERS),
)  # fmt: skip
RELAY_RESULT = Topic(
    "relay/{relay}/result", RelayResult, "The answer to one command.",
    said_by=(by("actuator"),), read_by=("load_manager", *_ONLOOKERS),
)  # fmt: skip
ENERGY = Topic(
    "energy", Energy, "What the home has used, and its cost.", retain=True,
    said_by=(by("recorder"),), read_by=("load_manager", *_ONLOOKERS),
)  # fmt: skip
ENERGY_OF = Topic(
    "energy/{appliance}", Energy, "What one appliance has used, estimated.", retain=True,
    said_by=(by("recorder"),), read_by=("load_manager", *_ONLOOKERS),
)  # fmt: skip
PRICE = Topic(
    "price", Series, "The price of energy from now on, as far as it is known.", retain=True,
    said_by=(by("recorder"),), read_by=("load_manager", *_KEEPERS),
)  # fmt: skip
CARBON = Topic(
    "carbon", Series, "The carbon intensity of energy from now on, as far as it is known.", retain=True,
    said_by=(by("recorder"),), read_by=("load_manager", *_KEEPERS),
)  # fmt: skip
HISTORY_QUERY = Topic(
    "history/query", HistoryQuery, "A question to the recorder.",
    said_by=(by("dashboard"), by("notifier"), by("load_manager"), by("disaggregator"), by(CLIENT)),
    read_by=("recorder",),
)  # fmt: skip
HISTORY_RESULT = Topic(
    "history/result/{client}", HistoryResult, "The answer, in pieces of at most 60 KiB.",
    said_by=(by("recorder"),), read_by=("dashboard", "notifier", "load_manager", "disaggregator"),
)  # fmt: skip
DEMAND_EVENT = Topic(
    "demand/event", DemandEvent, "Somebody asks for less for a while.",
    said_by=(by("bridge_adafruit"), by("dashboard"), by("load_manager"), by(CLIENT), by(FLEET)),
    read_by=("load_manager", "recorder", "notifier", "dashboard"),
)  # fmt: skip
DEMAND_OVERRIDE = Topic(
    "demand/override", DemandOverride, "A person opts out of an event, or for one relay.",
    said_by=(by("dashboard"), by("notifier"), by(CLIENT)), read_by=("load_manager", "recorder"),
)  # fmt: skip
DEMAND = Topic(
    "demand", DemandState, "The demand level in force, and what is shed.", retain=True,
    said_by=(by("load_manager"),), read_by=_ONLOOKERS,
)  # fmt: skip
ALERT = Topic(
    "alert", Alert, "Something that a person should know.",
    said_by=_ANY_SERVICE, read_by=_ONLOOKERS,
)  # fmt: skip
NOTIFY_TEST = Topic(
    "notify/test", NotifyTest, "Send a test message.",
    said_by=(by("dashboard"), by(CLIENT)), read_by=("notifier",),
)  # fmt: skip
NOTIFY_MUTE = Topic(
    "notify/mute", NotifyMute, "Send nothing until then.",
    said_by=(by("dashboard"), by("bridge_adafruit"), by(CLIENT)), read_by=("notifier",),
)  # fmt: skip
NOTIFY_MESSAGE = Topic(
    "notify/message", NotifyMessage, "What was sent, or would be with an account.",
    said_by=(by("notifier"),), read_by=("recorder", "dashboard"),
)  # fmt: skip
SERVICE_STATUS = Topic(
    "service/{service}/status", ServiceStatus, "Plain `online` or `offline`; the last will says `offline`.", retain=True,
    said_by=_EACH, read_by=(*_KEEPERS, "actuator", "load_manager"),
)  # fmt: skip
SERVICE_HEALTH = Topic(
    "service/{service}/health", ServiceHealth, "What a service has done lately, and what stands in its way.", retain=True, qos=0,
    said_by=_EACH, read_by=(*_KEEPERS, "actuator", "load_manager"),
)  # fmt: skip
SERVICE_MISSED = Topic(
    "service/{service}/missed", Missed, "A reader lost its session at the broker: all say again what they still keep.",
    said_by=_EACH, read_by=SERVICES,
)  # fmt: skip
BROKER_UPTIME = Topic(
    "$SYS/broker/uptime", BrokerUptime, "Mosquitto's own: how long it has run, so that services notice a restart.", foreign=True, qos=0,
    said_by=(), read_by=(*SERVICES, CLIENT, DEVICE), retain=True,
)  # fmt: skip
TASMOTA_COMMAND = Topic(
    "cmnd/{device}/POWER", TasmotaPower, "Tasmota's own command.", foreign=True,
    said_by=(by("actuator"),), read_by=(DEVICE,),
)  # fmt: skip
TASMOTA_STATE = Topic(
    "stat/{device}/POWER", TasmotaPower, "Tasmota's own answer.", foreign=True,
    said_by=(by(DEVICE),), read_by=("actuator",),
)  # fmt: skip
TASMOTA_COMMANDS = (TASMOTA_COMMAND, *(
    Topic(
        f"cmnd/{{device}}/POWER{channel}", TasmotaPower, f"Tasmota's own command to relay {channel} of several.", foreign=True,
        said_by=(by("actuator"),), read_by=(DEVICE,),
    ) for channel in TASMOTA_CHANNELS
))  # fmt: skip
"""By the number of the relay in its device; 0 is that of a device with one."""

TASMOTA_STATES = (TASMOTA_STATE, *(
    Topic(
        f"stat/{{device}}/POWER{channel}", TasmotaPower, f"Tasmota's own answer for relay {channel} of several.", foreign=True,
        said_by=(by(DEVICE),), read_by=("actuator",),
    ) for channel in TASMOTA_CHANNELS
))  # fmt: skip
"""By the number of the relay in its device; 0 is that of a device with one."""

TASMOTA_LWT = Topic(
    "tele/{device}/LWT", TasmotaPresence, "Whether a Tasmota switch is there: its own word, and its last will.", foreign=True, retain=True,
    said_by=(by(DEVICE),), read_by=("actuator",),
)  # fmt: skip

CATALOG: tuple[Topic[Any], ...] = (
    MAINS, VOLTAGE, APPLIANCE, APPLIANCE_EVENT, APPLIANCE_LABEL, APPLIANCE_TAUGHT,
    RELAY_SET, RELAY_SET_BY, RELAY, RELAY_RESULT, ENERGY, ENERGY_OF,
    PRICE, CARBON, HISTORY_QUERY, HISTORY_RESULT, DEMAND_EVENT, DEMAND_OVERRIDE, DEMAND, ALERT, NOTIFY_TEST, NOTIFY_MUTE,
    NOTIFY_MESSAGE, SERVICE_STATUS, SERVICE_HEALTH, SERVICE_MISSED, BROKER_UPTIME, *TASMOTA_COMMANDS, *TASMOTA_STATES,
    TASMOTA_LWT,
)  # fmt: skip
