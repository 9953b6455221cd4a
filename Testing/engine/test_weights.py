"""Weights files: saved weights are restored, any other file is refused with a message."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save_file

from oncotrack.errors import InputError, WeightsError
from oncotrack.networks import weights
from oncotrack.networks.foreign_weights import load_foreign


@dataclass(frozen=True)
class Small:
    width: int = 3
    levels: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Other:
    width: int = 3


@pytest.fixture
def saved(tmp_path):
    state = {"a.weight": torch.randn(3, 2), "n": torch.tensor(7), "half": torch.ones(2, dtype=torch.bfloat16)}
    return weights.save(tmp_path / "x.safetensors", "toy", Small(5), state, {"steps": 10}), state


def test_saved_weights_are_restored(saved):
    path, state = saved
    loaded = weights.load(path, "toy")
    assert loaded.config_as(Small) == Small(5)
    assert loaded.about == {"steps": 10}
    assert all(torch.equal(loaded.state[name], value) for name, value in state.items())
    assert len(loaded.sha256) == 64


def test_a_network_is_built_from_its_file_and_ready_to_infer(tmp_path):
    def build(config: Small) -> torch.nn.Module:
        return torch.nn.Linear(config.width, len(config.levels))

    network = build(Small(5))
    path = weights.save(tmp_path / "x.safetensors", "toy", Small(5), network.state_dict(), {"steps": 10})
    trained = weights.load_network(path, "toy", Small, build, "cpu")
    assert torch.equal(trained.network.weight, network.weight) and not trained.network.training
    assert trained.config == Small(5) and trained.about == {"steps": 10} and trained.device.type == "cpu"
    assert trained.sha256 == weights.load(path, "toy").sha256
    with pytest.raises(WeightsError, match="do not fit its network"):
        weights.load_network(path, "toy", Small, lambda config: torch.nn.Linear(1, config.width), "cpu")


def test_an_unknown_config_is_refused_and_the_known_ones_are_listed():
    weights.check_config("The toy", "small", {"small": Small(), "wide": Small(9)})
    with pytest.raises(InputError, match='The toy has no config "large"') as caught:
        weights.check_config("The toy", "large", {"small": Small(), "wide": Small(9)})
    assert str(caught.value).endswith("Choose small or wide.") and caught.value.parameter == "config"


def test_another_system_or_config_is_refused(saved):
    path, _ = saved
    with pytest.raises(WeightsError, match="holds no other weights"):
        weights.load(path, "other")
    with pytest.raises(WeightsError, match="differ in levels"):
        weights.load(path, "toy").config_as(Other)


def test_weights_of_other_programs_are_read_as_tensors_only(tmp_path):
    state = {"conv1.weight": torch.randn(2, 3)}
    torch.save(state, tmp_path / "theirs.pth")
    save_file(state, tmp_path / "theirs.safetensors")
    for name in ("theirs.pth", "theirs.safetensors"):
        assert torch.equal(load_foreign(tmp_path / name)["conv1.weight"], state["conv1.weight"])
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    torch.save({"code": weights.load}, tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for name in ("epoch.pth", "code.pth", "text.pth", "table.csv", "none.pth"):
        with pytest.raises(WeightsError, match=name):
            load_foreign(tmp_path / name)


def test_missing_damaged_and_altered_files_are_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(WeightsError, match="oncotrack train toy"):
        weights.load(tmp_path / "nowhere.safetensors", "toy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    altered = tmp_path / "altered.safetensors"
    altered.write_bytes(content)
    with pytest.raises(WeightsError, match="altered"):
        weights.load(altered, "toy")
    altered.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="damaged"):
        weights.load(altered, "toy")


def test_a_folder_can_replace_the_bundled_weights(saved, tmp_path, monkeypatch):
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    assert weights.bundled("toy", "compact").parent.name == "weights"
    (tmp_path / "toy-compact.safetensors").write_bytes(saved[0].read_bytes())
    assert weights.bundled("toy", "compact").parent == tmp_path
