"""The four pages, drawn with NiceGUI."""
