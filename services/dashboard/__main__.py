"""Assembles the dashboard."""

from typing import Any, cast
from zoneinfo import ZoneInfo

from hems.actor.configuration import Configuration
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings
from services.dashboard.actor import Dashboard
from services.dashboard.domain.figures import Figures
from services.dashboard.domain.texts import Texts
from services.dashboard.settings import DashboardSettings
from services.dashboard.site import NiceguiSite


def _build(settings: DashboardSettings, context: Context) -> Dashboard:
    configuration = Configuration.load()
    home, units = configuration.section(HomeSettings), settings.units
    figures = Figures(ZoneInfo(home.time_zone), home.currency, units.power, units.carbon, units.temperature, units.clock)
    site = NiceguiSite(settings, Texts(settings.language), figures, settings.month_budget or _recorder_budget(configuration))
    return Dashboard(context, site, figures)


def _recorder_budget(configuration: Configuration) -> float | None:
    """The recorder watches a budget; people should not have to write it down twice."""
    budget: Any = configuration.sections.get("recorder", {}).get("budget")
    amount = cast("dict[str, Any]", budget).get("month_cost") if isinstance(budget, dict) else None
    return float(amount) if isinstance(amount, int | float) and amount > 0 else None


if __name__ == "__main__":
    run_service("dashboard", DashboardSettings, _build)
