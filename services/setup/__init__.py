"""`hems setup`: a conversation that comes to a working `hems.yaml`, in a terminal or on a page."""
