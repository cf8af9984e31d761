"""A strict stand-in for CuPy on machines without a GPU: NumPy arrays that behave like arrays on a device.

It refuses every implicit transfer between host and device: host arrays as operands, NumPy functions, float(), bool(),
iteration. It also refuses what CuPy refuses during capture. It counts transfers, synchronizations and launches. It
compiles CUDA kernels as C++, checks their arguments against their signatures and runs them thread by thread. A captured
graph is a list of launches, which run when the graph is launched.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import functools
import hashlib
import importlib
import operator
import os
import re
import shutil
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet import kernels
from tinynet.arrays import erf

counts: Counter[str] = Counter()
"""Launches, transfers and synchronizations since the last clear()."""

SCALARS = (bool, int, float, np.generic)


class ndarray:
    """An array on the device. `_host` represents the device's memory; only this file may use it."""

    __array_ufunc__ = None
    __hash__ = None
    __module__ = "cupy"

    def __init__(self, host):
        self._host = np.asarray(host)

    def __array__(self, *args, **options):
        raise TypeError("implicit conversion of a device array to NumPy: use the backend's to_host")

    def _refuse(self, *_):
        raise TypeError("this would wait for the device and fetch a number: use the backend's to_host")

    __bool__ = __float__ = __int__ = __index__ = __iter__ = __complex__ = item = tolist = _refuse

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    size = property(lambda self: self._host.size)
    ndim = property(lambda self: self._host.ndim)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: self._host.flags)
    device = property(lambda self: Device())
    T = property(lambda self: ndarray(self._host.T))
    mT = property(lambda self: ndarray(self._host.mT))
    data = property(lambda self: types.SimpleNamespace(ptr=self._host.ctypes.data))

    def __len__(self):
        return len(self._host)

    def reshape(self, *shape):
        return ndarray(self._host.reshape(*shape))

    def ravel(self):
        return ndarray(self._host.ravel())

    def __getitem__(self, key):
        return ndarray(self._host[unwrapped(key)])

    def __setitem__(self, key, value):
        key, value = unwrapped(key), unwrapped(value)
        launched(lambda: self._host.__setitem__(key, value))

    def __repr__(self):
        return f"<{self.dtype} {self.shape} on the device>"


def _method(name):
    return lambda self, *args, **options: computed(getattr(self._host, name), args, options)


def _operator(name):
    def apply(self, *others):
        if any(not isinstance(other, (ndarray, *SCALARS)) for other in others):
            raise TypeError(f"device array {name} {type(others[0]).__name__} of the host: use the backend's to_device")
        return computed(getattr(operator, name), (self, *others), {})

    return apply


def _reflected(name):
    def apply(self, other):
        if not isinstance(other, SCALARS):
            raise TypeError(f"{type(other).__name__} of the host {name} device array: use the backend's to_device")
        return computed(getattr(operator, name), (other, self), {})

    return apply


def _in_place(name):
    def apply(self, other):
        if not isinstance(other, (ndarray, *SCALARS)):
            raise TypeError(f"device array {name} {type(other).__name__} of the host: use the backend's to_device")
        launched(lambda: getattr(operator, name)(self._host, unwrapped(other)))
        return self

    return apply


for _name in ("sum", "mean", "max", "min", "argmax", "astype", "copy", "view", "take", "any", "all", "clip"):
    setattr(ndarray, _name, _method(_name))
