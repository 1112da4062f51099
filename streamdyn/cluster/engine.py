"""Models, and what they keep of streams: computes what waits, of all streams at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Condition, Lock, Thread
from time import perf_counter

from streamdyn.cluster.messages import Answer, EngineLostError, Job
from streamdyn.errors import StreamdynError
from streamdyn.models.cut import Intake
from streamdyn.models.vision import VisionCache, VisionModel
from streamdyn.specs import ModelSpec
from streamdyn.types import Result, Segmentation

TOGETHER = 16  # pictures that are computed in one call at most: more would only wait for each other


@dataclass(slots=True)
class _Held:
    """What the engine keeps of one stream."""

    model: VisionModel
    size: tuple[int, int]
    cache: VisionCache
    spare: VisionCache | None = None  # of audits, made for the first


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    stream: str
    held: _Held
    job: Job
    answer: Future[Answer]
    came_at: float


class Engine:
    """Serves any number of streams. A stream has one picture at a time with the engine.

    Whatever waits when the engine becomes free is computed together; it waits for nobody.

    Args:
        load: makes a model; each is loaded when the first stream needs it.
    """

    def __init__(self, load: Callable[[ModelSpec], VisionModel] = ModelSpec.load) -> None:
        self._load = load
        self._models: dict[ModelSpec, VisionModel] = {}
        self._held: dict[str, _Held] = {}
        self._waiting: list[_Request] = []
        self._suspects: set[str] = set()  # streams whose last call failed: they compute alone
        self._changed = Condition()
        self._loading: defaultdict[ModelSpec, Lock] = defaultdict(Lock)  # one loads, others wait
        self._opening: dict[object, float] = {}  # since when
        self._closing = False
        self._since: float | None = None  # when the call that runs began
        self._busy = 0.0  # seconds, of all calls before
        self._thread = Thread(target=self._serve, name="streamdyn-engine", daemon=True)
        self._thread.start()

    def model(self, spec: ModelSpec) -> VisionModel:
        """The model, loaded when it is first asked for.

        Raises:
            ModelError: it cannot be loaded.
        """
        with self._changed:
            loading = self._loading[spec]
        with self._counted(), loading:
            if spec not in self._models:
                self._models[spec] = self._load(spec)
            return self._models[spec]

    def open(self, stream: str, spec: ModelSpec, size: tuple[int, int]) -> Intake:
        """Make ready for a stream of pictures of `size` (height, width), from nothing.

        Raises:
            ModelError: the model cannot be loaded, or cannot take such pictures.
        """
        with self._counted():
            model = self.model(spec)
            held = _Held(model, size, model.new_cache(size))
            with self._changed:
                self._held[stream] = held
            return held.cache.intake

    def close(self, stream: str) -> None:
        """Forget a stream, if it is there."""
        with self._changed:
            self._held.pop(stream, None)

    def submit(self, stream: str, job: Job) -> Future[Answer]:
        """Have a picture computed.

        The answer raises EngineLostError where the engine knows nothing of the stream (any more),
        and StreamdynError where the model fails; the stream is then forgotten.
        """
        answer: Future[Answer] = Future()
        with self._changed:
            held = self._held.get(stream)
            if held is None or self._closing:
                answer.set_exception(EngineLostError(f"the engine knows no stream {stream}"))
                return answer
            self._waiting.append(_Request(stream, held, job, answer, perf_counter()))
            self._changed.notify()
        return answer

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that it holds."""
        with self._changed:
            return tuple(self._held)

    @property
    def busy_seconds(self) -> float:
        """Seconds spent computing so far."""
        since = self._since
        return self._busy + (perf_counter() - since if since is not None else 0.0)

    @property
    def call_seconds(self) -> float:
        """For how long the call that runs has been running."""
        since = self._since
        return perf_counter() - since if since is not None else 0.0

    @property
    def open_seconds(self) -> float:
        """For how long the oldest loading or opening that runs has been running."""
        with self._changed:
            since = min(self._opening.values(), default=None)
        return perf_counter() - since if since is not None else 0.0

    def shutdown(self) -> None:
        """Compute what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Take note of how long something takes that may take for ever."""
        key = object()
        with self._changed:
            self._opening[key] = perf_counter()
        try:
            yield
        finally:
            with self._changed:
                del self._opening[key]

    def _serve(self) -> None:
        while (waiting := self._take()) is not None:
            batch = [request for request in waiting if self._is_wanted(request)]
            if not batch:
                continue
            self._since = start = perf_counter()
            try:
                answers = self._compute(batch, start)
            except BaseException as error:  # whatever a user's model does, nobody waits for ever
                self._fail(batch, error)
            else:
                for request, answer in zip(batch, answers, strict=True):
                    request.answer.set_result(answer)
            self._busy += perf_counter() - start
            self._since = None

    def _take(self) -> list[_Request] | None:
        """What to compute next: pictures that go together, or one that goes by itself."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            self._waiting.sort(key=lambda request: request.job.audit)  # nobody waits for audits
            batch = [self._waiting[0]]
            if not self._alone(batch[0]):
                model = batch[0].held.model
                batch += [
                    request
                    for request in self._waiting[1:]
                    if request.held.model is model and not self._alone(request)
                ]
                batch = batch[:TOGETHER]
            for request in batch:
                self._waiting.remove(request)
            return batch

    def _is_wanted(self, request: _Request) -> bool:
        """Whether somebody waits for the answer, who from now on cannot go away."""
        wanted = request.answer.set_running_or_notify_cancel()
        if not wanted:
            self._forget(request)  # what is kept of the stream lacks this picture
        return wanted

    def _forget(self, request: _Request) -> None:
        with self._changed:
            if self._held.get(request.stream) is request.held:
                del self._held[request.stream]

    def _alone(self, request: _Request) -> bool:
        return request.job.audit or request.stream in self._suspects

    def _compute(self, batch: list[_Request], start: float) -> list[Answer]:
        model = batch[0].held.model
        results = model.run_many([(r.job.pieces, r.job.mask, self._cache(r)) for r in batch])
        shares = [model.share(request.job.mask) for request in batch]
        self._suspects.difference_update(request.stream for request in batch)
        now, whole = perf_counter(), sum(shares)
        return [
            Answer(
                _lean(result, request.job),
                share,
                (now - start) * (share / whole if whole else 1 / len(batch)),
                now - request.came_at,
            )
            for request, result, share in zip(batch, results, shares, strict=True)
        ]

    def _fail(self, batch: list[_Request], error: BaseException) -> None:
        """Tell all of a call that failed; what was kept of them cannot be relied on."""
        reason = error if isinstance(error, StreamdynError) else None
        text = f"the engine failed: {type(error).__name__}: {error}"
        if len(batch) > 1:  # one of them is at fault: each by itself, it will show which
            reason, text = None, f"a call for {len(batch)} streams failed: {error}"
        for request in batch:
            self._suspects.add(request.stream)
            self._forget(request)
            request.answer.set_exception(
                reason or (EngineLostError(text) if len(batch) > 1 else StreamdynError(text))
            )

    def _cache(self, request: _Request) -> VisionCache:
        held = request.held
        if not request.job.audit:
            return held.cache
        held.spare = held.spare or held.model.new_cache(held.size)
        return held.spare


def _lean(result: Result, job: Job) -> Result:
    if isinstance(result, Segmentation) and not job.logits:
        return replace(result, logits=None)
    return result
