"""What may fail, told apart by what helps."""


class Unavailable(Exception):
    """The database can't be reached or written now; trying again may help."""


class Unusable(Exception):
    """The database can't be used by this version; the message says what to do."""


class Replaced(Exception):
    """Another history takes this one's place: what was known of it no longer holds, and a new start helps."""


class TooSlow(Exception):
    """An answer took too long and was stopped."""


class Unread(Exception):
    """A file or an address gave nothing; trying again may help."""
