"""What the bridge decides: quota, order, echoes, gaps, hooks, triggers, and the dashboard that there should be."""
