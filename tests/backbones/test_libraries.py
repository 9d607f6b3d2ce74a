"""Libraries that are missing, or built for another torch."""

import sys
import warnings
from pathlib import Path

import pytest

from ssl_video.backbones import create
from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError

# What a CUDA torchvision beside a CPU-only torch raises.
BROKEN = 'raise RuntimeError("operator torchvision::nms does not exist")\n'


def replace(package: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a package that runs `code` on import in the place of an installed one."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(code)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    ("package", "name"), [("torchvision", "r3d_18"), ("pytorchvideo", "slow_r50"), ("timm", "timm/resnet10t")]
)
def test_torchvision_for_another_torch(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(package, BROKEN, tmp_path, monkeypatch)
    with pytest.raises(InputError) as caught:
        create(name, 5, frames=8, size=32)
    assert f"{package} is installed but cannot be imported (operator torchvision::nms does" in str(
        caught.value
    )
    assert "pip install --upgrade --force-reinstall torch torchvision" in str(caught.value)


def test_missing_package_and_missing_dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="timm is not installed: pip install timm"):
        create("timm/resnet10t", 5)
    replace("pytorchvideo", "import absent_dependency\n", tmp_path, monkeypatch)
    with pytest.raises(InputError, match="pytorchvideo cannot be imported, as absent_dependency is not"):
        create("slow_r50", 5)


def test_a_part_that_another_version_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace("pytorchvideo", "import email.absent\n", tmp_path, monkeypatch)
    # "pip install email.absent" would be a wrong remedy.
    with pytest.raises(InputError, match=r"installed but cannot be imported \(No module named 'email"):
        create("slow_r50", 5)


def test_only_the_warning_about_torch_jit_is_silenced() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with importing("something"):
            warnings.warn("`torch.jit.script` is deprecated. Please switch", FutureWarning, stacklevel=1)
            warnings.warn("another thing is deprecated", FutureWarning, stacklevel=1)
        warnings.warn("`torch.jit.script` is deprecated. Please switch", FutureWarning, stacklevel=1)
    assert [str(w.message).split()[0] for w in seen] == ["another", "`torch.jit.script`"]
