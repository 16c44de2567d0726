"""What `make` runs to set itself up, check and generate: the standard library alone, until the environment is there."""

import sys

# Said here, in words that every Python understands, before a newer word stops an older Python with a syntax error.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("make: this Python is older than 3.11: say which one to take, such as `make PYTHON=python3.12 setup`")
if sys.maxsize <= 2**32:
    sys.exit("make: this Python is a 32-bit one, for which there is no ONNX Runtime: install a 64-bit system")
