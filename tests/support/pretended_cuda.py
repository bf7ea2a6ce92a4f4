"""A CUDA device that is not there: tensors that say ``cuda:0`` and keep their numbers in the host's memory.

Code meant for a GPU runs on any machine, and every operator checks its arguments as CUDA's would:

    with pretended_cuda() as cuda:
        cuda.move(model)
        model(torch.ones(2, 8))                    # RuntimeError: Expected all tensors to be on the same device, ...
        loss = model(torch.ones(2, 8, device="cuda")).sum()
        loss.item()
        print(cuda.synchronisations)               # [_local_scalar_dense in main, train.py:5]

Checked: that tensors meet on one device (what CUDA lets through is let through here: 0-dimensional host tensors,
copies, host indices into a tensor on the device); that host generators do not draw on the device; ``numpy()``. Real:
the numbers, shapes that depend on data, autograd, nested tensors, ``autocast("cuda")`` with CUDA's own lists of
operators. Counted: host synchronisations, and random numbers drawn on the host.

Not checked: which dtypes, layouts and alignments a CUDA kernel takes, memory, streams, more than one device,
``torch.Generator("cuda")`` (it cannot be made), collectives, compilation, a kernel of one's own (give it a stand-in
that works on ``tensor.inner``). Numbers are the CPU's: a GPU rounds otherwise.

With ``backward=True`` a backward runs, at a price. Autograd's engine (torch 2.11) asks the CUDA driver for its streams
as soon as one tensor in the graph is on CUDA, so tensors are then on the CPU to torch's C++ code and on ``cuda:0`` to
Python and to the checks. Then ``autocast("cuda")`` casts nothing; ``host.to(tensor)`` leaves ``host`` where it is; the
gradient of a host tensor arrives on the device; and a tensor that C++ code makes of no other is on the host, so that a
mismatch reported from within one of torch's functions can be one of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

DEVICE = torch.device("cuda", 0)
HOST = torch.device("cpu")
META = torch.device("meta")
TORCH_FOLDER = os.path.dirname(torch.__file__)

aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}


class Synchronisation(NamedTuple):
    """An operator for which the host waits until the device has finished."""

    operator: str
    file: str  # of the innermost Python frame outside torch
    line: int
    function: str
    in_backward: bool  # then the frame is the one that called for the backward

    def __repr__(self) -> str:
        place = "backward of " if self.in_backward else ""
        return f"{self.operator} in {place}{self.function}, {os.path.basename(self.file)}:{self.line}"


class PretendedTensor(Tensor):
    """A tensor on ``cuda:0``, to Python and to C++; ``inner`` is the host tensor that holds its numbers."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor):
        like = {"dtype": inner.dtype, "layout": inner.layout, "device": DEVICE}
        strides = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        made = Tensor._make_wrapper_subclass(cls, inner.size(), **strides, **like)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if not PretendedCuda.active:
            raise RuntimeError(f"{func}: got a tensor on the pretended device, outside of pretended_cuda()")
        return PretendedCuda.active[-1].__torch_dispatch__(func, types, args, kwargs)

    def tolist(self) -> list:
        return self.cpu().tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor first.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"


class DifferentiableTensor(PretendedTensor):
    """A tensor on ``cuda:0`` to Python alone, so that autograd's engine can run (see the module's docstring)."""

    @staticmethod
    def __new__(cls, inner: Tensor):
        made = Tensor._make_subclass(cls, inner.detach(), device_for_backend_keys=DEVICE)
        made.inner = inner
        return made

    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def get_device(self) -> int:
        return DEVICE.index

    def cuda(self, *args, **kwargs) -> Tensor:
        return self

    def cpu(self, *args, **kwargs) -> Tensor:
        return self.to(HOST)

    def to(self, *args, **kwargs) -> Tensor:
        if args and isinstance(args[0], Tensor):
            args = (args[0].device, args[0].dtype, *args[1:])
        elif args and type(args[0]) is int:
            args = (torch.device("cuda", args[0]), *args[1:])
        copy = kwargs.pop("copy", False)
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        if device is not None and device.type == "cpu":
            with PretendedCuda.active[-1].leaving():
                return aten._to_copy.default(self, dtype=dtype or self.dtype, device=HOST, non_blocking=non_blocking)
        return super().to(dtype or self.dtype, copy=copy)


