"""Programs of several calls: their order, their counts, their threads and their cache on disk."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdyn.engine import cpu
from streamdyn.engine.cpu import crew
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.memory import put_word, word
from streamdyn.engine.cpu.threads import atomic_read, atomic_swap, pause
from streamdyn.engine.graph import Activation
from streamdyn.errors import ModelError
from tests.engine_rows import check, empty_rows, noise, random_rows


def test_calls_run_in_order() -> None:
    """Each call reads what the one before has written, in pieces for several threads."""
    n, steps = 5000, 200
    rows = random_rows(n, 3, "float32", 1)
    one, shift = np.ones(3, np.float32), np.ones(3, np.float32)
    add = cpu.affine(rows.addresses, one, shift, rows.addresses, "float32")
    halve = cpu.affine(rows.addresses, one / 2, 0 * shift, rows.addresses, "float32")
    want = rows.values
    for _ in range(steps):
        want = (want + 1) / 2
    cpu.Program([add, halve] * steps).run()
    check(rows, want)


def test_a_program_reads_its_arrays_at_each_run() -> None:
    count = np.array([2], np.int64)
    x, y = random_rows(9, 5, "float32", 1), empty_rows(9, 5, "float32")
    before = y.values
    program = cpu.Program([cpu.copy(x.addresses, y.addresses, 5, "float32", count=count)])
    for n in (0, 2, 9):
        count[0] = n
        program.run()
        check(y, np.concatenate([x.values[:n], before[n:]]), 0)


def test_a_count_is_at_most_the_length_of_the_arrays() -> None:
    rows = random_rows(9, 5, "float32", 1).addresses
    with pytest.raises(ValueError, match="count"):
        cpu.copy(rows, rows, 5, "float32", count=np.array([10]))


@pytest.fixture
def own_crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test choose the threads; what it chose is forgotten afterwards."""
    with monkeypatch.context() as changes:
        changes.delenv("STREAMDYN_THREADS", raising=False)
        crew.crew.cache_clear()
        yield
    crew.crew.cache_clear()


@pytest.mark.usefixtures("own_crew")
@pytest.mark.parametrize("wanted", ["0", "-1", "many", "5000", ""])
def test_a_bad_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("STREAMDYN_THREADS", wanted)
    with pytest.raises(ModelError, match="STREAMDYN_THREADS is a number from 1 to 1024"):
        crew.crew()


@pytest.mark.usefixtures("own_crew")
def test_the_number_of_threads_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, one = random_rows(50, 5, "float32", 1), np.ones(5, np.float32)
    want = rows.values
    program = cpu.Program([cpu.affine(rows.addresses, one, one, rows.addresses, "float32")])
    for threads in (3, 1, 3):
        monkeypatch.setenv("STREAMDYN_THREADS", "7")  # undoes what `set_threads` sets
        crew.set_threads(threads)
        assert crew.crew().threads == threads
        program.run()
        want = want + 1
        check(rows, want)


@pytest.mark.usefixtures("own_crew")
def test_an_early_call_begins_while_the_one_before_it_runs() -> None:
    """The first waits for what only the second can tell it."""

    def listen(arguments: int, begin: int, end: int, column: int) -> None:
        while atomic_read(word(arguments, 0)) == 0:
            pause()

    def tell(arguments: int, begin: int, end: int, column: int) -> None:
        atomic_swap(word(arguments, 0), 1)

    told, one = np.zeros(1, np.int64), np.ones(1, np.int64)
    crew.set_threads(2)
    cpu.run(Call(Native(listen), one, (told,)), Call(Native(tell), one, (told,), early=True))


def test_a_kernel_that_cannot_be_kept_is_compiled_all_the_same() -> None:
    scope: dict[str, Any] = {"put_word": put_word}
    exec("def kernel(array, value): put_word(array, 1, value)", scope)  # has no file
    array = np.zeros(3, np.int64)
    Native(scope["kernel"])(array.ctypes.data, 7)
    assert array.tolist() == [0, 7, 0]


def test_nothing_to_do() -> None:
    cpu.run()
    cpu.Program([]).run()


