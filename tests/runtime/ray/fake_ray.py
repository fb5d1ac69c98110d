"""As much of Ray as the engine uses, in one process: actors of a CPU each, whose calls run when they are waited for."""

import functools
import types


class RayError(Exception):
    """The errors have the names and the bases of Ray's."""


class RayActorError(RayError):
    pass


class OutOfMemoryError(RayError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__(f"{cause!r}\nwith a traceback")
        self.cause = cause


class Handle:
    """Of an actor; what its methods return, and raise, comes out of `FakeRay.get`."""

    def __init__(self, make):
        self._make = make
        self._actor = None

    def __getattr__(self, method):
        return types.SimpleNamespace(remote=functools.partial(self._call, method))

    def _call(self, method, *arguments):
        self._actor = self._actor or self._make()
        if method == "stop":
            return self._actor.stop()
        return Call(self, functools.partial(getattr(self._actor, method), *arguments))


class Call:
    def __init__(self, handle, run):
        self.handle, self.run = handle, run


class FakeRay(types.ModuleType):
    """Stands for the module.

    Attributes:
        cpus: of the cluster; a test changes them as it goes.
        started: actors that were asked for and not killed.
        most: of these, at any time.
        placed: the same, of those that the cluster had room for.
    """

    exceptions = types.SimpleNamespace(
        RayError=RayError, RayActorError=RayActorError, OutOfMemoryError=OutOfMemoryError, RayTaskError=RayTaskError
    )

    def __init__(self, cpus):
        super().__init__("ray")
        self.cpus = cpus
        self.started = []
        self.most = self.placed = 0

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1}} for _ in range(self.cpus)]

    def put(self, value):
        return value

    def remote(self, kind):
        def start(**arguments):
            self.started.append(Handle(functools.partial(kind, **arguments)))
            self.most = max(self.most, len(self.started))
            return self.started[-1]

        def options(*, num_cpus, num_gpus, max_concurrency):
            assert (num_cpus, num_gpus, max_concurrency) == (1, None, 2)
            return types.SimpleNamespace(remote=start)

        return types.SimpleNamespace(options=options)

    def wait(self, calls, timeout):
        placed = self.started[: self.cpus]
        self.placed = max(self.placed, len(placed))
        return [call for call in calls if call.handle in placed][:1], []

    def get(self, call):
        try:
            return call.run()
        except RayActorError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error

    def kill(self, handle):
        if handle in self.started:
            self.started.remove(handle)
