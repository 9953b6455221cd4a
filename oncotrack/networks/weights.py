"""Trained weights on disk: safetensors files with the network's configuration, checked before they are used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from oncotrack.atomic import replacing
from oncotrack.errors import InputError, WeightsError
from oncotrack.networks.devices import device as chosen_device
from oncotrack.resources import resource

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance

FOLDER_VARIABLE = "ONCOTRACK_WEIGHTS"
_FORMAT = "oncotrack weights 1"
Config = TypeVar("Config", bound="DataclassInstance")
Network = TypeVar("Network", bound="torch.nn.Module")


@dataclass(frozen=True)
class Weights:
    """The content of a weights file.

    Parameters
    ----------
    system : str
        Which network ("lntracker", ...).
    config : dict
        The fields of the network's configuration.
    about : dict
        How it was trained: data, seeds, steps, device.
    state : dict of str to Tensor
        The network's parameters and buffers.
    sha256 : str
        Of the whole file; part of the provenance of every result.
    """

    system: str
    config: dict[str, Any]
    about: dict[str, Any]
    state: dict[str, torch.Tensor]
    sha256: str

    def config_as(self, kind: type[Config]) -> Config:
        """Return the configuration as a dataclass.

        Parameters
        ----------
        kind : type
            The dataclass.

        Raises
        ------
        WeightsError
            Its fields are not those of the file.
        """
        known = {field.name for field in fields(kind)}
        if set(self.config) != known:
            differing = ", ".join(sorted(set(self.config) ^ known))
            raise WeightsError(
                f"These {self.system} weights were made by another version of OncoTrack (they differ in {differing}). "
                "Use the weights that came with this version."
            )
        return kind(**{name: _tuples(value) for name, value in self.config.items()})

    def fill(self, network: torch.nn.Module) -> None:
        """Load the weights into a network.

        Parameters
        ----------
        network : torch.nn.Module
            Receives the weights.

        Raises
        ------
        WeightsError
            They belong to another network.
        """
        try:
            network.load_state_dict(self.state)
        except RuntimeError as error:
            raise WeightsError(
                f"The weights of {self.system} do not fit its network. Install OncoTrack again."
            ) from error


@dataclass(frozen=True)
class TrainedNetwork(Generic[Config, Network]):
    """A network filled with its trained weights, on its device and in evaluation mode.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    config : dataclass
        The configuration that the network was built from.
    device : torch.device
        Where the network is.
    about : dict
        How it was trained; see `Weights`.
    sha256 : str
        Of the weights file.
    """

    network: Network
    config: Config
    device: torch.device
    about: dict[str, Any]
    sha256: str


def load_network(
    path: str | Path, system: str, config_class: type[Config], build: Callable[[Config], Network], device: str = "auto"
) -> TrainedNetwork[Config, Network]:
    """Build the network that a weights file belongs to and fill it.

    Parameters
    ----------
    path : path
        The weights file; `bundled` finds those of this package.
    system : str
        Which network ("lntracker", ...).
    config_class : type
        Dataclass of the network's configuration.
    build : callable
        Returns the network of a configuration, most often the network's class.
    device : str
        "auto", "cpu", "cuda" or "mps".

    Returns
    -------
    TrainedNetwork
        Ready for inference.

    Raises
    ------
    InputError
        The device is unknown or this computer does not have it.
    WeightsError
        The weights are missing, damaged, altered, of another system or of another version.
    """
    chosen = chosen_device(device)
    weights = load(path, system)
    config = weights.config_as(config_class)
    network = build(config)
    weights.fill(network)
    network.to(chosen).eval()
    return TrainedNetwork(network, config, chosen, weights.about, weights.sha256)


def check_config(title: str, config: str, configs: Iterable[str]) -> None:
    """Check that a system has a configuration of this name.

    Parameters
    ----------
    title : str
        The system's name in the message.
    config : str
        Name of the configuration.
    configs : iterable of str
        The names that it has.

    Raises
    ------
    InputError
        It has none of this name; the message lists those that it has.
    """
    names = list(configs)
    if config not in names:
        raise InputError(f'{title} has no config "{config}". Choose {" or ".join(names)}.', parameter="config")


def _tuples(value: Any) -> Any:
    """Turn the lists that JSON makes of tuples back into tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def bundled(system: str, config: str) -> Path:
    """Return the path of a system's weights: in the folder ``ONCOTRACK_WEIGHTS``, otherwise those of the package.

    Parameters
    ----------
    system : str
        Which network ("lntracker", ...).
    config : str
        Name of its configuration.
    """
    name = f"{system}-{config}.safetensors"
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen and (path := Path(chosen) / name).is_file():
        return path
    return resource("weights", name)


def save(
    path: str | Path, system: str, config: DataclassInstance, state: Mapping[str, torch.Tensor], about: Mapping
) -> Path:
    """Write weights, atomically.

    Parameters
    ----------
    path : path
        The file to write.
    system : str
        Which network ("lntracker", ...).
    config : dataclass
        The network's configuration.
    state : mapping of str to Tensor
        The network's parameters and buffers.
    about : mapping
        How it was trained; can be written as JSON.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    metadata = {
        "format": _FORMAT,
        "system": system,
        "config": json.dumps(asdict(config), sort_keys=True),
        "about": json.dumps(dict(about), sort_keys=True),
        "digest": _digest(tensors),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)
        temporary.chmod(0o644)  # safetensors makes files readable by their owner only
    return Path(path)


def load(path: str | Path, system: str) -> Weights:
    """Read weights.

    Parameters
    ----------
    path : path
        The file to read.
    system : str
        Which network ("lntracker", ...).

    Raises
    ------
    WeightsError
        The file is missing, damaged, altered since it was written, or belongs to another system.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f"The trained weights {path.name} are not in {path.parent}. Install OncoTrack again, set {FOLDER_VARIABLE} to "
            f"the folder that holds them, or train them with: oncotrack train {system.partition('-')[0]}."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"The weights {path} are damaged. Install them again.") from error
    if metadata.get("format") != _FORMAT or metadata.get("system") != system:
        raise WeightsError(
            f"{path} holds no {system} weights of this version of OncoTrack (its system is: "
            f"{metadata.get('system', 'unknown')}). Choose a file of {system} weights."
        )
    if metadata.get("digest") != _digest(state):
        raise WeightsError(f"The weights {path} were altered after training. Install them again.")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Weights(system, json.loads(metadata["config"]), json.loads(metadata["about"]), state, sha256)


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().flatten().view(_bytes()).numpy().tobytes())
    return digest.hexdigest()


def _bytes() -> torch.dtype:
    import torch

    return torch.uint8