class PretendedCuda(TorchDispatchMode):
    """Record of the pretended device; made by ``pretended_cuda``.

    Attributes:
        synchronisations: as ``torch.cuda.set_sync_debug_mode`` would report them: ``item()`` and its kin, shapes that
            depend on data, copies between host and device without ``non_blocking``, host indices into a tensor on the
            device.
        numbers_drawn_on_host: random numbers that torch drew for tensors on the host (NumPy's are not counted).
    """

    active: list[PretendedCuda] = []

    def __init__(self, tensor_class: type[PretendedTensor]):
        super().__init__()
        self.tensor_class = tensor_class
        self.synchronisations: list[Synchronisation] = []
        self.numbers_drawn_on_host = 0
        self._is_leaving = False

    def move(self, module: nn.Module) -> nn.Module:
        """Put copies of the module's parameters and buffers on the device, in place; shared ones stay shared."""
        moved: dict[int, Tensor] = {}
        for part in module.modules():
            for tensors in (part._parameters, part._buffers):
                for name, tensor in tensors.items():
                    if tensor is None or isinstance(tensor, PretendedTensor):
                        continue
                    if id(tensor) not in moved:
                        copy = self.tensor_class(tensor.detach().clone())
                        is_parameter = isinstance(tensor, nn.Parameter)
                        moved[id(tensor)] = nn.Parameter(copy, tensor.requires_grad) if is_parameter else copy
                    tensors[name] = moved[id(tensor)]
        return module

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Python asks for the CPU, which to C++ code the tensors of ``backward=True`` are on anyhow."""
        self._is_leaving = True
        try:
            yield
        finally:
            self._is_leaving = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the guard against torch.compile, which nobody uses here, costs a fifth of the time

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not all(issubclass(kind, PretendedTensor) or kind in (Tensor, nn.Parameter) for kind in types):
            return NotImplemented  # a nested tensor: it takes itself apart and comes back
        return self.call(func, args, kwargs or {})

    def call(self, func, args: tuple, kwargs: dict):
        """Run one of torch's operators on the inner tensors, after checking where its tensors are."""
        tensors = _tensors_of((*args, *kwargs.values()))
        starts_on_device = any(isinstance(tensor, PretendedTensor) for tensor in tensors)
        ends_on_device = self._ends_on_device(func, args, kwargs, starts_on_device)
        if starts_on_device:
            _check_devices(func, args, tensors)
        if ends_on_device and kwargs.get("generator") is not None:
            raise RuntimeError(f"{func}: Expected a 'cuda' device type for generator but found 'cpu'")
        if _synchronises(func, args, kwargs, starts_on_device, ends_on_device):
            self.synchronisations.append(_synchronisation(func))
        if func is aten._fused_sdp_choice.default and starts_on_device:
            return 0  # attention in plain operators: the CPU's fused kernel is not CUDA's

        inner_kwargs = {name: _map_tensors(_inner, value) for name, value in kwargs.items()}
        if kwargs.get("device") is not None and torch.device(kwargs["device"]) != META:
            inner_kwargs["device"] = HOST
        out = func(*_map_tensors(_inner, args), **inner_kwargs)

        if ends_on_device:
            out = _map_tensors(self.tensor_class, out)
            return return_and_correct_aliasing(func, args, kwargs, out) if starts_on_device else out
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.numbers_drawn_on_host += sum(tensor.numel() for tensor in _tensors_of([out]))
        return args[0] if func is aten.copy_.default else out

    def _ends_on_device(self, func, args: tuple, kwargs: dict, starts_on_device: bool) -> bool:
        if func is aten.copy_.default:
            return isinstance(args[0], PretendedTensor)
        asked = kwargs.get("device")
        if asked is None:
            return starts_on_device
        if torch.device(asked).type == "cpu" and self.tensor_class is DifferentiableTensor and not self._is_leaving:
            # C++ code asks for the device of another tensor, which to it is the CPU
            return starts_on_device or _is_called_by_autograd()
        return torch.device(asked).type == "cuda"


