"""PyTorch modules as compiled classifiers."""

import functools

import jax
import numpy as np
import pytest

from xaijax import ELIME, BinaryMasks, Classifier, GradCAM, Grid, explain

torch = pytest.importorskip("torch", reason="needs PyTorch")
nn, functional = torch.nn, torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SIZE = (16, 20)
FACTS = {"num_classes": 5, "input_size": SIZE, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25)}
IMAGES = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3)).astype(np.uint8)


class Small(nn.Module):
    """A network with a batch norm to fold, one to keep, and a branch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
        self.branch = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.head = nn.Linear(8, 5)
        self.drop = nn.Dropout(0.5)
        for norm in (self.norm, self.branch[0]):
            nn.init.uniform_(norm.running_mean, -1, 1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -1, 1)

    def forward(self, x):
        x = functional.hardswish(self.norm(self.stem(x)))
        x = x + self.depthwise(x)
        x = x + self.branch(x)
        return self.head(self.drop(x.mean((2, 3))))


def logits_of(module, images=IMAGES):
    pixels = (images / np.float32(255) - np.float32(FACTS["mean"])) / np.float32(FACTS["std"])
    with torch.no_grad():
        return module.eval()(torch.from_numpy(pixels.astype(np.float32).transpose(0, 3, 1, 2).copy())).numpy()


def assert_close(classifier, module, tolerance=1e-4):
    expected = logits_of(module)
    np.testing.assert_allclose(classifier(IMAGES), expected, atol=tolerance * np.abs(expected).max())


@pytest.fixture(scope="module")
def small():
    module = Small()
    return module, Classifier.from_torch(module, **FACTS)


def test_logits_are_pytorchs_and_the_module_stays_as_it_was(small):
    module = Small().train()
    module.branch.eval()
    classifier = Classifier.from_torch(module, **FACTS)
    assert (module.training, module.branch.training, module.norm.training) == (True, False, True)
    assert_close(classifier, module)
    assert_close(small[1], small[0])


def test_batch_norms_are_folded_and_two_exports_share_a_program(small):
    operators = [call.operator for call in small[1].apply.program.calls]
    assert operators.count("scale_and_shift") == 1  # the batch norm that stands before its convolution
    assert "_native_batch_norm_legit_no_training" not in operators
    again = Classifier.from_torch(Small(), **FACTS)
    assert again.apply == small[1].apply
    assert hash(again.apply) == hash(small[1].apply)


def test_taps_are_the_parts_of_the_module(small):
    module, classifier = small
    assert {"branch", "branch.1", "branch.2", "depthwise", "norm"} <= {*classifier.taps}
    assert "stem" not in classifier.taps, "folded into the next"
    pixels = (IMAGES / np.float32(255)).astype(np.float32)
    seen = {}
    hooks = [
        part.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.numpy()}))
        for name, part in module.named_modules()
        if name in ("branch", "depthwise")
    ]
    logits_of(module)
    for hook in hooks:
        hook.remove()
    _, activations = jax.jit(functools.partial(classifier.apply, taps=("branch", "depthwise")))(
        classifier.params, pixels
    )
    for name, activation in activations.items():
        np.testing.assert_allclose(activation, seen[name].transpose(0, 2, 3, 1), atol=1e-4)


def test_it_is_differentiable_and_explained_like_any_other(small):
    _, classifier = small
    cam = explain(jax.random.key(0), classifier, IMAGES, method=GradCAM(tap="branch"))
    assert np.isfinite(cam.score).all()
    method = ELIME(evaluations=60, segmentation=Grid(4, 4), fill="black", max_segments=32)
    both = explain(jax.random.key(0), classifier, IMAGES, method=method)
    alone = explain(jax.random.key(0), classifier, IMAGES[1:2], method=method)
    np.testing.assert_array_equal(both.mask[1], alone.mask[0])
    asked = Classifier.from_black_box(functools.partial(_on_host, small[0]), **FACTS)
    host = explain(jax.random.key(0), asked, IMAGES, method=method)
    assert np.mean(np.asarray(host.genome) == np.asarray(both.genome)) > 0.6
    squares = explain(jax.random.key(0), classifier, IMAGES, method=BinaryMasks(evaluations=40, taps=("branch",)))
    assert np.isfinite(squares.score).all()


def _on_host(module, images):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


def test_in_bfloat16_logits_come_close(small):
    assert_close(Classifier.from_torch(small[0], dtype="bfloat16", **FACTS), small[0], tolerance=0.05)


class Calls(nn.Module):
    """Sends an image through one function, and makes 5 logits of what comes out."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(1)
        self.function = function
        self.weight = nn.Parameter(torch.randn(4096, 5) / 16)

    def forward(self, x):
        x = self.function(x).flatten(1).float()
        return x @ self.weight[: x.shape[1]]


