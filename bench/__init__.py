"""Where the figures of README and docs/figures.md come from. Each module measures one thing beside a named alternative, in one run."""
