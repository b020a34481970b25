"""What gymcheck sees from inside the target's process. Python imports it at start by its name.

It changes nothing that the target does. It writes one line to standard error, `@gymcheck`, a token and a
JSON object, and an empty one before it, when the target listens, and whenever it has finished handling a Socket.IO event:
the target's own log says at best that it has begun. After an event that ends somebody's scene, and
after each one that has changed it, a second line says which games the target holds.
"""

import collections
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import os
import sys
import weakref


# As it is before anybody patches it: a green write would let other handlers run in between, and
# two of them must not write at once.
_write = os.write


# Each stage has a copy with a token of its own. What begins alike without it is not the observer's: any page
# can have the target log what it likes.
_TOKEN = "GYMCHECK_TOKEN"

# Of a longer line the end would be lost, and all of it with that: see stage/output.rs.
_LONGEST_LINE = 3900

# What others say may be of any length. So many characters of JSON hold of each text what matters.
_LONGEST_TEXT = 900


def _cut(said):
    if not isinstance(said, str) or len(json.dumps(said)) <= _LONGEST_TEXT:
        return said
    end = "\u2026"
    room = _LONGEST_TEXT - len(json.dumps(end))
    lengths = itertools.accumulate(len(json.dumps(letter)) - 2 for letter in said)
    kept = sum(1 for _ in itertools.takewhile(room.__ge__, lengths))
    return said[:kept] + end


def _tell(**what):
    line = json.dumps(what)
    if len(line) > _LONGEST_LINE:
        many = {"unseen": "it holds more games than a line can tell of"}
        short = {name: _cut(said) for name, said in what.items()}
        line = json.dumps(many if "held" in what else short)
    # One write: lines of others must not come in between. Somebody's line may have no end yet.
    _write(2, f"\n@gymcheck {_TOKEN} {line}\n".encode())


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
            if namespace == "/":
                if event not in _FREQUENT:
                    sid = arguments[0] if arguments else ""
                    # What a `disconnect` brings besides. Older ones bring nothing.
                    why = arguments[1:2] if event == "disconnect" else ()
                    told = {"reason": str(why[0])} if why else {}
                    _tell(handled=event, sid=sid, error=error, **told)
                _tell_held(self, always=event in _ENDS_A_SCENE)

    module.Server._trigger_event = triggered


# Events that come every second or oftener and store nothing.
_FREQUENT = ("ping", "client_console_log", "webrtc_signal", "p2p_health_report")

# Events after which somebody may have left a game: what is held is told even if it is the same.
_ENDS_A_SCENE = ("advance_scene", "disconnect")


def _watch_keeper(source):
    """Remembers the objects of a module that have a table `games`, as long as they live."""

    def watch(module):
        for kept in list(vars(module).values()):
            own = isinstance(kept, type) and kept.__module__ == module.__name__
            if own and "__init__" in vars(kept):
                _remember_objects(kept, source)

    return watch


def _remember_objects(kept, source):
    begin = kept.__init__

    def begun(self, *arguments, **options):
        begin(self, *arguments, **options)
        if isinstance(getattr(self, "games", None), dict):
            _keepers[source].append(weakref.ref(self))

    kept.__init__ = begun


# What counts is what a table lists. An object that is in none, and that Python has not freed yet, is
# held by nobody.
_keepers = {"coordinator": [], "manager": []}


def _of_coordinator(keeper):
    games = list(dict.items(keeper.games))
    return {game: len(getattr(state, "players", ())) for game, state in games}


def _of_manager(keeper):
    listed = collections.Counter(dict.values(getattr(keeper, "subject_games", {})))
    return {game: listed[game] for game in [*dict.keys(keeper.games), *listed]}


def _of_rooms(server):
    """How many clients are in each room of Socket.IO, but for the one that each has for itself."""
    manager = server.manager
    clients = [client for client, _ in manager.get_participants("/", None)]
    there = [client for client in clients if manager.is_connected(client, "/")]
    rooms = ((room, client) for client in there for room in server.rooms(client, "/"))
    return dict(collections.Counter(room for room, client in rooms if room != client))


def _held(server):
    """The games that the target holds, by where, and how many participants are listed for each."""
    held = {"rooms": [_of_rooms(server)]}
    for source, listed in (("coordinator", _of_coordinator), ("manager", _of_manager)):
        alive = [keeper for keeper in (known() for known in _keepers[source]) if keeper is not None]
        if alive:
            held[source] = [listed(keeper) for keeper in alive]
    return {
        source: {str(game): count for table in tables for game, count in table.items()}
        for source, tables in held.items()
    }


_told_last = {}


def _tell_held(server, always):
    try:
        now = {"held": _held(server)}
    except Exception as error:
        # A target that keeps its games in another way is not disturbed by being asked.
        now = {"unseen": f"{type(error).__name__}: {error}"}
    if always or now != _told_last:
        _told_last.clear()
        _told_last.update(now)
        _tell(**now)


def _tell_package(module):
    """Says which package serves, and where it is."""
    folders = list(getattr(module, "__path__", ()))
    if folders:
        _tell(package=module.__name__, folder=os.path.abspath(folders[0]))


_WATCHED = {
    "mug": _tell_package,
    "interactive_gym": _tell_package,
    "eventlet": _watch_eventlet,
    "socketio.server": _watch_socketio,
    # Of whatever package: its name has changed from release to release.
    "*.pyodide_game_coordinator": _watch_keeper("coordinator"),
    "*.game_manager": _watch_keeper("manager"),
}


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function with a module as soon as that module has been imported."""

    def find_spec(self, name, path, target=None):
        last = name.rpartition(".")[2]
        watch = _WATCHED.pop(name, None) or _WATCHED.pop(f"*.{last}", None)
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


def _run_the_users_own():
    """Python takes one module of this name only: what a user has under it is run as well."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [folder for folder in sys.path if os.path.abspath(folder) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_run_the_users_own()
