"""Assembles the sensor."""

from hems.actor.configuration import Configuration
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings
from services.sensor.actor import Sensor
from services.sensor.serial_port import SerialPort
from services.sensor.settings import SensorSettings


def _build(settings: SensorSettings, context: Context) -> Sensor:
    meter, voltage = settings.meter, settings.voltage
    nominal_voltage_v = Configuration.load().section(HomeSettings).nominal_voltage_v
    voltage_port = SerialPort(voltage.port, voltage.baud) if voltage.port else None
    return Sensor(settings, context, SerialPort(meter.port, meter.baud), voltage_port, nominal_voltage_v)


if __name__ == "__main__":
    run_service("sensor", SensorSettings, _build)