def test_python_threads_may_run_programs_at_once() -> None:
    rows = [random_rows(3000, 70, "bfloat16", seed) for seed in range(4)]
    weight, bias = noise(1, 1, 1, 70, 70) / 8, noise(2, 70)
    packed, tap = cpu.pack(weight, bias, "bfloat16"), np.zeros(1, np.int64)
    targets = [empty_rows(3000, 70, "bfloat16") for _ in rows]
    relu = Activation("clip", 0.0)

    def work(index: int) -> None:
        x, y = rows[index].addresses, targets[index].addresses
        program = cpu.Program([cpu.product(x, tap, packed, y, activation=relu)] * 3)
        for _ in range(20):
            program.run()

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    full = cpu.from_bfloat16(cpu.to_bfloat16(weight[0, 0]))
    for x, y in zip(rows, targets, strict=True):
        check(y, np.maximum(x.values @ full + bias, 0), 1e-5)


def test_a_forked_process_has_threads_of_its_own() -> None:
    x, y = random_rows(2000, 50, "float32", 1), empty_rows(2000, 50, "float32")
    call = cpu.copy(x.addresses, y.addresses, 50, "float32")
    cpu.run(call)
    child = os.fork()
    if child == 0:
        y.memory[:] = 0
        cpu.run(call)
        os._exit(0 if np.array_equal(y.read(), x.values) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


SCRIPT = """
import numpy as np
from streamdyn.engine import cpu
from streamdyn.engine.cpu import crew
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.memory import put_word

for dtype, one in (("float32", np.float32(1)), ("bfloat16", np.uint16(0x3F80))):
    for channels in (20, 70):
        x = np.full((40, 9), one)
        y = np.full((40, channels), 9 * one)
        rows, targets = (a.ctypes.data + np.arange(40) * a.strides[0] for a in (x, y))
        packed = cpu.pack(np.ones((1, 1, 8, channels), np.float32), np.zeros(channels), dtype)
        cpu.run(
            cpu.product(rows, np.zeros(1, np.int64), packed, targets),
            cpu.affine(targets, *np.full((2, channels), 0.5, np.float32), targets, dtype),
        )
        got = cpu.from_bfloat16(y) if dtype == "bfloat16" else y
        assert (got == 4.5).all(), got
print(cpu.supports("bfloat16"), end="")
"""


EDITED = """
from streamdyn.engine.cpu import emit

emit.edition = lambda: 1
"""
"""As if the source of a function had changed that kernels call."""


def run_script(cache: Path, before: str = "", **variables: str) -> str:
    """What SCRIPT prints in a process of its own, which keeps its kernels in `cache`."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **variables}
    command = [sys.executable, "-c", before + SCRIPT]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_kernels_are_kept_on_disk(tmp_path: Path) -> None:
    def written() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}

    run_script(tmp_path, STREAMDYN_THREADS="2")
    compiled = written()
    assert compiled
    run_script(tmp_path, STREAMDYN_THREADS="5")
    assert written() == compiled
    run_script(tmp_path, EDITED)
    anew = written()
    assert anew.keys() == compiled.keys()
    assert all(anew[path] > compiled[path] for path in compiled)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names a processor of that kind")
def test_processors_without_wide_registers(tmp_path: Path) -> None:
    features = "+avx,+avx2,+fma,+bmi,+bmi2,+sse2,+sse4.2"
    variables = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features}
    assert run_script(tmp_path, **variables) == "False"


def test_a_program_that_runs_alone_keeps_its_memory() -> None:
    """While the crew is busy: nobody else gets the memory that compiled code counts in."""
    rows = 20_000
    source, target = np.zeros((2, rows, 16), np.float32)
    places = np.arange(rows) * 64
    call = cpu.copy(source.ctypes.data + places, target.ctypes.data + places, 16, "float32")
    program = cpu.Program([call] * 400)
    program.run()
    busy = crew.crew()
    assert busy._busy.acquire(timeout=10)
    try:
        thread = threading.Thread(target=program.run, daemon=True)
        thread.start()
        taken = [np.zeros(40, np.int64) for _ in range(50)]
        thread.join(60)
        assert not thread.is_alive()
        assert not any(array.any() for array in taken)
    finally:
        busy._busy.release()


def test_threads_that_come_first_share_a_crew() -> None:
    crew._crew.cache_clear()
    crew.crew.cache_clear()
    start = threading.Barrier(4)

    def first(_: int) -> crew.Crew:
        start.wait(10)
        return crew.crew()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(first, range(4)))) == 1


def test_a_number_of_threads_that_is_refused_changes_nothing() -> None:
    before = crew.crew()
    with pytest.raises(ModelError, match="from 1 to 1024"):
        crew.set_threads(5000)
    assert crew.crew() is before
