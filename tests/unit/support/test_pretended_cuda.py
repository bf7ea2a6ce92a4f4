"""The device that is not there does what CUDA does with tensors that are not all on it."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from pretended_cuda import DEVICE, pretended_cuda
from torch import nn
from torch.nn.functional import embedding, linear, scaled_dot_product_attention

BOTH = pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
DEVICES_DIFFER = "Expected all tensors to be on the same device"


@BOTH
@pytest.mark.parametrize(
    "operation",
    [
        lambda device, host: device + host,
        lambda device, host: host.add_(device),
        lambda device, host: device @ host,
        lambda device, host: torch.cat([device, host]),
        lambda device, host: torch.where(device > 0, device, host),
        lambda device, host: device.gather(1, host.long()),
        lambda device, host: embedding(host.long(), device),
        lambda device, host: linear(host, device, device[0]),
        lambda device, host: device.index_add_(0, torch.tensor([0, 1], device="cuda"), host),
        lambda device, host: device.__setitem__(torch.tensor([0, 1], device="cuda"), host),
        lambda device, host: device.sum() + host,  # a scalar on the device is no scalar of the host's
        lambda device, host: torch.tensor(0.0).add_(device.sum()),
        lambda device, host: torch.softmax(device, 1, out=host),
        lambda device, host: device.masked_fill(host > 0, 0.0),
        lambda device, host: scaled_dot_product_attention(device[None], device[None], device[None], host),
    ],
)
def test_tensors_on_two_devices_are_refused(backward, operation):
    with pretended_cuda(backward), pytest.raises(RuntimeError, match=DEVICES_DIFFER):
        operation(torch.ones(2, 2, device="cuda"), torch.ones(2, 2))


@BOTH
def test_what_cuda_lets_through_is_let_through(backward):
    with pretended_cuda(backward):
        device, host = torch.arange(4.0, device="cuda"), torch.arange(4.0)
        assert (device + torch.tensor(1.0)).tolist() == [1, 2, 3, 4]
        assert device[torch.tensor([1, 3])].tolist() == [1, 3]
        assert torch.where(device > 1, device, torch.tensor(-1.0)).tolist() == [-1, -1, 2, 3]
        assert host.copy_(device + 1).tolist() == [1, 2, 3, 4] and host.device.type == "cpu"
        assert device.copy_(host).tolist() == [1, 2, 3, 4] and device.device == DEVICE
        device[torch.tensor([0])] = 9.0
        assert device[:2].tolist() == [9, 2]
        with pytest.raises(RuntimeError, match="indices should be either on cpu"):
            host[torch.tensor([1], device="cuda")]


@BOTH
def test_every_way_to_the_device_and_back(backward):
    with pretended_cuda(backward):
        host = torch.ones(2, dtype=torch.float64)
        ways = [host.cuda(), host.to("cuda"), host.to(0), host.to("cuda", torch.bfloat16), host.to(device=DEVICE)]
        ways += [torch.zeros(2, device="cuda"), torch.tensor([1, 2], device="cuda"), torch.as_tensor(1, device="cuda")]
        ways += [torch.randn(2, device="cuda"), torch.arange(2, device=ways[0].device), torch.empty(0, device="cuda:0")]
        ways += [
            torch.zeros_like(ways[0]),
            ways[0].new_zeros(3),
            ways[0].clone(),
            ways[0].to(torch.float32),
            ways[0][0],
        ]
        for tensor in ways:
            assert tensor.device == DEVICE and tensor.is_cuda and not tensor.is_cpu and tensor.get_device() == 0
        for tensor in (ways[0].cpu(), ways[0].to("cpu"), ways[0].to(torch.device("cpu"), torch.int32)):
            assert type(tensor) is torch.Tensor and tensor.tolist() == [1, 1]
        assert torch.zeros(2).device.type == "cpu"


@BOTH
def test_a_copy_shares_no_memory_and_a_view_does(backward):
    with pretended_cuda(backward):
        host = torch.zeros(2, 2)
        device = host.to("cuda")
        host += 1
        assert device.sum().item() == 0
        back = device.cpu()
        device[0].add_(2)
        assert device.tolist() == [[2, 2], [0, 0]] and back.sum() == 0


@BOTH
def test_numpy_needs_a_copy_first(backward):
    with pretended_cuda(backward):
        device = torch.ones(2, device="cuda")
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            device.numpy()
        assert device.cpu().numpy().tolist() == [1, 1]


@BOTH
def test_nested_tensors_live_on_the_device(backward):
    with pretended_cuda(backward):
        parts = [torch.ones(2), torch.ones(3)]
        moved = torch.nested.as_nested_tensor(parts, layout=torch.jagged).to("cuda")
        made = torch.nested.as_nested_tensor([part.to("cuda") for part in parts], layout=torch.jagged)
        for nested in (moved, made):
            assert {nested.device, nested.values().device, nested.offsets().device} == {DEVICE}
            assert torch.nested.to_padded_tensor(nested, 0).tolist() == [[1, 1, 0], [1, 1, 1]]
        with pytest.raises(RuntimeError, match=DEVICES_DIFFER):
            moved * torch.ones(2, 1)


def test_autocast_is_cudas():
    with pretended_cuda() as cuda:
        layer, states = cuda.move(nn.Linear(2, 2)), torch.ones(1, 2, device="cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert layer(states).dtype == torch.bfloat16
            assert layer(states).sum().dtype == torch.float32  # on the CPU's list it is not
        assert layer(states).dtype == torch.float32


def test_gradients_are_those_of_the_cpu():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 3))
    tokens, chosen = torch.tensor([[1, 2, 4]]), torch.tensor([True, False, True])

    def loss(tokens, chosen):
        return model(tokens)[:, chosen].square().sum()  # an index whose derivative starts from zeros made in C++

    loss(tokens, chosen).backward()
    target = [parameter.grad for parameter in model.parameters()]
    with pretended_cuda(backward=True) as cuda:
        cuda.move(model)
        loss(tokens.to("cuda"), chosen.to("cuda")).backward()
        result = [parameter.grad for parameter in model.parameters()]
        assert {gradient.device for gradient in result} == {DEVICE}
    for gradient, expected in zip(result, target, strict=True):
        torch.testing.assert_close(gradient.inner, expected)


def test_a_derivative_with_a_tensor_of_the_host_is_refused():
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(_, states):
            return 2 * states

        @staticmethod
        def backward(_, gradient):
            return gradient * torch.full((3,), 2.0)

    with pretended_cuda(backward=True), pytest.raises(RuntimeError, match=DEVICES_DIFFER):
        Scale.apply(torch.ones(3, device="cuda", requires_grad=True)).sum().backward()


def test_moved_modules_keep_shared_and_frozen_parameters():
    model = nn.ModuleDict(
        {"embedding": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False), "norm": nn.BatchNorm1d(2)}
    )
    model["head"].weight = model["embedding"].weight
    model["norm"].requires_grad_(False)
    original = model["head"].weight
    with pretended_cuda() as cuda:
        assert cuda.move(model) is model
        assert model["head"].weight is model["embedding"].weight is not original
        assert {tensor.device for tensor in (*model.parameters(), *model.buffers())} == {DEVICE}
        assert [parameter.requires_grad for parameter in model.parameters()] == [True, False, False]
        model["head"].weight.data.zero_()
        cuda.move(model)
        assert model["head"].weight.sum().item() == 0  # the second time nothing moves
    assert original.any()


@BOTH
def test_generators_of_the_host_do_not_draw_on_the_device(backward):
    with pretended_cuda(backward):
        for draw in (partial(torch.randn, 2, device="cuda"), torch.ones(2, device="cuda").normal_):
            with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
                draw(generator=torch.Generator())


@BOTH
def test_random_numbers_drawn_on_the_host_are_counted(backward):
    with pretended_cuda(backward) as cuda:
        torch.rand(5, device="cuda")
        torch.ones(7, device="cuda").uniform_()
        torch.zeros(9)
        assert cuda.numbers_drawn_on_host == 0
        torch.rand(3)
        torch.ones(4).normal_(generator=torch.Generator())
        torch.randperm(2).to("cuda")
        assert cuda.numbers_drawn_on_host == 3 + 4 + 2


@BOTH
@pytest.mark.parametrize(
    "operation, operators",
    [
        (lambda device, host: device.sum().item(), ["_local_scalar_dense"]),
        (lambda device, host: [value.item() for value in device], ["_local_scalar_dense"] * 3),
        (lambda device, host: bool((device > 0).all()), ["_local_scalar_dense"]),
        (lambda device, host: device.tolist(), ["_to_copy"]),
        (lambda device, host: device.cpu(), ["_to_copy"]),
        (lambda device, host: host.to("cuda"), ["_to_copy"]),
        (lambda device, host: host.to("cuda", non_blocking=True), []),
        (lambda device, host: device.copy_(host), ["copy_"]),
        (lambda device, host: device.copy_(host, non_blocking=True), []),
        (lambda device, host: device[device > 0], ["index"]),
        (lambda device, host: device[host.long()], ["index"]),
        (lambda device, host: device[torch.arange(2, device="cuda")], []),
        (lambda device, host: device.__setitem__(device > 0, 1.0), []),  # masked_fill_
        (lambda device, host: device.__setitem__(torch.arange(2, device="cuda"), 1.0), ["index_put_"]),  # the number
        (lambda device, host: device.__setitem__(device > 0, device * 2), ["index_put_"]),
        (lambda device, host: device.nonzero(), ["nonzero"]),
        (lambda device, host: torch.equal(device, device), ["equal"]),
        (lambda device, host: torch.repeat_interleave(device, device.long()), ["repeat_interleave"]),
        (lambda device, host: torch.repeat_interleave(device, device.long(), output_size=3), []),
        (lambda device, host: torch.tensor([1, 2], device="cuda"), ["_to_copy"]),
        (lambda device, host: (device * 2 + device.sum()).softmax(0), []),
        (lambda device, host: host.sum().item() + len(host.nonzero()), []),
    ],
)
def test_synchronisations_are_counted(backward, operation, operators):
    with pretended_cuda(backward) as cuda:
        device, host = torch.ones(3, device="cuda"), torch.ones(3)
        operation(device, host)
    assert [sync.operator for sync in cuda.synchronisations] == operators
    assert {(sync.file, sync.in_backward) for sync in cuda.synchronisations} <= {(__file__, False)}


def test_a_synchronisation_says_where():
    with pretended_cuda() as cuda:
        torch.ones((), device="cuda").item()
    (sync,) = cuda.synchronisations
    assert repr(sync).startswith("_local_scalar_dense in test_a_synchronisation_says_where, test_pretended_cuda.py:")


def test_the_device_is_there_inside_the_context_alone():
    with pretended_cuda():
        assert torch.cuda.is_available() and torch.cuda.current_device() == 0
        device = torch.ones(2, device="cuda")
        copies = torch.tensor([0.0])
    assert copies.device.type == "cpu"
    with pytest.raises(RuntimeError, match="outside of pretended_cuda"):
        device + 1
    assert device.inner.tolist() == [1, 1]
    assert not torch.cuda.is_available()