@contextmanager
def pretended_cuda(backward: bool = False) -> Iterator[PretendedCuda]:
    """``torch.cuda`` is available, with one device; see the module's docstring for what is checked.

    Args:
        backward: gradients are to be computed; what that costs stands in the module's docstring.
    """
    device = PretendedCuda(DifferentiableTensor if backward else PretendedTensor)
    torch._C._ensureCUDADeviceGuardSet()  # for C++ code that asks for the current device and stream, one of no effect
    with ExitStack() as stack:
        for name, value in (
            ("_lazy_init", lambda: None),
            ("is_available", lambda: True),
            ("is_bf16_supported", lambda *_, **__: True),
            ("current_device", lambda: DEVICE.index),
            ("device_count", lambda: 1),
        ):
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False))
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") is made on the host, then copied
        PretendedCuda.active.append(device)
        stack.callback(PretendedCuda.active.pop)
        stack.enter_context(device)
        yield device


def _map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """An argument or a result of an operator, its tensors replaced; operators know no deeper nests than lists."""
    if isinstance(value, Tensor):
        return function(value)
    return type(value)(_map_tensors(function, part) for part in value) if type(value) in (list, tuple) else value


def _tensors_of(values: Iterable[Any]) -> list[Tensor]:
    parts = (part for value in values for part in (value if isinstance(value, list | tuple) else (value,)))
    return [part for part in parts if isinstance(part, Tensor)]


def _inner(tensor: Tensor) -> Tensor:
    return tensor.inner if isinstance(tensor, PretendedTensor) else tensor


def _check_devices(func, args: tuple, tensors: list[Tensor]) -> None:
    """Raise as CUDA does if tensors of an operator, one of which is on the device, are not all there."""
    if func in INDEXING:
        if not isinstance(args[0], PretendedTensor) and any(isinstance(i, PretendedTensor) for i in args[1]):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        tensors = [args[0], *args[2:3]]  # the indices may be on the host
    if func in COPIES:
        return
    for tensor in tensors:
        if isinstance(tensor, PretendedTensor) or tensor.is_meta:
            continue
        if tensor.dim() > 0 or _writes_to(func, args, tensor):
            found = ", ".join(f"{tuple(t.shape)} {t.dtype} on {t.device}" for t in tensors)
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                f"({func}: {found})"
            )


def _writes_to(func, args: tuple, tensor: Tensor) -> bool:
    return any(
        argument is tensor and declared.alias_info is not None and declared.alias_info.is_write
        for argument, declared in zip(args, func._schema.arguments, strict=False)
    )


def _synchronises(func, args: tuple, kwargs: dict, starts_on_device: bool, ends_on_device: bool) -> bool:
    if func is aten.copy_.default:
        crosses = isinstance(args[0], PretendedTensor) != isinstance(args[1], PretendedTensor)
        return crosses and not (args[2] if len(args) > 2 else kwargs.get("non_blocking"))
    if func is aten._to_copy.default:
        return starts_on_device != ends_on_device and not kwargs.get("non_blocking")
    if not starts_on_device:
        return False
    if func in INDEXING:
        indices = [index for index in args[1] if index is not None]
        are_masks = [index.dtype in (torch.bool, torch.uint8) for index in indices]
        if not all(isinstance(index, PretendedTensor) for index in indices):
            return True
        if len(args) > 2 and not isinstance(args[2], PretendedTensor):  # a number: masked_fill_, or a copy
            return not all(are_masks)
        return any(are_masks)
    if func is aten.repeat_interleave.Tensor:
        return kwargs.get("output_size") is None
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


def _synchronisation(func) -> Synchronisation:
    frame = _calling_frame(TORCH_FOLDER)
    code, in_backward = frame.f_code, torch._C._current_graph_task_id() != -1
    name = func._schema.name.removeprefix("aten::")
    return Synchronisation(name, code.co_filename, frame.f_lineno, code.co_name, in_backward)


def _is_called_by_autograd() -> bool:
    """Tell whether the derivative of an operator, written in C++, calls this one."""
    return _calling_frame().f_code.co_name == "_engine_run_backward"


def _calling_frame(*folders: str) -> FrameType:
    """The innermost frame outside this file and these folders."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith((__file__, *folders)):
        frame = frame.f_back
    return frame
