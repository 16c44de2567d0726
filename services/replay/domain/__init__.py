"""Which line a meter would print, and when: pure and synchronous."""
