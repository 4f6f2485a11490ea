"""The flow against the original's numbers (float32) and against its own mathematics (float64).

tests/goldens/cnf_flow.json lists the keys, the rule that fills them with numbers from their
names, and the inputs; cnf_flow.npz holds what the original computes with them.
"""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor

from sdflow.networks.cnf import ADAPTIVE, FINE, QUICK, Flow, Solver
from sdflow.training import losses
from tests.networks.filling import GOLDENS, check, close, differences, drawn, filled
from tests.networks.filling import golden as stored

CONTRACT = json.loads((GOLDENS / "cnf_flow.json").read_text(encoding="utf-8"))
ORIGINALS_CONSTANT = 511 / 2 * math.log(2 * math.pi)  # it adds this to each element's nll
PRECISE = [Solver(tolerance=1e-10), Solver("rk4", steps=40)]  # adjoint; through the steps


def golden(part: str) -> dict[str, Tensor]:
    return stored(part, "cnf_flow")


def filled_flow(attributes: int) -> dict[str, Tensor]:
    shapes = CONTRACT[f"a{attributes}"]["shapes"]
    return filled({key: (shape, "float32") for key, shape in shapes.items()}, CONTRACT["rules"])


def inputs(part: str) -> dict[str, Tensor]:
    return drawn(CONTRACT[part]["inputs"])


def contract_flow(attributes: int) -> Flow:
    flow = Flow(attributes)
    flow.load_state_dict(filled_flow(attributes), strict=True)
    return flow.eval()


def small_flow(seed: int = 0) -> Flow:
    """Six dimensions, two attributes, float64, nothing at its neutral value."""
    torch.manual_seed(seed)
    flow = Flow(2, width=6, hidden=(8, 7)).double()
    for norm in (flow.chain[0], flow.chain[2]):
        torch.nn.init.normal_(norm.weight, std=0.3)
        torch.nn.init.normal_(norm.bias, std=0.3)
        norm.running_mean.normal_(std=0.3)
        norm.running_var.uniform_(0.4, 1.6)
    torch.nn.init.constant_(flow.chain[1].sqrt_end_time, 0.9)
    return flow.eval()


# ---- the original's numbers


@pytest.mark.parametrize("attributes", [3, 5])
def test_filled_numbers_are_the_contracts(attributes: int) -> None:
    of_size = CONTRACT[f"a{attributes}"].get("fill_check", {})  # where the shapes differ
    check(filled_flow(attributes), CONTRACT["fill_check"] | of_size)


@pytest.mark.parametrize(("attributes", "parameters"), [(3, 1605633), (5, 1617921)])
def test_keys_shapes_and_dtypes(attributes: int, parameters: int) -> None:
    flow, shapes = Flow(attributes), CONTRACT[f"a{attributes}"]["shapes"]
    assert differences(flow, {key: (shape, "float32") for key, shape in shapes.items()}) == []
    assert len(shapes) == 42 and sum(p.numel() for p in flow.parameters()) == parameters


