"""Sheds loads when the grid or the household asks for less, and brings them back."""
