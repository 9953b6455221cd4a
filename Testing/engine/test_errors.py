"""Errors have a message, and the parameter that the command line can name as an option."""

from __future__ import annotations

import copy
import pickle

import pytest

from oncotrack.errors import Cancelled, InputError, OncoTrackError
from oncotrack.networks.devices import device


def test_an_error_has_a_message_and_may_name_a_parameter():
    assert (str(InputError("Too small.")), InputError("Too small.").parameter) == ("Too small.", "")
    for error in (InputError("Too small.", parameter="size"), Cancelled(), OncoTrackError("Stopped.")):
        for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(again), str(again), again.parameter) == (type(error), str(error), error.parameter)


@pytest.mark.parametrize(("name", "message"), [("gpu", 'no device "gpu"'), ("mps", "no mps device")])
def test_a_missing_device_is_refused_without_naming_an_option(name, message, monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(InputError, match=message) as caught:
        device(name)
    assert caught.value.parameter == "device" and "--" not in str(caught.value)
