"""The codec and classes: which are revived, how without running their code, and as what otherwise."""

import enum
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Annotated, Any, Generic, NamedTuple, Optional, TypeVar

import msgspec
import ormsgpack
import pydantic
import pydantic.v1
import pytest
from typing_extensions import TypedDict

from dashflow.errors import ValueCodecError
from dashflow.log.codec import Opaque, Registry, decode, encode, type_name
from dashflow.log.codec.codes import DATACLASS, ENUM, PYDANTIC, STRUCT

pytestmark = pytest.mark.feature("NEW-11")

T = TypeVar("T")


def stored(code: int, name: str, fields: Any, *rest: Any) -> bytes:
    """What another program stored of a class of that name."""
    return ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb([name, fields, *rest])))


def name_here(name: str) -> str:
    return f"{__name__}:{name}"


# -- who may be revived -------------------------------------------------------------------------


def test_a_class_that_nobody_registered_is_refused_by_name_and_place():
    data = ormsgpack.packb(
        {"plan": [1, ormsgpack.Ext(DATACLASS, ormsgpack.packb(["app.state:Plan", {"a": 1}]))]}
    )
    with pytest.raises(ValueCodecError, match=r"'app\.state:Plan', which is not registered here") as caught:
        decode(data)
    assert caught.value.data["path"] == "plan[1]"
    assert str(caught.value).startswith("Value at 'plan[1]': ")


def test_naming_a_class_that_can_be_imported_imports_nothing():
    program = """
import sys, ormsgpack
from dashflow.log.codec import decode
from dashflow.errors import ValueCodecError
for name in ("colorsys:rgb_to_hsv", "subprocess:Popen", "builtins:eval", "os:system"):
    for code in (*range(1, 128),):
        data = ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb([name, {"args": "true"}])))
        try:
            decode(data)
        except ValueCodecError:
            continue
        assert code in {1, 2, 16, 17, 18, 24, 25, 26}, code  # plain values of these bytes
assert "colorsys" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@dataclass
class Inner:
    value: int = 0


class Colour(enum.Enum):
    RED = "r"


class Plan(msgspec.Struct):
    inner: Inner | None = None


class Deep(pydantic.BaseModel):
    colours: dict[str, list[Colour]] = {}


@dataclass
class Box(Generic[T]):
    content: T
    again: Optional["Box[int]"] = None


class Pair(NamedTuple):
    one: Plan
    two: Any


class Label(str):
    __slots__ = ()


class Nested(TypedDict, total=False):
    deep: Deep


class State(TypedDict):
    plans: Annotated[Sequence[Plan], lambda old, new: new]
    nested: Nested
    box: Box[Pair]
    label: Label | None


def test_a_schema_registers_every_class_that_it_mentions():
    registry = Registry()
    registry.register_schema(State)
    expected = {type_name(kind) for kind in (Inner, Colour, Plan, Deep, Box, Pair, Label)}
    assert registry.names == expected
    registry.register_schema(State)
    assert registry.names == expected
    assert registry.find(type_name(Plan)) is Plan
    assert registry.find("app:Unknown") is None


def test_a_schema_with_names_that_only_checkers_know_registers_the_rest():
    @dataclass
    class Partly:
        known: Inner
        unknown: "OnlyForCheckers"  # noqa: F821

    registry = Registry()
    registry.register_schema(dict[str, Partly])
    assert type_name(Partly) in registry.names
    assert type_name(Inner) in registry.names


def test_another_process_revives_what_its_registry_has():
    program = """
import sys
sys.modules["writer"] = sys.modules["__main__"]
from dataclasses import dataclass
from dashflow.log.codec import encode, decode, Registry, Opaque
@dataclass
class Plan:
    steps: list
Plan.__module__ = "writer"
if sys.argv[1] == "write":
    print(encode({"plan": Plan([1, (2,)])}).hex())