@pytest.mark.parametrize("attributes", [3, 5])
@torch.inference_mode()
def test_velocity_and_trace(attributes: int) -> None:
    velocity = contract_flow(attributes).chain[1].odefunc.diffeq
    x, expected = inputs(f"a{attributes}"), golden(f"a{attributes}")
    y, c, e = x["w_b2"], x["cond_b2"], x["e_b2"]
    units = torch.eye(512).view(512, 1, 1, 512).expand(512, 2, 1, 512)
    for time in ("0.00", "0.37", "0.80"):
        dy, along = velocity(torch.tensor(float(time)), y, c, e[None])
        suffix = "" if time == "0.37" else "_first2tokens"
        close(dy[:, :1], expected[f"rhs_dy_t{time}{suffix}"], atol=1e-5, rtol=1e-4)
        close(-(along[0] * e).sum(-1, keepdim=True), expected[f"rhs_dlogp_t{time}"], 1e-5, 1e-4)
    _, along = velocity(torch.tensor(0.8), y[:, :1], c, units)
    trace = (units * along).sum((0, -1))[..., None]  # (2, 1, 1)
    close(trace, expected["rhs_exact_trace_t0.80"][:, :1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attributes", [3, 5])
@pytest.mark.parametrize("place", [0, 2])
@torch.inference_mode()
def test_moving_batch_norm(attributes: int, place: int) -> None:
    norm = contract_flow(attributes).chain[place]
    y, expected = inputs(f"a{attributes}")["w_b2"], golden(f"a{attributes}")
    name = f"bn{place}"
    close(norm(y)[:, :1], expected[f"{name}_forward_first2tokens"], 1e-5, 1e-5)
    close(norm.inverse(y)[:, :1], expected[f"{name}_reverse_first2tokens"], 1e-5, 1e-5)
    log_scale = norm.log_scale().sum().expand(2, 18, 1)
    close(-log_scale, expected[f"{name}_forward_logp"], 1e-4)
    close(log_scale, expected[f"{name}_reverse_logp"], 1e-4)


@pytest.mark.parametrize("attributes", [3, 5])
@torch.inference_mode()
def test_solved_as_the_original_does(attributes: int) -> None:
    """The forward pass with the contract's noise and solver."""
    part = f"a{attributes}"
    flow, x, expected = contract_flow(attributes), inputs(part), golden(part)
    z, delta = flow(x["w"], x["cond"], x["e_forward"])
    close(z[:, :2], expected["z"], 2e-4)
    close(delta, expected["delta_logp"], 5e-3)
    close(delta, expected["delta_logp_highprec"], 5e-3)
    close(losses.nll(z, delta) + ORIGINALS_CONSTANT, expected["nll_as_reference"], 2e-4)
    z, delta = flow(x["w_b2"], x["cond_b2"], x["e_b2"])
    close(z[:, :1], expected["z_b2"], 2e-4)
    close(delta, expected["delta_logp_b2"], 5e-3)


@pytest.mark.parametrize("attributes", [3, 5])
@pytest.mark.parametrize(
    ("solver", "precision"), [(ADAPTIVE, 1e-3), (FINE, 1e-5)], ids=["adaptive", "fine"]
)
@torch.inference_mode()
def test_encode_and_decode(attributes: int, solver: Solver, precision: float) -> None:
    part = f"a{attributes}"
    flow, x, expected = contract_flow(attributes), inputs(part), golden(part)
    edited = x["cond"].clone()
    edited[:, 0] = 1.2
    z = flow.encode(x["w"], x["cond"], solver)
    close(z[:, :2], expected["z"], 1e-3)
    close(z[:, :2], expected["z_highprec"], precision)
    w_edited = flow.decode(z, edited, solver)
    close(w_edited[:, :2], expected["w_edited"], 1e-3)
    close(w_edited[:, :2], expected["w_edited_highprec"], 1e-3)
    close(flow.decode(z, x["cond"], solver), x["w"], precision)


@pytest.fixture(scope="module", params=[ADAPTIVE, QUICK], ids=["adjoint", "through-steps"])
def trained_once(request: pytest.FixtureRequest) -> tuple[Solver, Flow, Tensor, Tensor, Tensor]:
    """One backward pass of the nll through the contract's flow in train mode."""
    solver, x = request.param, inputs("training")
    flow = contract_flow(3).train()
    c = x["label_dist"].requires_grad_()
    z, delta = flow(x["w"], c * 1.0, x["e_forward"], solver)  # c is no leaf, as in training
    losses.nll(z, delta).backward()
    return solver, flow, c, z.detach(), delta.detach()


def test_nll(trained_once: tuple[Solver, Flow, Tensor, Tensor, Tensor]) -> None:
    solver, _, _, z, delta = trained_once
    expected = golden("training")
    if solver == ADAPTIVE:
        close(z[:, :1], expected["z_train_first2tokens"], 5e-4)
    close(delta, expected["delta_logp_train"], 5e-3)
    close(losses.nll(z, delta) + ORIGINALS_CONSTANT, expected["nll"], 2e-4)


def test_gradients_of_nll(trained_once: tuple[Solver, Flow, Tensor, Tensor, Tensor]) -> None:
    solver, flow, c, _, _ = trained_once
    share = 2e-3 if solver == ADAPTIVE else 4e-3
    for name, expected in golden("training").items():
        if name.startswith("grad_nll/"):
            name = name.removeprefix("grad_nll/")
            gradient = c.grad if name == "label_dist" else flow.get_parameter(name).grad
            close(gradient, expected, atol=share * expected.abs().max().item())
    for name, norm in CONTRACT["training"]["gradient_norms"]["nll"].items():
        assert flow.get_parameter(name).grad.norm().item() == pytest.approx(norm, rel=share)


def test_running_statistics(trained_once: tuple[Solver, Flow, Tensor, Tensor, Tensor]) -> None:
    solver, flow, _, z, _ = trained_once
    x, expected = inputs("training"), golden("training")
    moved = Flow(3)
    moved.load_state_dict(flow.state_dict())
    moved.train().update_statistics(x["w"], z)
    for place in (0, 2):
        norm, atol = moved.chain[place], 1e-5 if solver == ADAPTIVE else 1e-4
        close(norm.running_mean, expected[f"bn{place}_running_mean_after"], atol)
        close(norm.running_var, expected[f"bn{place}_running_var_after"], atol)
        close(norm.step, expected[f"bn{place}_step_after"], 0)
    # the original's order of things: the statistics have moved before the way back
    changed = x["label_dist"].detach().clone()
    changed[0, 1], changed[1, 2] = 0.8, 0.15
    with torch.no_grad():
        w_edited = moved.decode(z, changed, solver)
    close(w_edited[:, :1], expected["sequence_new_latents_first2tokens"], 5e-4)
    close(losses.reg(w_edited, x["w"]), expected["sequence_reg"], 1e-4)


@pytest.mark.parametrize("solver", [ADAPTIVE, FINE], ids=["adjoint", "through-steps"])
def test_gradients_of_reg(solver: Solver) -> None:
    flow, x, expected = contract_flow(3).train(), inputs("training"), golden("training")
    with torch.no_grad():
        z, _ = flow(x["w"], x["label_dist"], x["e_forward"])
    changed = x["label_dist"].clone()
    changed[0, 1], changed[1, 2] = 0.8, 0.15
    changed.requires_grad_()
    w_edited = flow.decode(z, changed * 1.0, solver)
    w_edited.retain_grad()
    loss = losses.reg(w_edited, x["w"])
    loss.backward()
    close(loss, expected["reg"], 1e-4)
    close(w_edited[:, :1], expected["new_latents_first2tokens"], 5e-4)
    end_time = "chain.1.sqrt_end_time"
    for name, reference in expected.items():
        if name.startswith("grad_reg/") and not name.endswith(end_time):
            name = name.removeprefix("grad_reg/")
            gradient = changed.grad if name == "label_dist" else flow.get_parameter(name).grad
            close(gradient, reference, atol=2e-3 * reference.abs().max().item())
    for name, norm in CONTRACT["training"]["gradient_norms"]["reg"].items():
        if name != end_time:
            assert flow.get_parameter(name).grad.norm().item() == pytest.approx(norm, rel=2e-3)

    # On the way back the original's end time misses the share of f's own dependence on t (its t
    # is detached). What it has is -a . f at t = 0; the right value is the difference quotient.
    first, block, _ = flow.chain
    with torch.no_grad():
        a = w_edited.grad * torch.exp(-first.log_scale())
        f, _ = block.odefunc.diffeq(torch.tensor(0.0), first(w_edited), changed)
        close(-(a * f).sum() * 2 * block.sqrt_end_time, expected[f"grad_reg/{end_time}"], 1e-4)
        right = block.sqrt_end_time.grad.item()
        around = []
        for shift in (2e-3, -4e-3):
            block.sqrt_end_time += shift
            around.append(losses.reg(flow.decode(z, changed, FINE), x["w"]).item())
        assert right == pytest.approx((around[0] - around[1]) / 4e-3, rel=5e-3)


# ---- the mathematics, float64


@pytest.mark.parametrize("solver", PRECISE, ids=["adjoint", "through-steps"])
@pytest.mark.parametrize("shape", [(3, 6), (3, 4, 6)])
@torch.inference_mode()
def test_decode_inverts_encode(solver: Solver, shape: tuple[int, ...]) -> None:
    flow, w, c = small_flow(), torch.randn(shape).double(), torch.rand(3, 2).double()
    z = flow.encode(w, c, solver)
    assert z.shape == shape and (z - w).abs().max() > 0.1
    close(flow.decode(z, c, solver), w, 1e-7)
    close(flow.encode(flow.decode(w, c, solver), c, solver), w, 1e-7)


@pytest.mark.parametrize("solver", PRECISE, ids=["adjoint", "through-steps"])
def test_log_determinant_is_that_of_the_jacobian(solver: Solver) -> None:
    flow, w, c = small_flow(), torch.randn(2, 6).double(), torch.rand(2, 2).double()
    units = math.sqrt(6) * torch.eye(6).double().unsqueeze(1).expand(6, 2, 6)  # the exact trace
    z, delta = flow(w, c, units, solver)
    for i in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda x, i=i: flow.encode(x, c[i : i + 1], solver), w[i : i + 1]
        ).view(6, 6)
        close(-delta[i, 0], torch.linalg.slogdet(jacobian).logabsdet, 1e-6)
    normal = torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    close(flow.log_prob(w, c, units, solver), (normal - delta[:, 0]).detach(), 1e-10)


def test_log_prob_sums_tokens_and_noise_is_unbiased() -> None:
    flow, c, solver = small_flow(), torch.rand(2, 2).double(), Solver("rk4", steps=8)
    w = torch.randn(2, 3, 6).double()
    units = math.sqrt(6) * torch.eye(6).double().view(6, 1, 1, 6).expand(6, 2, 3, 6)
    with torch.inference_mode():
        exact = flow.log_prob(w, c, units, solver)
        tokens = sum(flow.log_prob(w[:, i], c, units[:, :, i], solver) for i in range(3))
        close(exact, tokens, 1e-10)
        torch.manual_seed(0)
        close(flow.log_prob(w, c, torch.randn(4000, 2, 3, 6).double(), solver), exact, 0.05)
        assert flow.log_prob(w, c).shape == (2,)


@pytest.mark.parametrize("solver", PRECISE, ids=["adjoint", "through-steps"])
@pytest.mark.parametrize("direction", ["encode", "decode", "log_prob"])
def test_a_gradient_reaches_everything(solver: Solver, direction: str) -> None:
    flow, w = small_flow().train(), torch.randn(2, 3, 6).double().requires_grad_()
    leaf = torch.rand(2, 2).double().requires_grad_()
    noise = torch.randn(2, 3, 6).double()
    weight = torch.randn(2, 3, 6).double()

    def value(w: Tensor, leaf: Tensor) -> Tensor:
        c = torch.sigmoid(3 * leaf)  # as if an estimator had made it
        if direction == "log_prob":
            return flow.log_prob(w, c, noise, solver).sum()
        return (weight * getattr(flow, direction)(w, c, solver)).sum()

    value(w, leaf).backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-6, name
    with torch.no_grad():  # difference quotients along a random direction
        for leaf_or_parameter in (w, leaf, *flow.parameters()):
            step = 1e-4 * torch.randn_like(leaf_or_parameter)
            leaf_or_parameter += step
            above = value(w, leaf)
            leaf_or_parameter -= 2 * step
            quotient = (above - value(w, leaf)) / 2
            leaf_or_parameter += step
            close(quotient, (leaf_or_parameter.grad * step).sum(), 1e-9, 1e-4)


# ---- manners


def test_only_update_statistics_moves_them() -> None:
    flow, w, c = small_flow().train(), torch.randn(4, 3, 6).double(), torch.rand(4, 2).double()
    before = {key: value.clone() for key, value in flow.state_dict().items()}
    z, _ = flow(w, c, solver=FINE)
    close(flow.decode(z, c, FINE), w, 1e-4)  # exact inverse within a training step
    flow.eval().update_statistics(w, z)
    assert all(torch.equal(value, before[key]) for key, value in flow.state_dict().items())
    flow.train().update_statistics(w, z)
    after = flow.state_dict()
    assert {key for key in after if not torch.equal(after[key], before[key])} == {
        f"chain.{place}.{name}"
        for place in (0, 2) for name in ("step", "running_mean", "running_var")
    }


def test_one_token_is_a_column_of_many() -> None:
    flow, w, c = small_flow(), torch.randn(2, 3, 6).double(), torch.rand(2, 2).double()
    with torch.inference_mode():
        close(flow.encode(w, c, FINE)[:, 1], flow.encode(w[:, 1], c, FINE), 1e-12)


def test_evaluations_of_a_fixed_solver_and_of_the_adaptive_one() -> None:
    flow, x, calls = contract_flow(3), inputs("a3"), []
    velocity = flow.chain[1].odefunc.diffeq
    velocity.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        for solver, most in ((QUICK, 20), (FINE, 32), (ADAPTIVE, 40)):
            calls.clear()
            flow.decode(x["w"], x["cond"], solver)
            assert 0 < len(calls) <= most


def test_wrong_shapes_and_solvers_are_refused() -> None:
    flow = small_flow()
    for w, c in (((2, 5), (2, 2)), ((2, 6), (1, 2)), ((2, 3, 6), (2, 3)), ((6,), (2, 2))):
        with pytest.raises(ValueError, match="Give codes"):
            flow.encode(torch.zeros(w).double(), torch.zeros(c).double())
    with pytest.raises(ValueError, match="Choose one of"):
        Solver("euler")
    for bad in ({"steps": 0}, {"tolerance": float("nan")}):
        with pytest.raises(ValueError, match="above 0"):
            Solver(**bad)
