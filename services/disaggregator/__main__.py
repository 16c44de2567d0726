"""`python -m services.disaggregator`: reads `hems.yaml`, opens the models, runs until stopped."""

from hems.actor.runner import run_service
from services.disaggregator.actor import Disaggregator
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings

if __name__ == "__main__":
    run_service("disaggregator", DisaggregatorSettings, lambda settings, context: Disaggregator(settings, context, load_all))