else:
    data = bytes.fromhex(sys.argv[1])
    assert decode(data, Registry([Plan])) == {"plan": Plan([1, (2,)])}
    seen = decode(data, unknown="opaque")["plan"]
    assert seen.type_name == "writer:Plan" and seen.fields == {"steps": [1, (2,)]}
    assert encode({"plan": seen}) == data
"""
    written = subprocess.run(
        [sys.executable, "-c", program, "write"], capture_output=True, text=True, check=True
    )
    subprocess.run([sys.executable, "-c", program, written.stdout.strip()], check=True)


def test_what_this_process_stored_it_can_read():
    @dataclass
    class Local:
        value: int

    assert decode(encode(Local(1))) == Local(1)


def test_a_registered_class_may_be_a_defaultdicts_factory():
    data = encode(defaultdict(Inner, {"a": Inner(1)}))
    back = decode(data, Registry([Inner]))
    assert back["b"] == Inner(0)
    with pytest.raises(ValueCodecError, match="is a defaultdict whose factory is <function"):
        encode({"counts": defaultdict(lambda: 1)})


# -- opaque -------------------------------------------------------------------------------------

UNKNOWN = [
    stored(DATACLASS, "app:Plan", {"a": [1, 2]}),
    stored(ENUM, "app:Colour", {"name": "RED"}),
    stored(PYDANTIC, "app:Model", {"x": 1}, ["x"], {"more": 2}),
    stored(STRUCT, "app:Struct", {}),
]


@pytest.mark.parametrize("data", UNKNOWN)
def test_an_unknown_class_can_be_looked_at_and_stored_again(data):
    seen = decode(data, unknown="opaque")
    assert isinstance(seen, Opaque)
    assert seen.type_name.startswith("app:")
    assert encode(seen) == data
    assert encode({"a": [seen, (seen,)]}) == encode(decode(encode({"a": [seen, (seen,)]}), unknown="opaque"))
    assert decode(encode({seen}), unknown="opaque") == {seen}


def test_an_opaque_value_shows_its_fields_and_is_frozen():
    inner = ormsgpack.Ext(ENUM, ormsgpack.packb(["app:Colour", {"name": "RED"}]))
    data = ormsgpack.packb(ormsgpack.Ext(DATACLASS, ormsgpack.packb(["app:Plan", {"colour": inner}])))
    seen = decode(data, unknown="opaque")
    assert repr(seen) == "Opaque('app:Plan', {'colour': Opaque('app:Colour', {'name': 'RED'})})"
    for change in (lambda: setattr(seen, "fields", 1), lambda: delattr(seen, "fields")):
        with pytest.raises(AttributeError, match="Opaque is frozen"):
            change()


# -- no code runs -------------------------------------------------------------------------------

ran: list[str] = []


@dataclass
class Busy:
    value: int
    extra: InitVar[int] = 0

    def __post_init__(self, extra):
        ran.append("__post_init__")
        self.derived = self.value * 2

    def __setattr__(self, name, value):
        ran.append("__setattr__")
        object.__setattr__(self, name, value)

    def __setstate__(self, state):
        ran.append("__setstate__")

    @property
    def trap(self):
        return 0

    @trap.setter
    def trap(self, value):
        ran.append("property")

    @cached_property
    def costly(self):
        return object()


class Checked(pydantic.BaseModel):
    value: int

    @pydantic.field_validator("value")
    @classmethod
    def check(cls, value):
        ran.append("validator")
        return value


def test_reviving_runs_no_constructor_validator_or_property():
    busy = Busy(3)
    assert busy.costly
    model = Checked(value=1)
    data = [encode(busy), encode(model)]
    ran.clear()
    revived = decode(data[0])
    assert (revived.value, revived.derived) == (3, 6)
    assert "costly" not in vars(revived)
    assert decode(data[1]) == model
    decode(stored(DATACLASS, name_here("Busy"), {"value": 1, "trap": 2, "__class__": 3, "__dict__": {}}))
    assert ran == []


class WithPrivate(pydantic.BaseModel):
    value: int
    _client: Any = pydantic.PrivateAttr(default_factory=object)
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)

    def model_post_init(self, context):
        self._seen.append(self.value)


def test_a_models_private_attributes_are_built_again_and_not_stored():
    model = WithPrivate(value=4)
    revived = decode(encode(model))
    assert (revived.value, revived._seen) == (4, [4])
    assert revived._client is not model._client


# -- classes that changed -----------------------------------------------------------------------


@dataclass(slots=True)
class Slotted:
    kept: int
    new: list[int] = field(default_factory=list)


@dataclass
class Grown:
    kept: int
    new: str = "default"


class GrownStruct(msgspec.Struct):
    kept: int
    new: str = "default"


class GrownTuple(NamedTuple):
    kept: int
    new: str = "default"


class GrownModel(pydantic.BaseModel):
    kept: int
    new: list[int] = pydantic.Field(default_factory=lambda: [7])
    later: int = pydantic.Field(default_factory=lambda values: values["kept"] + 1)


class GrownV1(pydantic.v1.BaseModel):
    kept: int
    new: list[int] = [1]


REGISTRY = Registry([Slotted, Grown, GrownStruct, GrownTuple, GrownModel, GrownV1])


@pytest.mark.parametrize(
    "kind", [Slotted, Grown, GrownStruct, GrownTuple, GrownModel, GrownV1], ids=lambda kind: kind.__name__
)
def test_a_field_the_class_got_since_has_its_default_and_one_it_lost_is_dropped(kind):
    code = encode(kind(kept=1))[2] if encode(kind(kept=1))[0] == 0xC7 else None
    rest = [["kept"]] if issubclass(kind, pydantic.v1.BaseModel) else []
    data = stored(code, name_here(kind.__name__), {"kept": 1, "lost": 2}, *rest)
    revived = decode(data, REGISTRY)
    assert type(revived) is kind
    assert revived == kind(kept=1) or vars(revived) == {**vars(kind(kept=1)), "lost": 2}
    assert revived.new == kind(kept=1).new


@pytest.mark.parametrize("kind", [Slotted, Grown, GrownStruct, GrownTuple, GrownModel, GrownV1])
def test_a_field_the_class_needs_and_the_data_lacks_is_an_error(kind):
    code = encode(kind(kept=1))[2]
    data = stored(code, name_here(kind.__name__), {"new": None}, *([[]] if kind is GrownV1 else []))
    with pytest.raises(ValueCodecError, match="kept"):
        decode(data, REGISTRY)


def test_an_enums_lost_member_and_a_class_of_another_sort_are_errors():
    with pytest.raises(ValueCodecError, match="is damaged: KeyError: 'GREEN'"):
        decode(stored(ENUM, name_here("Colour"), {"name": "GREEN"}), Registry([Colour]))
    with pytest.raises(ValueCodecError, match=r"was stored when .*Colour' was another sort of class"):
        decode(stored(DATACLASS, name_here("Colour"), {"name": "RED"}), Registry([Colour]))


class OldModel(pydantic.v1.BaseModel):
    value: Any


def test_models_of_pydantic_1_survive():
    model = OldModel(value=(1, Inner(2)))
    assert decode(encode(model)) == model


class Ints(pydantic.RootModel[list[int]]):
    pass


class Holder(pydantic.BaseModel, Generic[T]):
    item: T


def test_root_and_generic_models_survive():
    for model in (Ints([1, 2]), Holder[int](item=1), Holder[Inner](item=Inner(1))):
        assert decode(encode(model)) == model


def test_defaults_of_revived_values_are_their_own():
    data = stored(PYDANTIC, name_here("GrownModel"), {"kept": 1})
    first, second = decode(data, REGISTRY), decode(data, REGISTRY)
    first.new.append(8)
    assert (second.new, second.later) == ([7], 2)
