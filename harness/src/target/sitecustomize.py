"""What gymcheck sees from inside the target's process. Python imports it at start by its name.

It changes nothing that the target does. It writes one line to standard error, `@gymcheck` and a
JSON object, when the target listens, and whenever it has finished handling a Socket.IO event:
the target's own log says at best that it has begun.
"""

import importlib.abc
import importlib.util
import json
import os
import sys


# As it is before anybody patches it: a green write would let other handlers run in between, and
# two of them must not write at once.
_write = os.write


def _tell(**what):
    # One write: lines of others must not come in between.
    _write(2, ("@gymcheck " + json.dumps(what) + "\n").encode())


def _watch_eventlet(module):
    listen = module.listen

    def listening(address, *arguments, **options):
        socket = listen(address, *arguments, **options)
        _tell(listening=socket.getsockname()[1])
        return socket

    module.listen = listening


def _watch_socketio(module):
    trigger = module.Server._trigger_event

    def triggered(self, event, namespace, *arguments):
        error = None
        try:
            return trigger(self, event, namespace, *arguments)
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
            raise
        finally:
            if namespace == "/" and event not in _FREQUENT:
                _tell(handled=event, sid=arguments[0] if arguments else "", error=error)

    module.Server._trigger_event = triggered


# Events that come every second or oftener and store nothing.
_FREQUENT = ("ping", "client_console_log", "webrtc_signal", "p2p_health_report")

_WATCHED = {"eventlet": _watch_eventlet, "socketio.server": _watch_socketio}


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function with a module as soon as that module has been imported."""

    def find_spec(self, name, path, target=None):
        watch = _WATCHED.pop(name, None)
        if watch is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module):
            execute(module)
            watch(module)

        spec.loader.exec_module = executed
        return spec


sys.meta_path.insert(0, _AfterImport())
