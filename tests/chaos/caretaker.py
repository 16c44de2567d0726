"""What clears up after a run that was killed: a process that waits for the run's end, however that comes."""

import contextlib
import subprocess
from collections.abc import Generator


@contextlib.contextmanager
def cleared_up(*commands: str) -> Generator[None]:
    """Run commands of the shell when the context is left, and also when this process is ended in it by a signal that nobody can catch.

    They must be such that it does no harm where there is nothing left to clear up.
    """
    # The pipe's other end is closed by the kernel at the latest; a session of its own, so that no Ctrl-C reaches the caretaker.
    script = "\n".join(("cat >/dev/null", *commands))
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True) as caretaker:
        assert caretaker.stdin is not None
        try:
            yield
        finally:
            caretaker.stdin.close()
            caretaker.wait()