for _name in ("add", "sub", "mul", "truediv", "pow", "matmul", "and_", "or_", "xor", "rshift", "lshift"):
    bare = _name.strip("_")
    setattr(ndarray, f"__{bare}__", _operator(_name))
    setattr(ndarray, f"__r{bare}__", _reflected(_name))
    setattr(ndarray, f"__i{bare}__", _in_place(f"i{bare}"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", _operator(_name))


def unwrapped(value):
    """Return the memory of device arrays, also in tuples and lists. Raises TypeError for a host array."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("expected a device array, got a host array: use the backend's to_device")
    if isinstance(value, tuple | list):
        return type(value)(unwrapped(part) for part in value)
    return value


def computed(function, args, options):
    """Return the function's result as a device array; counts a launch. Like CuPy, refuses cuBLAS during capture."""
    if function in (operator.matmul, np.matmul) and Stream.current.captured is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    if Stream.current.non_blocking and Stream.current.captured is None:
        raise RuntimeError("the stand-in computes with arrays on the default stream only")
    results = []
    target = options.get("out")
    launched(lambda: results.append(function(*unwrapped(args), **{k: unwrapped(v) for k, v in options.items()})))
    if target is not None:
        return target
    if not results:
        raise RuntimeError("memory was allocated during capture")
    return ndarray(results[0])


def launched(action):
    """Put the action on the current stream."""
    counts["launches"] += 1
    Stream.current.take(action)


def asarray(array, dtype=None):
    if isinstance(array, ndarray):
        return array
    counts["transfers"] += 1
    return ndarray(np.array(array, dtype))


def asnumpy(array):
    if not isinstance(array, ndarray):
        return np.asarray(array)
    counts["transfers"] += 1
    counts["synchronizations"] += 1
    return array._host.copy()


def empty(shape, dtype=float):
    if Stream.current.captured is not None:
        raise RuntimeError("memory was allocated during capture")
    host = np.empty(shape, dtype)
    host.view(np.uint8).fill(0xFF)  # NaN or the largest number, so that a test fails if code relies on zeros
    return ndarray(host)


def ascontiguousarray(array):
    return array if array.flags.c_contiguous else ndarray(np.ascontiguousarray(unwrapped(array)))


# --------------------------------------------------------------------------------------------- streams


class Stream:
    """A queue of actions. The default stream runs them at once, another one when it is waited for.

    So code that does not wait finds no results. While a stream captures, it records actions and runs none.
    """

    current: Stream
    ptr = 4711

    def __init__(self, non_blocking=False):
        self.non_blocking, self.captured, self.before, self.pending = non_blocking, None, None, []

    def take(self, action):
        if self.captured is not None:
            self.captured.append(action)
        elif self.non_blocking:
            self.pending.append(action)
        else:
            action()

    def drain(self):
        while self.pending:
            self.pending.pop(0)()

    def __enter__(self):
        self.before, Stream.current = Stream.current, self

    def __exit__(self, *_):
        Stream.current = self.before

    def begin_capture(self):
        if not self.non_blocking:
            raise RuntimeError("the stream that captures must not be the default one")
        self.captured = []

    def end_capture(self):
        actions, self.captured = self.captured, None
        return Graph(actions)

    def record(self):
        return self

    def wait_event(self, stream):
        counts["waits"] += 1
        stream.drain()

    def synchronize(self):
        counts["synchronizations"] += 1
        self.drain()


class Graph:
    def __init__(self, actions):
        self.actions = actions

    def launch(self, stream):
        counts["graph launches"] += 1
        for action in self.actions:
            stream.take(action)


Stream.current = Stream()


class Device:
    id = 0

    def __init__(self, device=0):
        self.id = device

    def use(self):
        counts["device switches"] += 1

    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


# --------------------------------------------------------------------------------------------- kernels

SHIM = """
#include <cmath>
#include <csetjmp>
#include <cstdlib>
#include <functional>
#include <ucontext.h>
using namespace std;
#define __global__
#define __device__ static
#define __shared__ static
#define __syncthreads() wait()
struct Index { unsigned x; };
static Index blockIdx, blockDim, threadIdx;
static jmp_buf scheduler, contexts[1024];
static char stacks[1024][1 << 15];
static bool started[1024];
static function<void()> kernel;
static volatile unsigned finished;

__attribute__((noinline)) static void wait() { if (!_setjmp(contexts[threadIdx.x])) _longjmp(scheduler, 1); }

static void thread() { for (;;) kernel(), finished = finished + 1, wait(); }

__attribute__((noinline)) static void resume(unsigned k) {
    threadIdx.x = k;
    if (_setjmp(scheduler)) return;
    if (started[k]) _longjmp(contexts[k], 1);
    started[k] = true;
    ucontext_t fresh;
    getcontext(&fresh);
    fresh.uc_stack.ss_sp = stacks[k], fresh.uc_stack.ss_size = sizeof stacks[k];
    makecontext(&fresh, thread, 0);
    setcontext(&fresh);
}

static void run_together() {
    finished = 0;
    while (finished < blockDim.x) {  // each once, as 7919 is prime, in an order unknown to kernels
        for (unsigned k = 0; k < blockDim.x; k++) resume((7919 * k + 1) % blockDim.x);
        if (finished % blockDim.x) abort();  // some threads wait at a barrier, others have returned
    }
}

static void run_in_turn() {
    for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) kernel();
}
"""

TYPES = {
    "int": (np.int32, ctypes.c_int),
    "long long": (np.int64, ctypes.c_longlong),
    "word": (np.uint32, ctypes.c_uint),
    "word64": (np.uint64, ctypes.c_ulonglong),
    "unsigned char": (np.uint8, ctypes.c_ubyte),
    "double": (np.float64, ctypes.c_double),
}
REALS = {"float": (np.float32, ctypes.c_float), "double": (np.float64, ctypes.c_double)}


class RawModule:
    """CUDA source compiled as C++. Threads run one after another, each until it returns or waits for its block."""

    folder: Path

    def __init__(self, code, options):
        (real,) = (option.removeprefix("-Dreal=") for option in options)
        self.types = TYPES | {"real": REALS[real]}
        self.signatures = {
            name: [tuple(part.strip().removeprefix("const ").rsplit(None, 1)) for part in parts.split(",")]
            for name, parts in re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', code)
        }
        bodies = {part.partition("(")[0]: part for part in code.split('extern "C" __global__ void ')}
        runners = "".join(_runner(*kernel, "__shared__" in bodies[kernel[0]]) for kernel in self.signatures.items())
        library = compiled(self.folder, SHIM + code + runners, real)
        self.library = ctypes.PyDLL(str(library))  # PyDLL holds the GIL, so that no other Python thread runs

    def get_function(self, name):
        return functools.partial(self._launch, name)

    def _launch(self, name, grid, block, arguments):
        signature = self.signatures[name]
        if len(arguments) != len(signature):
            raise TypeError(f"{name} takes {len(signature)} arguments, got {len(arguments)}")
        values = [self._checked(name, *part, value) for part, value in zip(signature, arguments, strict=True)]
        run = getattr(self.library, f"run_{name}")
        launched(lambda: run(ctypes.c_longlong(grid[0]), ctypes.c_int(block[0]), *values))

    def _checked(self, name, kind, parameter, value):
        dtype, c_type = self.types[kind.removesuffix("*").strip()]
        if not kind.endswith("*"):
            if type(value) is not dtype:
                raise TypeError(f"{name}: {parameter} must be {dtype.__name__}, got {type(value).__name__}")
            return c_type(value)
        if not isinstance(value, ndarray) or value.dtype != dtype or not value.flags.c_contiguous:
            raise TypeError(f"{name}: {parameter} must be contiguous {dtype.__name__} on the device, got {value!r}")
        return ctypes.c_void_p(value.data.ptr)


def compiled(folder, source, real):
    """Return the path of the library of this source. Test processes share the folder, and one of them compiles it."""
    library = folder / f"{real}-{hashlib.sha256(source.encode()).hexdigest()}.so"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            file = folder / f"{real}.cpp"
            file.write_text(source)
            how = ["-O1", "-U_FORTIFY_SOURCE", "-shared", "-fPIC", f"-Dreal={real}"]
            subprocess.run(["g++", *how, file, "-o", library], check=True)
    return library


def _runner(name, parts, share_memory):
    run = "run_together" if share_memory else "run_in_turn"
    parameters = ", ".join(f"{kind} {parameter}" for kind, parameter in parts)
    names = ", ".join(parameter for _, parameter in parts)
    return f"""
extern "C" void run_{name}(long long blocks, int threads, {parameters}) {{
    blockDim.x = threads;
    kernel = [=] {{ {name}({names}); }};
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {run}();
}}
"""


# ---------------------------------------------------------------------------------------------- cuBLAS


class Cublas:
    """cuBLAS as documented: column-major, on the given stream, with a workspace that was set before."""

    workspace = 0

    def cublasCreate_v2(self, handle):
        handle._obj.value = 1
        return 0

    def cublasDestroy_v2(self, handle):
        return 0

    def cublasSetStream_v2(self, handle, stream):
        assert stream.value == Stream.ptr
        return 0

    def cublasSetWorkspace_v2(self, handle, pointer, size):
        self.workspace = size.value
        return 0

    def cublasSgemm_v2(self, handle, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        if not self.workspace:
            return 1
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        A = _columns(a, lda, m if op_a == 0 else k, k if op_a == 0 else m)
        B = _columns(b, ldb, k if op_b == 0 else n, n if op_b == 0 else k)
        C = _columns(c, ldc, m, n)
        launched(lambda: np.matmul(A if op_a == 0 else A.T, B if op_b == 0 else B.T, out=C))
        return 0


def _columns(pointer, leading, rows, columns):
    """Return the column-major matrix of float32 at the pointer. Its columns are `leading` numbers apart."""
    assert leading >= rows
    memory = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (columns, leading))
    return memory[:, :rows].T


# ---------------------------------------------------------------------------------------------- module


class _Cupy(types.ModuleType):
    """The module `cupy`. A function that is not defined here is NumPy's, applied to device arrays."""

    __version__ = "stand-in"

    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *args, **options: computed(found, _on_device(name, args), options)


def _on_device(name, args):
    """Return the arguments. Raises TypeError for a list of host numbers, as CuPy does."""
    for arg in args:
        if isinstance(arg, list | tuple) and not all(map(_is_device_or_whole, arg)):
            raise TypeError(f"{name} takes device arrays, got {arg!r}: use the backend's to_device")
    return args


def _is_device_or_whole(part):
    """Return True for a device array, an integer, or a tuple of integers such as `pad` accepts."""
    return isinstance(part, (ndarray, int)) or (isinstance(part, tuple) and all(isinstance(n, int) for n in part))


def _sliding_window_view(x, patch_shape, axis):
    return ndarray(np.lib.stride_tricks.sliding_window_view(unwrapped(x), patch_shape, axis))


def make(folder: Path) -> types.ModuleType:
    """Return a module for sys.modules["cupy"]."""
    RawModule.folder = folder
    cupy = _Cupy("cupy")
    vars(cupy).update(
        ndarray=ndarray,
        asarray=asarray,
        asnumpy=asnumpy,
        empty=empty,
        ascontiguousarray=ascontiguousarray,
        RawModule=RawModule,
        lib=types.SimpleNamespace(stride_tricks=types.SimpleNamespace(sliding_window_view=_sliding_window_view)),
        get_default_memory_pool=lambda: types.SimpleNamespace(used_bytes=lambda: 0, free_bytes=lambda: 2**20),
        cuda=types.SimpleNamespace(
            Stream=Stream,
            Device=Device,
            get_current_stream=lambda: Stream.current,
            runtime=types.SimpleNamespace(
                getDeviceCount=lambda: 2,
                getDeviceProperties=lambda device: {"name": b"a stand-in"},
                memGetInfo=lambda: (2**30, 2**31),
                runtimeGetVersion=lambda: 13000,
            ),
        ),
    )
    return cupy


def add_nccl(comm):
    """Make `import cupy.cuda.nccl` return a stand-in that adds by MPI, in its turn on the stream."""

    class NcclCommunicator:
        def __init__(self, ndev, commId, rank):
            assert (ndev, rank) == (comm.size, comm.rank)
            assert comm.allgather(commId) == [commId] * ndev

        def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
            assert (op, stream) == (nccl.NCCL_SUM, Stream.ptr)
            kind = {nccl.NCCL_FLOAT32: ctypes.c_float, nccl.NCCL_FLOAT64: ctypes.c_double}[datatype]
            given, found = (np.ctypeslib.as_array((kind * count).from_address(at)) for at in (sendbuf, recvbuf))
            Stream.current.take(lambda: comm.Allreduce(given.copy(), found))

    nccl = types.SimpleNamespace(NCCL_FLOAT32=7, NCCL_FLOAT64=8, NCCL_SUM=0, NcclCommunicator=NcclCommunicator)
    nccl.get_unique_id = lambda: tuple(range(128))
    sys.modules["cupy.cuda.nccl"] = nccl


def shared_folder(tmp_path_factory) -> Path:
    """Return the folder for compiled kernels, which is common to all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "standin"


@contextlib.contextmanager
def installed(folder: Path):
    """Make `import cupy` return the stand-in inside the `with` block. Yields tinynet's backend on it."""
    if not shutil.which("g++"):
        pytest.skip("the stand-in for a GPU needs g++ to compile CUDA kernels; it is not installed")
    forget()
    folder.mkdir(exist_ok=True)
    before = sys.modules.pop("cupy", None)
    sys.modules["cupy"] = make(folder)
    sys.modules["cupyx.scipy.special"] = types.SimpleNamespace(erf=lambda x: computed(erf, (x,), {}))
    importlib.import_module("tinynet.kernels.cupy.products").library = Cublas
    try:
        yield tn.backend("cupy")
    finally:
        forget()
        del sys.modules["cupy"], sys.modules["cupyx.scipy.special"]
        sys.modules.update({"cupy": before} if before else {})


def forget():
    """Remove kernels.cupy from the imported modules, so that the next import loads it again."""
    for name in [name for name in sys.modules if name.startswith("tinynet.kernels.cupy")]:
        del sys.modules[name]
    vars(kernels).pop("cupy", None)


def real_gpu():
    """Return tinynet's backend on a real GPU. Skips the test if there is none."""
    try:
        return tn.backend("cupy")
    except ImportError as error:
        pytest.skip(str(error))


def by_functions(backend):
    """Return a backend of host arrays whose functions run on the device, for tests written for the host."""

    def on_device(function):
        def call(*args):
            moved = [backend.to_device(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
            found = function(*moved)
            for arg, changed in zip(args, moved, strict=True):
                if isinstance(arg, np.ndarray) and arg.flags.writeable:
                    arg[...] = backend.to_host(changed)
            found = found if isinstance(found, tuple) else (found,)
            found = tuple(backend.to_host(value) if isinstance(value, backend.xp.ndarray) else value for value in found)
            return found if len(found) > 1 else found[0]

        return call

    host = tn.backend("numpy")
    ops = {name: on_device(function) for name, function in vars(backend.ops).items()}
    return dataclasses.replace(host, name="cupy", ops=types.SimpleNamespace(**ops), note="")
