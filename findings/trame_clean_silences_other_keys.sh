#!/usr/bin/env bash
# trame-server 4.1.0: `State.clean(a)` also silences the change listeners of every other variable that was changed before it.
#
# `clean` is documented to keep the named variables from being sent and their listeners from being called. Called between a
# change and the flush, it forgets the pending listeners of all variables: the value of another variable still reaches the
# page, but the functions that `state.change` registered for it on the server are not called. After a change that follows
# `clean` they are called as usual.
#
# Output seen:
#   b changed, nothing cleaned: sent ['b'], listener called 1 time
#   b changed, then a changed and cleaned: sent ['b'], listener called 0 times
#   a changed and cleaned, then b changed: sent ['b'], listener called 1 time
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "trame-server==4.1.0"
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
from trame_server.state import State

sent = []
called = []
state = State(commit_fn=lambda values: sent.extend(sorted(values)), ready=True)
state.change("b")(lambda b, **_others: called.append(b))
with state:
    state.a = state.b = 0


def times(what, act):
    sent.clear()
    called.clear()
    with state:
        act()
    print(f"{what}: sent {sent}, listener called {len(called)} time{'' if len(called) == 1 else 's'}")
    return list(sent), len(called)


def only_b():
    state.b = 1


def b_then_clean_a():
    state.b = 2
    state.a = 2
    state.clean("a")


def clean_a_then_b():
    state.a = 3
    state.clean("a")
    state.b = 3


assert times("b changed, nothing cleaned", only_b) == (["b"], 1)
assert times("b changed, then a changed and cleaned", b_then_clean_a) == (["b"], 0)
assert times("a changed and cleaned, then b changed", clean_a_then_b) == (["b"], 1)
PYTHON
