"""How good the disaggregator is on a recorded home whose appliances were metered."""
