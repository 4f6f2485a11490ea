"""Strengths, targets and the edit of a code, on a flow with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdflow.decompose import decompose
from sdflow.edit import (
    BadStrength,
    UnknownAttribute,
    edit,
    gated_change,
    parse_strengths,
    target_semantics,
)
from sdflow.networks.cnf import ADAPTIVE, FINE, QUICK, Flow, Solver

NAMES = ("eyeglasses", "smiling")
POLES = torch.tensor([[0.0, 1.0], [0.9, 0.1]])  # the second one lies the other way round
SOLVERS = pytest.mark.parametrize("solver", [FINE, QUICK, ADAPTIVE], ids=lambda s: s.method)


@pytest.fixture(scope="module")
def flow() -> Flow:
    """Random weights whose full edit moves a code by 0.5 to 10 (norm)."""
    torch.manual_seed(0)
    flow = Flow(2, hidden=(64, 64))
    for layer in flow.chain[1].odefunc.diffeq.layers:
        nn.init.normal_(layer._hyper_bias.weight, std=0.1)
        nn.init.normal_(layer._hyper_gate.weight, std=0.2)
    return flow.eval()


@pytest.fixture(scope="module")
def codes() -> Tensor:
    return torch.randn(2, 18, 512, generator=torch.Generator().manual_seed(1))


C = torch.tensor([[0.2, 0.7], [0.95, 0.3]])


# ---- strengths


def test_good_strengths_become_floats() -> None:
    given = {"smiling": np.float32(-0.5), "eyeglasses": 1}
    parsed = parse_strengths(given, NAMES)
    assert parsed == {"smiling": -0.5, "eyeglasses": 1.0}
    assert [type(value) for value in parsed.values()] == [float, float]
    assert parse_strengths({}, NAMES) == {}


@pytest.mark.parametrize("name", ["smile", "", 7, None, "x" * 100_000])
def test_unknown_attribute_names_the_known_ones(name: object) -> None:
    with pytest.raises(UnknownAttribute, match=r"Use one of: eyeglasses, smiling\.$") as caught:
        parse_strengths({name: 0.5}, NAMES)
    assert isinstance(caught.value, ValueError) and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "strength",
    [float("nan"), float("inf"), -float("inf"), 1.01, -2, 10**400, "0.5", "", None, True, False,
     [0.5], 1j, np.bool_(True), np.float64("nan")],
    ids=lambda s: repr(s)[:20],
)
def test_bad_strengths(strength: object) -> None:
    with pytest.raises(BadStrength, match=r"of smiling is .* from -1 to 1; 0 leaves") as caught:
        parse_strengths({"smiling": strength}, NAMES)
    assert isinstance(caught.value, ValueError) and len(str(caught.value)) < 200


def test_strengths_must_be_a_mapping() -> None:
    with pytest.raises(BadStrength, match="Give a mapping such as"):
        parse_strengths([("smiling", 0.5)], NAMES)


# ---- targets


def test_strength_zero_leaves_c_and_one_reaches_the_pole() -> None:
    assert torch.equal(target_semantics(C, torch.zeros(2, 2), POLES), C)
    assert torch.equal(target_semantics(C, torch.ones(2, 2), POLES), POLES[:, 1].expand(2, 2))
    assert torch.equal(target_semantics(C, -torch.ones(2, 2), POLES), POLES[:, 0].expand(2, 2))


def test_linear_and_monotonic_between() -> None:
    up = target_semantics(C, torch.full((2, 2), 0.5), POLES)
    torch.testing.assert_close(up, (C + POLES[:, 1]) / 2)
    down = target_semantics(C, torch.full((2, 2), -0.25), POLES)
    torch.testing.assert_close(down, C + 0.25 * (POLES[:, 0] - C))
    path = torch.stack([
        target_semantics(C, torch.full((2, 2), s), POLES) for s in torch.linspace(-1, 1, 21)
    ])
    steps = path.diff(dim=0) * torch.tensor([1.0, -1.0])
    assert bool((steps > 0).all())


def test_beyond_a_pole_nothing_moves_the_wrong_way() -> None:
    beyond = torch.tensor([[1.2, 0.05], [-0.3, 1.0]])  # past +, +; past -, -
    up = target_semantics(beyond, torch.full((2, 2), 0.7), POLES)
    assert torch.equal(up[0], beyond[0])
    assert up[1, 0] > beyond[1, 0] and up[1, 1] < beyond[1, 1]
    down = target_semantics(beyond, torch.full((2, 2), -0.7), POLES)
    assert torch.equal(down[1], beyond[1])
    assert down[0, 0] < beyond[0, 0] and down[0, 1] > beyond[0, 1]


def test_attributes_move_independently() -> None:
    moved = target_semantics(C, torch.tensor([[0.5, 0.0], [0.0, -0.5]]), POLES)
    assert torch.equal(moved != C, torch.tensor([[True, False], [False, True]]))


@pytest.mark.parametrize(
    ("strengths", "poles"), [((1, 2), (2, 2)), ((2, 2), (2,)), ((2,), (2, 2))]
)
def test_wrong_shapes_are_refused(strengths: tuple[int, ...], poles: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Give .* poles"):
        target_semantics(C, torch.zeros(strengths), torch.zeros(poles))


# ---- the edit


@SOLVERS
def test_strength_zero_gives_w_itself(flow: Flow, codes: Tensor, solver: Solver) -> None:
    z = flow.encode(codes, C, solver).detach()
    target = target_semantics(C, torch.zeros(2, 2), POLES)
    assert torch.equal(edit(flow, codes, z, C, target, solver=solver), codes)


@SOLVERS
def test_a_tiny_strength_moves_w_a_little_and_a_full_one_a_lot(
    flow: Flow, codes: Tensor, solver: Solver
) -> None:
    z = flow.encode(codes, C, solver).detach()
    moved = []
    for strength in (1e-3, 1.0):
        target = target_semantics(C, torch.tensor([[strength, 0.0]] * 2), POLES)
        moved.append((edit(flow, codes, z, C, target, solver=solver) - codes).norm(dim=(1, 2)))
    assert bool((moved[0] > 0).all())
    assert bool((moved[0] < 1e-2).all())
    torch.testing.assert_close(1e3 * moved[0], moved[1], rtol=0.05, atol=0)  # no solver's noise


def test_the_edit_is_what_the_flow_says(flow: Flow, codes: Tensor) -> None:
    z = flow.encode(codes, C, FINE).detach()
    target = target_semantics(C, torch.tensor([[1.0, -0.5], [-1.0, 0.3]]), POLES)
    with torch.inference_mode():
        edited, said = edit(flow, codes, z, C, target), flow.decode(z, target, FINE)
    torch.testing.assert_close(edited, said, atol=1e-4, rtol=0)
    # a second decomposition finds the target's own code again
    torch.testing.assert_close(flow.encode(edited, target, FINE), z, atol=1e-3, rtol=0)


def test_gates_say_which_layers_an_attribute_moves(flow: Flow, codes: Tensor) -> None:
    z = flow.encode(codes, C, FINE).detach()
    gates = torch.zeros(2, 18)
    gates[0, :4], gates[1, 4:8], gates[1, 8] = 1.0, 1.0, 0.5
    for column, moved in ((0, slice(0, 4)), (1, slice(4, 8))):
        target = C.clone()
        target[:, column] = 0.5
        whole, part = edit(flow, codes, z, C, target), edit(flow, codes, z, C, target, gates)
        still = gates[column] == 0
        assert torch.equal(part[:, still], codes[:, still])
        torch.testing.assert_close(part[:, moved], whole[:, moved], atol=1e-5, rtol=0)
    torch.testing.assert_close(part[:, 8], (codes[:, 8] + whole[:, 8]) / 2, atol=1e-5, rtol=0)
    for bad in (torch.ones(2, 17), torch.full((2, 18), 1.5), torch.full((2, 18), float("nan"))):
        with pytest.raises(ValueError, match=r"Give \(2, 18\) numbers from 0 to 1"):
            edit(flow, codes, z, C, target, bad)


def test_open_gates_add_up_to_the_whole_edit(flow: Flow, codes: Tensor) -> None:
    z = flow.encode(codes, C, FINE).detach()
    target = C.clone()
    target[0] = torch.tensor([0.9, 0.1])  # two attributes of this face move
    target[1, 1] = 0.8  # and one of the other
    whole = edit(flow, codes, z, C, target)
    gated = edit(flow, codes, z, C, target, torch.ones(2, 18))
    torch.testing.assert_close(gated, whole, atol=1e-5, rtol=0)
    alone = edit(flow, codes[1:], z[1:], C[1:], target[1:], torch.ones(2, 18))
    torch.testing.assert_close(gated[1:], alone, atol=1e-5, rtol=0)  # rows don't touch each other
    assert torch.equal(edit(flow, codes, z, C, C, torch.ones(2, 18)), codes)


def test_gates_learn_from_the_edit(flow: Flow, codes: Tensor) -> None:
    z = flow.encode(codes, C, QUICK).detach()
    target = C.clone()
    target[:, 1] = 0.5
    gates = torch.full((2, 18), 0.5, requires_grad=True)
    gated_change(flow, z, C, target, gates, QUICK).square().sum().backward()
    assert bool((gates.grad[1] > 0).all()) and bool((gates.grad[0] == 0).all())


# ---- the decomposition


@SOLVERS
def test_decompose_reports_its_round_trip(flow: Flow, codes: Tensor, solver: Solver) -> None:
    z, error = decompose(flow, codes, C, solver)
    assert torch.equal(z, flow.encode(codes, C, solver))
    back = flow.decode(z, C, solver)
    assert error == pytest.approx((back - codes).abs().max().item(), rel=1e-5)
    assert error < (5e-4 if solver == ADAPTIVE else 1e-5)
    assert isinstance(error, float) and not z.requires_grad
