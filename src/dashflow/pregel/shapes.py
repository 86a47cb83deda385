"""How parts of a stream look to who asked for them: bare, with their mode and namespace, or as dicts (v2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dashflow._util.reserved import INTERRUPT
from dashflow.constants import START
from dashflow.engine.parts import SUPPORTED, Part

Mapper = Callable[[Any], Any]


def modes_of(given: str | Sequence[str]) -> frozenset[str]:
    """The modes that were asked for.

    Raises:
        ValueError: There is no such mode.
    """
    names = frozenset((given,) if isinstance(given, str) else given)
    if unknown := names - SUPPORTED:
        raise ValueError(
            f"Stream mode {', '.join(sorted(unknown))!r} is not known; there are "
            f"{', '.join(sorted(SUPPORTED))}."
        )
    return names


class Shape:
    """What a caller asked for.

    Args:
        mode: One mode, or several.
        printed: Modes to print.
        subgraphs: Whether parts come with their graph's namespace.
        version: ``v1`` or ``v2``.
        output_mapper: Makes an object of a graph's output, for ``v2``.
        state_mapper: The same of its state.

    Attributes:
        modes: All modes to listen to.
    """

    def __init__(
        self,
        mode: str | Sequence[str],
        printed: str | Sequence[str],
        *,
        subgraphs: bool,
        version: str,
        output_mapper: Mapper | None = None,
        state_mapper: Mapper | None = None,
    ) -> None:
        self._shown = modes_of(mode)
        self._printed = modes_of(printed)
        self.modes = self._shown | self._printed
        self._several = not isinstance(mode, str)
        self._subgraphs = subgraphs
        self._typed = version == "v2"
        self._output_mapper = output_mapper
        self._state_mapper = state_mapper

    def show(self, part: Part) -> Iterator[Any]:
        """The part as the caller wants it, if it wants it."""
        namespace, mode, data = part
        if mode in self._printed:
            _print(namespace if self._subgraphs else (), mode, data)
        if mode not in self._shown:
            return
        if self._typed:
            yield self._dict(namespace, mode, data)
        elif self._subgraphs:
            yield (namespace, mode, data) if self._several else (namespace, data)
        else:
            yield (mode, data) if self._several else data

    def _dict(self, namespace: tuple[str, ...], mode: str, data: Any) -> dict[str, Any]:
        part = {"type": mode, "ns": namespace, "data": data}
        if mode == "values":
            interrupts: Any = ()
            if isinstance(data, dict):
                data = dict(data)
                interrupts = data.pop(INTERRUPT, ())
                part["data"] = self._output_mapper(data) if self._output_mapper else data
            return {**part, "interrupts": interrupts}
        if self._state_mapper and mode in ("checkpoints", "debug"):
            part["data"] = _with_mapped_values(data, self._state_mapper)
        return part


def _with_mapped_values(data: Any, mapper: Mapper) -> Any:
    """The checkpoint with its values as an object; the first one, which has not all keys yet, as it is."""
    if not isinstance(data, dict):
        return data
    if data.get("type") == "checkpoint":
        return {**data, "payload": _with_mapped_values(data.get("payload"), mapper)}
    if isinstance(data.get("values"), dict) and START not in data.get("next", ()):
        return {**data, "values": mapper(data["values"])}
    return data


def _print(namespace: tuple[str, ...], mode: str, data: Any) -> None:
    from dashflow.pregel.debug import get_bolded_text, get_colored_text

    parts = [get_bolded_text(f"[{mode}]")]
    if namespace:
        parts.append(get_colored_text(f"[graph={namespace}]", "yellow"))
    print(*parts, repr(data))  # noqa: T201  # printing is what was asked for
