"""A thread's state under other names: nodes and keys that were renamed, keys that were dropped. Pure.

Everything in a state that says the name of a node or channel is renamed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow.core.fingerprint import JOIN
from dashflow.core.kept import Values
from dashflow.core.moved import Moved
from dashflow.core.written import resolve
from dashflow.types.commands import Send

Writes = list[tuple[str, Any]]


class Renaming:
    """New names for old ones.

    Args:
        nodes: Of nodes.
        keys: Of keys of the state.
    """

    def __init__(self, nodes: Mapping[str, str], keys: Mapping[str, str]) -> None:
        self._nodes = nodes
        self._keys = keys

    def node(self, name: str) -> str:
        """A node."""
        return self._nodes.get(name, name)

    def channel(self, name: str) -> str:
        """A channel: a key, what wakes a node, or where one waits for several."""
        if name.startswith(BRANCH_TO):
            return f"{BRANCH_TO}{self.node(name.removeprefix(BRANCH_TO))}"
        if name.startswith(JOIN):
            starts, _, end = name.removeprefix(JOIN).rpartition(":")
            return f"{JOIN}{'+'.join(map(self.node, starts.split('+')))}:{self.node(end)}"
        return self._keys.get(name, name)

    def task(self, key: str) -> str:
        """A task's key: that of a node, perhaps followed by what it called."""
        for mark in (">", "|"):
            root, found, rest = key.partition(mark)
            if found:
                return f"{self.task(root)}{mark}{rest}"
        return self.node(key)

    def value(self, channel: str, value: Any) -> Any:
        """What a channel holds, where that has names of nodes in it; ``channel`` by its old name."""
        if channel == TASKS and isinstance(value, list):
            return [self.packet(one) for one in value]
        if channel.startswith(JOIN):
            if isinstance(value, set | frozenset):
                return {self.node(one) for one in value}
            if isinstance(value, tuple) and len(value) == 2:
                return ({self.node(one) for one in value[0]}, value[1])
        return value

    def packet(self, value: Any) -> Any:
        """Work that was sent to a node."""
        if not isinstance(value, Send) or value.node not in self._nodes:
            return value
        return Send(self.node(value.node), value.arg, timeout=value.timeout)

    def writes(self, writes: Iterable[tuple[str, Any]]) -> Writes:
        """What a task wrote."""
        return [
            (self.channel(chan), self.node(value) if chan.startswith(JOIN) else self._written(chan, value))
            for chan, value in writes
        ]

    def _written(self, channel: str, value: Any) -> Any:
        return self.packet(value) if channel == TASKS else value


def renamed(state: Any, event: Moved) -> Any:
    """The state (``dashflow.core.fold.ThreadState``) after a thread was moved."""
    to = Renaming(event.nodes, event.keys)
    dropped = set(event.dropped)
    values = type(state.values)(_values(state.values, to, dropped))
    values.update(event.put)
    versions = {to.channel(name): number for name, number in state.versions.items() if name not in dropped}
    for name in event.put:
        versions.setdefault(name, max(versions.values(), default=1))
    return msgspec.structs.replace(
        state,
        values=values,
        versions=versions,
        seen={
            to.node(node): {to.channel(name): number for name, number in known.items()}
            for node, known in state.seen.items()
        },
        updated=frozenset(map(to.channel, state.updated - dropped)),
        done={
            to.task(key): to.writes(write for write in writes if write[0] not in dropped)
            for key, writes in state.done.items()
        },
        questions={to.task(key): asked for key, asked in state.questions.items()},
        errors={to.task(key): error for key, error in state.errors.items()},
        handled={to.task(key): error for key, error in state.handled.items()},
        names={to.task(key): to.node(name) for key, name in state.names.items()},
        deltas={to.channel(name): count for name, count in state.deltas.items() if name not in dropped},
        later={to.channel(name): value for name, value in state.later.items() if name not in dropped},
        wrote={
            key: [[to.channel(name), value] for name, value in resolve(writes, state.values)]
            for key, writes in state.wrote.items()
        },
        labels={to.channel(name): label for name, label in state.labels.items() if name not in dropped},
        options=_options(state.options, to),
        former=_former(state, to),
    )


def _values(values: Any, to: Renaming, dropped: set[str]) -> dict[str, Any]:
    """The values by their new names; what is kept stays kept."""
    parts = values.parts() if isinstance(values, Values) else values.items()
    return {
        to.channel(name): to.value(name, values[name]) if name == TASKS or name.startswith(JOIN) else part
        for name, part in parts
        if name not in dropped
    }


def _former(state: Any, to: Renaming) -> dict[str, str]:
    """Old names by new ones; those of names that were renamed before are the oldest."""
    former: dict[str, str] = {}
    woken = (name.removeprefix(BRANCH_TO) for name in state.versions if name.startswith(BRANCH_TO))
    names = [(to.node(name), name) for name in {*state.seen, *state.names.values(), *woken}]
    for new, old in [*names, *((to.channel(name), name) for name in state.versions)]:
        oldest = state.former.get(old, old)
        if oldest != new:
            former[new] = oldest
    return former


def _options(options: dict[str, Any], to: Renaming) -> dict[str, Any]:
    """What the run's caller asked for, with its breakpoints at the new names."""
    points = {
        when: [to.node(name) for name in options[when]]
        for when in ("before", "after")
        if isinstance(options.get(when), list)
    }
    return {**options, **points} if points else options
