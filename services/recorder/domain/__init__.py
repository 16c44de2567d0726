"""Counters, calendars, tariffs and questions: pure, in whole numbers, so that the same readings always make the same sums."""
