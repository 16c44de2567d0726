"""Where the README's figures come from. Each module measures one thing beside a named alternative, in one run."""