FUNCTIONS = {
    "max pool, odd": lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0)),
    "max pool, ceil": lambda x: functional.max_pool2d(x, 3, 2, ceil_mode=True),
    "mean pool": lambda x: functional.avg_pool2d(x, 3, 2, 1),
    "mean pool, without padding": lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "mean pool, ceil": lambda x: functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "mean pool, ceil, without padding": lambda x: functional.avg_pool2d(
        x, 3, 2, ceil_mode=True, count_include_pad=False
    ),
    "adaptive": lambda x: functional.adaptive_avg_pool2d(x, (3, 7)),
    "nearest": lambda x: functional.interpolate(x, scale_factor=1.5),
    "bilinear": lambda x: functional.interpolate(x, size=(9, 11), mode="bilinear", align_corners=False),
    "bicubic": lambda x: functional.interpolate(x, size=(9, 11), mode="bicubic"),
    "dilated": lambda x: functional.conv2d(x, torch.ones(2, 3, 3, 3), dilation=2, padding=2, stride=(2, 1)),
    "one axis": lambda x: functional.conv1d(x.flatten(2), torch.ones(2, 3, 5), stride=3, padding=1),
    "layer norm": lambda x: functional.layer_norm(x, x.shape[2:]),
    "group norm": lambda x: functional.group_norm(x.repeat(1, 2, 1, 1), 2),
    "attention": lambda x: functional.scaled_dot_product_attention(x, x + 1, x * 2),
    "windows": lambda x: x.reshape(-1, 3, 4, 4, 5, 4).permute(0, 2, 4, 1, 3, 5).roll((1, -2), (1, 2)),
    "unfold": lambda x: functional.unfold(x, 3, stride=2),
    "split": lambda x: torch.cat([part * (i + 1) for i, part in enumerate(x.chunk(3, 1))], 1),
    "slices": lambda x: x[:, ::2, 1:-1, 3:].flip(3) - x[:, :2, 2:, :17],
    "activations": lambda x: functional.silu(x) + functional.gelu(x) + functional.elu(x) + functional.mish(x),
    "more activations": lambda x: functional.softplus(x) + torch.tanh(x) + functional.gelu(x, approximate="tanh"),
    "clipped": lambda x: (
        functional.relu6(x) + functional.hardsigmoid(x) + functional.leaky_relu(x, 0.2) + x.clamp(-0.5)
    ),
    "figures": lambda x: torch.cat([x.std((2, 3)), x.amax((2, 3)), x.norm(dim=(2, 3)), x.var(1).flatten(1)], 1),
    "padded": lambda x: functional.pad(x, (1, 2, 0, 3), value=0.5),
    "reflected": lambda x: functional.pad(x, (1, 2, 2, 3), mode="reflect"),
    "pixels shuffled": lambda x: functional.pixel_shuffle(x.repeat(1, 4, 1, 1), 2),
    "products": lambda x: torch.einsum("nchw,ndhw->ncd", x, x.abs().log1p()) / 100,
    "compared": lambda x: torch.where((x > 0) & ~(x > 1), x, x.square()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_steps_are_pytorchs(name):
    module = Calls(FUNCTIONS[name])
    assert_close(Classifier.from_torch(module, **FACTS), module)


def test_what_is_not_known_names_itself_and_a_way_out():
    with pytest.raises(ValueError, match=r"uses aten\.\w+.*, which is not known here; Classifier\.from_black_box asks"):
        Classifier.from_torch(Calls(lambda x: torch.linalg.inv(x[..., :16])), **FACTS)
    with pytest.raises(
        ValueError, match=r"takes a step that is not known here \(a transposed convolution\); Classifier"
    ):
        Classifier.from_torch(Calls(lambda x: functional.conv_transpose2d(x, torch.ones(3, 2, 2, 2))), **FACTS)
    with pytest.raises(ValueError, match=r"^torch\.export cannot export the module \(.*\); Classifier\.from_black_box"):
        Classifier.from_torch(Calls(lambda x: x if x.sum() > 0 else -x), **FACTS)
    with pytest.raises(ValueError, match=r"must return logits \[N, K\]"):
        Classifier.from_torch(nn.Flatten(0), **FACTS)


def test_logits_that_are_not_pytorchs_are_refused(monkeypatch):
    from xaijax.classifier.exported.operators import OPERATORS, Tensor

    monkeypatch.setitem(OPERATORS, "relu", lambda x, *, dtype: Tensor(x.array, x.is_last))
    with pytest.raises(ValueError, match=r"logits differ from PyTorch's by \d"):
        Classifier.from_torch(Small(), **FACTS)
