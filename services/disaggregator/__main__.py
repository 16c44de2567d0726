"""`python -m services.disaggregator`: reads `hems.yaml`, opens the models, runs until stopped, for one home or for many."""

from contextlib import AbstractAsyncContextManager, nullcontext

from hems.actor.bus import Actor
from hems.actor.configuration import Configuration
from hems.actor.context import Context
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.runner import Surroundings, run_service
from services.disaggregator.actor import Disaggregator
from services.disaggregator.fleet import FleetDisaggregator
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings, FleetSettings
from services.disaggregator.states import OwnStates, States


def _build(settings: DisaggregatorSettings, context: Context) -> Actor:
    fleet = settings.fleet
    if fleet is None:
        return Disaggregator(settings, context, load_all)
    broker = MqttBroker(Surroundings.of(Configuration.load(), "disaggregator").broker)
    return FleetDisaggregator(settings, fleet, context, load_all, broker, lambda: _states(fleet, context))


def _states(fleet: FleetSettings, context: Context) -> AbstractAsyncContextManager[States]:
    if fleet.states is None:
        return nullcontext(OwnStates(context.store))
    from services.disaggregator.postgres_states import open_states  # its library is not needed by a single home

    return open_states(fleet.states.get_secret_value(), fleet.prefix)


if __name__ == "__main__":
    run_service("disaggregator", DisaggregatorSettings, _build)
