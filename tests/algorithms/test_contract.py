"""What every algorithm of the registry promises; a new file in algorithms/ is tested by itself."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm, Batch, LossOutput, Task, View
from ssl_video.data.views.sampling import ClipShape, resolve
from ssl_video.registry import algorithms

NAMES = sorted(algorithms.describe())
assert NAMES, "without names everything below would be skipped"
CLASSES, LABELED, UNLABELED, FRAMES, SIZE = 3, 4, 6, 2, 6
TASK = Task(CLASSES, num_unlabeled=20)
Make = Callable[[], nn.Module]

pytestmark = pytest.mark.parametrize("name", NAMES)


class Views(Mapping[str, Tensor]):
    """A batch's clips by view, which notes what is read."""

    def __init__(self, clips: dict[str, Tensor]) -> None:
        self.clips, self.read = clips, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        assert name in self.clips, f"view {name!r} is read but not declared"
        self.read.add(name)
        return self.clips[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.clips)

    def __len__(self) -> int:
        return len(self.clips)


def options_of(name: str) -> dict[str, Any]:
    """The keyword-only arguments of an algorithm's constructor with their defaults."""
    parameters = inspect.signature(algorithms.get(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def learning_from_all(name: str) -> dict[str, Any]:
    """Options with which every prediction becomes a pseudo-label."""
    return {"threshold": 0.0} if "threshold" in options_of(name) else {}


def build(name: str, network: Make, seed: int = 0, **options: Any) -> Algorithm:
    """An algorithm with fresh small networks, in training mode."""
    torch.manual_seed(seed)
    constructor = algorithms.get(name)
    networks = {role: network() for role in constructor.roles}  # type: ignore[attr-defined]
    made: Algorithm = constructor(TASK, **networks, **options)
    return made.train()


def make_batch(algorithm: Algorithm, seed: int = 1) -> Batch:
    """Random clips for exactly the views that an algorithm declares, as long as its networks want them."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {role: ClipShape(FRAMES * n.rate, 4 // n.rate) for role, n in algorithm.roles.items()}

    def clips(views: Mapping[str, View], count: int) -> Views:
        return Views(
            {
                name: torch.randn(count, 3, resolve(v, shapes).shape.frames, SIZE, SIZE, generator=generator)
                for name, v in views.items()
            }
        )

    return Batch(
        clips(algorithm.labeled, LABELED),
        torch.tensor([0, 1, 2, 1]),
        clips(algorithm.unlabeled, UNLABELED),
        torch.tensor([3, 19, 0, 7, 8, 11]),
    )


def unlabeled_terms(output: LossOutput) -> list[Tensor]:
    return [term for name, term in output.terms.items() if name.startswith("unlabeled")]


def gradients(algorithm: Algorithm, loss: Tensor) -> dict[str, Tensor | None]:
    algorithm.zero_grad()
    loss.backward()
    return {name: p.grad for name, p in algorithm.named_parameters() if p.requires_grad}


def values(output: LossOutput) -> dict[str, float]:
    return {name: term.item() for name, term in output.terms.items()}


def train(algorithm: Algorithm, batch: Batch, progresses: tuple[float, ...]) -> list[dict[str, float]]:
    """Terms of a few steps of gradient descent."""
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.5)
    history = []
    for progress in progresses:
        output = algorithm(batch, progress)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        algorithm.after_step(progress)
        history.append(values(output))
    return history


def test_it_describes_itself(name: str) -> None:
    constructor = algorithms.get(name)
    assert issubclass(constructor, Algorithm)  # type: ignore[arg-type]
    assert algorithms.describe()[name]
    text = inspect.getdoc(constructor) or ""
    undocumented = [option for option in options_of(name) if f"    {option}: " not in text]
    assert not undocumented, f"options without a word in the class's docstring: {undocumented}"


def test_the_constructor_takes_the_task_the_networks_and_options(name: str) -> None:
    constructor = algorithms.get(name)
    parameters = inspect.signature(constructor).parameters
    positional = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == ["task", *constructor.roles]  # type: ignore[attr-defined]
    hints = get_type_hints(constructor.__init__)
    for option, default in options_of(name).items():
        assert default is not inspect.Parameter.empty, f"{option} has no default"
        assert option in hints, f"{option} has no type"


@pytest.mark.parametrize("progress", [0.0, 0.999])
def test_terms_are_finite_scalars(name: str, network: Make, progress: float) -> None:
    algorithm = build(name, network)
    output = algorithm(make_batch(algorithm), progress)
    assert output.terms
    for term, value in output.terms.items():
        assert value.shape == (), term
        assert value.isfinite(), term
        assert value.requires_grad, term
        assert value.dtype == torch.float32, term
    assert output.loss.item() == pytest.approx(sum(values(output).values()))
    # One word for one thing in the metrics of all algorithms.
    assert all(term.startswith(("labeled", "unlabeled")) for term in output.terms)
    assert bool(unlabeled_terms(output)) == bool(algorithm.unlabeled)


def test_exactly_the_declared_views_are_read(name: str, network: Make) -> None:
    algorithm = build(name, network)
    batch = make_batch(algorithm)
    algorithm(batch, 0.5)
    for views in (batch.labeled, batch.unlabeled):
        assert isinstance(views, Views)
        assert views.read == set(views), "a declared view is decoded for nothing"


def test_the_batch_stays_as_it_was(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    batch, copy = make_batch(algorithm), make_batch(algorithm)
    algorithm(batch, 0.999).loss.backward()
    assert torch.equal(batch.labels, copy.labels)
    assert torch.equal(batch.positions, copy.positions)
    for clips, before in ((batch.labeled, copy.labeled), (batch.unlabeled, copy.unlabeled)):
        assert all(torch.equal(clips[view], before[view]) for view in clips)


def test_pseudo_labels_are_labels_with_weights_and_without_gradient(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    pseudos = algorithm(make_batch(algorithm), 0.999).pseudo
    if "threshold" in options_of(name):
        assert pseudos, "the audit has nothing to look at"
    for label, weight, _ in pseudos.values():
        assert label.shape == weight.shape == (UNLABELED,)
        assert label.dtype == torch.long
        assert ((label >= 0) & (label < CLASSES)).all()
        assert ((weight >= 0) & (weight <= 1)).all()
        assert not weight.requires_grad


def test_the_headline_network_learns_from_unlabeled_clips_alone(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    if not algorithm.unlabeled:
        pytest.skip("reads no unlabeled clips")
    terms = unlabeled_terms(algorithm(make_batch(algorithm), 0.999))
    found = gradients(algorithm, torch.stack(terms).sum())
    headline = next(iter(algorithm.predictors()))
    trained = headline if headline in algorithm.roles else next(iter(algorithm.roles))
    mine = {parameter: g for parameter, g in found.items() if parameter.startswith(f"{trained}.")}
    still = [parameter for parameter, g in mine.items() if g is None or not g.any()]
    assert mine
    assert not still, f"the unlabeled terms do not move {still}"


def test_no_gradient_flows_through_a_pseudo_label(name: str) -> None:
    """Where a strong clip learns the label of a weak one, the weak clip gets no gradient.

    Without batch norm, through whose statistics the clips of a batch know of each other.
    """
    constructor = algorithms.get(name)
    views: Mapping[str, View] = constructor.unlabeled  # type: ignore[attr-defined]
    weak = [view for view in views if view.startswith("weak")]
    if not any(view.startswith("strong") for view in views):
        pytest.skip("its labels are for the clips that they come from")
    # Dependence on the clip itself is smooth here, so a label that is not cut off shows as a gradient.
    algorithm = build(
        name,
        lambda: nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, CLASSES)),
        **learning_from_all(name),
    )
    batch = make_batch(algorithm)
    for view in weak:
        batch.unlabeled[view].requires_grad_()
    torch.stack(unlabeled_terms(algorithm(batch, 0.999))).sum().backward()
    for view in weak:
        given = batch.unlabeled[view].grad
        assert given is None or not given.any(), view


def test_every_trained_parameter_gets_a_gradient(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    found = gradients(algorithm, algorithm(make_batch(algorithm), 0.999).loss)
    assert not [parameter for parameter, g in found.items() if g is None or not g.any()]


def test_all_state_is_in_the_state_dict(name: str, network: Make) -> None:
    steps = (0.1, 0.5, 0.9)
    algorithm = build(name, network, **learning_from_all(name))
    batch = make_batch(algorithm)
    train(algorithm, batch, steps)
    other = build(name, network, seed=5, **learning_from_all(name))
    assert values(other(batch, 0.95)) != values(algorithm(batch, 0.95))
    other.load_state_dict(algorithm.state_dict())
    assert train(other, batch, steps) == train(algorithm, batch, steps)


def test_no_tensor_is_kept_outside_parameters_and_buffers(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    train(algorithm, make_batch(algorithm), (0.1, 0.5))

    def tensors(value: Any) -> bool:
        if isinstance(value, Mapping):
            return any(map(tensors, value.values()))
        if isinstance(value, list | tuple | set):
            return any(map(tensors, value))
        return isinstance(value, Tensor)

    for path, module in algorithm.named_modules():
        own = {k: v for k, v in vars(module).items() if k not in ("_parameters", "_buffers", "_modules")}
        kept = [attribute for attribute, value in own.items() if tensors(value)]
        assert not kept, f"{path}: {kept} would be lost in a checkpoint"
        assert not module._non_persistent_buffers_set, f"{path}: buffers that are not saved"


def test_an_empty_selection_gives_zero_that_can_be_differentiated(name: str, network: Make) -> None:
    if "threshold" not in options_of(name):
        pytest.skip("has no threshold")
    algorithm = build(name, network, threshold=1.1)
    output = algorithm(make_batch(algorithm), 0.999)
    assert not any(pseudo.weight.any() for pseudo in output.pseudo.values())
    unlabeled = torch.stack(unlabeled_terms(output))
    assert not unlabeled.any()
    assert all(g is None or not g.any() for g in gradients(algorithm, unlabeled.sum()).values())


def test_the_order_of_unlabeled_clips_does_not_matter(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    batch = make_batch(algorithm)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = batch._replace(
        unlabeled={view: clips[order] for view, clips in batch.unlabeled.items()},
        positions=batch.positions[order],
    )
    state = {key: value.clone() for key, value in algorithm.state_dict().items()}
    expected = algorithm(batch, 0.999)
    algorithm.load_state_dict(state)
    found = algorithm(shuffled, 0.999)
    assert values(found) == pytest.approx(values(expected), rel=1e-5)
    for giver, pseudo in expected.pseudo.items():
        assert torch.equal(found.pseudo[giver].label, pseudo.label[order])


def test_bfloat16_gives_finite_float32_terms(name: str, network: Make) -> None:
    algorithm = build(name, network, **learning_from_all(name))
    batch = make_batch(algorithm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = algorithm(batch, 0.999)
    for term in output.terms.values():
        assert term.dtype == torch.float32
        assert term.isfinite()
    exact = algorithm(batch, 0.999)
    assert output.loss.item() == pytest.approx(exact.loss.item(), rel=0.05)


def test_every_option_changes_the_loss_somewhere(name: str, network: Make) -> None:
    """An option that nothing reads would be a promise in `--help` that is not kept."""
    base = learning_from_all(name)
    hints = get_type_hints(algorithms.get(name).__init__)
    progresses = (0.05, 0.3, 0.95)
    algorithm = build(name, network, **base)
    expected = train(algorithm, make_batch(algorithm), progresses)
    for option, default in options_of(name).items():
        found = []
        for value in _others(default, hints[option]):
            algorithm = build(name, network, **(base | {option: value}))
            found.append(train(algorithm, make_batch(algorithm), progresses))
        assert any(history != expected for history in found), f"{option} changes nothing"


def _others(default: Any, hint: Any) -> list[Any]:
    """Values of an option other than its default."""
    if get_origin(hint) is Literal:
        return [value for value in get_args(hint) if value != default]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 1, 0]
    assert isinstance(default, float), f"teach this test a value for {default!r}"
    return [default * 2, default / 2, 0.0, 1.1]


def test_predictors_take_the_clips_of_their_role(name: str, network: Make) -> None:
    algorithm = build(name, network).eval()
    predictors = algorithm.predictors()
    assert predictors
    first = next(iter(algorithm.roles))
    saved = {id(parameter) for parameter in algorithm.parameters()}
    for predictor, model in predictors.items():
        role = algorithm.roles.get(predictor, algorithm.roles[first])
        assert model(torch.zeros(5, 3, FRAMES * role.rate, SIZE, SIZE)).shape == (5, CLASSES)
        assert {id(parameter) for parameter in model.parameters()} <= saved


def test_views_of_one_algorithm_stay_when_another_is_made(name: str, network: Make) -> None:
    """They are class attributes, so an option that shapes a view has to replace them, not to change them."""
    first = build(name, network)
    before = dict(first.unlabeled), dict(first.labeled), dict(first.roles)
    hints = get_type_hints(algorithms.get(name).__init__)
    for option, default in options_of(name).items():
        for value in _others(default, hints[option]):
            build(name, network, **{option: value})
    assert before == (dict(first.unlabeled), dict(first.labeled), dict(first.roles))


def test_an_option_may_be_zero(name: str, network: Make) -> None:
    for option, default in options_of(name).items():
        if isinstance(default, float):
            zero: dict[str, Any] = {option: 0.0}
            algorithm = build(name, network, **zero)
            for progress in (0.0, 0.999):
                assert algorithm(make_batch(algorithm), progress).loss.isfinite(), option
