"""Naming appliances tells nobody: no socket is opened by what runs the models, its native code and threads included."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WITHOUT_SOCKETS = """
import ctypes, platform, struct, sys

CALLS = {"x86_64": 41, "aarch64": 198}  # socket(2)
LOAD, JUMP_IF, RETURN, ALLOW, KILL = 0x20, 0x15, 0x06, 0x7FFF0000, 0x80000000
steps = [(LOAD, 0, 0, 0), (JUMP_IF, 0, 1, CALLS[platform.machine()]), (RETURN, 0, 0, KILL), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))

class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

libc = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(SECCOMP, FILTER, ctypes.byref(Filter(len(steps), ctypes.addressof(code))), 0, 0):
    sys.exit("no filter")
"""
NAMING = """
import time
import numpy as np
from services.disaggregator.history import disaggregate
from services.disaggregator.onnx_model import load_all

networks, refused = load_all(("uk_30s", "fridge_60s"))
assert not refused
mains_w = np.random.default_rng(1).gamma(1, 800, 2500).astype(np.float32)
assert len(disaggregate(networks, 30.0 * np.arange(2500), mains_w).times_s)
time.sleep(1)  # what waits for a quiet moment
print("named")
"""
CALLING = """
import socket
socket.socket()
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    """In a process that the kernel ends at once where it, or any thread of it, asks for a socket."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_SOCKETS + code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_naming_appliances_opens_no_socket() -> None:
    """Models are loaded and asked one by one and in batches without a single socket: onnxruntime reports its use to nobody."""
    if run(CALLING).returncode != -signal.SIGSYS:
        pytest.skip("this kernel lets no filter be set")
    done = run(NAMING)
    assert (done.returncode, done.stdout) == (0, "named\n"), done.stderr


def test_the_environment_can_not_turn_reporting_on() -> None:
    """The library's own switch says report: it is overruled before the library reads it."""
    done = run("import os\nos.environ['ORT_DISABLE_TELEMETRY'] = '0'\n" + NAMING)
    assert done.returncode == 0, done.stderr
