"""The notifier: sends the right message, once, to the right person."""
