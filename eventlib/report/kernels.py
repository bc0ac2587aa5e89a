"""The kernel of a run: the interpreter that runs us, whatever kernelspecs are installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import site
import socket
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar
from weakref import WeakSet, finalize

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict

import eventlib

__all__ = ["OwnKernelManager"]

LONGEST_SOCKET = 100
"""Characters that the path of a Unix socket may have everywhere (macOS allows 103, Linux 107)."""


def _import_path() -> dict[str, str]:
    """Let the kernel import the same eventlib as we do, when that is a checkout and not installed."""
    folder = str(Path(eventlib.__file__).resolve().parent.parent)
    if folder in (*site.getsitepackages(), site.getusersitepackages()):
        return {}
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([folder, others] if others else [folder])}


class OwnKernelManager(AsyncKernelManager):
    """Starts `python3` as this very interpreter: a kernelspec of that name may point anywhere.

    It is talked to over Unix sockets in a folder of its own, where the system has them. TCP ports are chosen
    before the kernel binds them, and of many runs on one machine now and then another program is quicker.
    """

    environment = Dict(help="Environment variables of the kernel, beside our own.").tag(config=True)
    managers: ClassVar[WeakSet[OwnKernelManager]] = WeakSet()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        folder = mkdtemp(prefix="eventlib-")
        finalize(self, shutil.rmtree, folder, ignore_errors=True)
        sockets = Path(folder, "kernel")
        self.connection_file = f"{sockets}.json"
        if hasattr(socket, "AF_UNIX") and len(f"{sockets}-9") <= LONGEST_SOCKET:
            self.transport, self.ip = "ipc", str(sockets)
        self.managers.add(self)

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernelspec of this interpreter."""
        # with frozen modules the debugger warns at every start
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(
            argv=argv,
            display_name="Python 3",
            language="python",
            env={**_import_path(), **self.environment},
            metadata={"supported_encryption": ["curve"]},
        )

    @classmethod
    def kill_all(cls) -> None:
        """Kill the kernels that still run, so that the threads that wait for them come back."""
        for manager in tuple(cls.managers):
            process = getattr(manager.provisioner, "process", None)
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
