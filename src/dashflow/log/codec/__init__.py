"""Values as bytes and back: the strict codec of the log. Data only.

What can be stored: None, bool, int, float, str, bytes, list and dict; tuple, set, frozenset, range, complex,
deque, defaultdict, OrderedDict, Counter; dates, times, time zones, UUID, Decimal, Fraction, paths, IP
addresses, compiled patterns; numpy arrays and scalars of plain data; Enum, NamedTuple, dataclass,
msgspec.Struct and pydantic (1 and 2) instances; subclasses of built-in types; LangChain's messages and
documents; Send, Command, Interrupt, Overwrite; and exceptions, as a description. Anything else is refused
when it is written, with its place in the value: what is in the log can be read again.

What decoding does: it makes these types and instances of registered classes, by filling their fields. It
imports nothing that the data names, and hostile data raises ``ValueCodecError`` and nothing else.

What does not come back as it was: bytearray and memoryview come back as bytes; exceptions as a
``RecordedError``; private attributes of pydantic models are built anew, as their class does; and what a
``cached_property`` holds is left out.

The format is MessagePack; kinds beyond it are extensions whose numbers are in ``codes``.
"""

from dashflow.log.codec.opaque import Opaque, RecordedError
from dashflow.log.codec.reader import decode
from dashflow.log.codec.registry import Registry, type_name
from dashflow.log.codec.writer import encode

__all__ = ("Opaque", "RecordedError", "Registry", "decode", "encode", "type_name")
