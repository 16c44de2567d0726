"""The runtime: what turns a declaration of inputs, outputs and decisions into a service."""
