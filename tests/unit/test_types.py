"""The vocabulary: commands, sends, interrupts, policies, snapshots."""

import copy
import dataclasses
import pickle
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pydantic
import pytest
import requests
from typing_extensions import TypedDict

import dashflow.constants
import dashflow.types
from dashflow._internal._typing import MISSING as PUBLIC_MISSING
from dashflow._util.scope import CURRENT
from dashflow._util.sentinel import MISSING
from dashflow.errors import (
    NodeTimeoutError,
    is_invalid_resume,
)
from dashflow.managed.base import is_managed_value
from dashflow.managed.is_last_step import IsLastStep, IsLastStepManager, RemainingSteps, RemainingStepsManager
from dashflow.types import (
    CachePolicy,
    Command,
    GraphOutput,
    Interrupt,
    Overwrite,
    RetryPolicy,
    Send,
    StateSnapshot,
    StateUpdate,
    TimeoutPolicy,
    TracePolicy,
    default_cache_key,
    ensure_valid_checkpointer,
    interrupt,
    omit_payload,
)
from dashflow.types.commands import CommandBase
from dashflow.types.interrupts import Terms, response_json_schema, validate_response
from dashflow.warnings import LangGraphDeprecatedSinceV10, LangGraphDeprecatedSinceV11

# -- commands -----------------------------------------------------------------------------------


def test_a_send_is_a_value():
    send = Send("node", {"x": 1})
    assert send == Send("node", {"x": 1})
    assert send != Send("node", {"x": 2})
    assert send != "node"
    assert repr(send) == "Send(node='node', arg={'x': 1})"
    assert hash(Send("a", 1)) == hash(Send("a", 1))
    assert pickle.loads(pickle.dumps(send)) == send
    timed = Send("a", 1, timeout=timedelta(seconds=2))
    assert timed.timeout == TimeoutPolicy(run_timeout=2.0)
    assert repr(timed) == (
        "Send(node='a', arg=1, timeout=TimeoutPolicy(run_timeout=2.0, idle_timeout=None, refresh_on='auto'))"
    )
    assert timed != Send("a", 1)


def test_a_command_is_a_frozen_value_whose_repr_has_what_was_given():
    command = Command(update={"a": 1}, goto=("b",))
    assert repr(command) == "Command(update={'a': 1}, goto=('b',))"
    assert repr(Command()) == "Command()"
    assert command == Command(update={"a": 1}, goto=("b",))
    assert hash(Command(goto="b")) == hash(Command(goto="b"))
    assert Command.PARENT == "__parent__"
    assert dataclasses.replace(command, goto="c") == Command(update={"a": 1}, goto="c")
    assert pickle.loads(pickle.dumps(command)) == command
    with pytest.raises(AttributeError):
        command.update = 1
    with pytest.raises(TypeError):
        Command({"a": 1})


def test_a_command_shows_values_that_have_no_truth():
    class Array:
        def __bool__(self):
            raise ValueError("ambiguous")

        def __repr__(self):
            return "Array()"

    assert repr(Command(update=Array())) == "Command(update=Array())"


class Model(pydantic.BaseModel):
    a: int = 1
    b: int | None = None
    c: int | None = 2


class Child(Model):
    d: str = "d"


@dataclass
class Record:
    a: int = 1
    b: int | None = None


@pydantic.dataclasses.dataclass
class Validated:
    a: int = 1
    b: int | None = None


@pytest.mark.parametrize(
    ("update", "pairs"),
    [
        (None, []),
        ({"a": 1}, [("a", 1)]),
        ([("a", 1), ("a", 2)], [("a", 1), ("a", 2)]),
        ((("a", 1),), [("a", 1)]),
        ([], []),
        (["a"], [("__root__", ["a"])]),
        ([("a", 1, 2)], [("__root__", [("a", 1, 2)])]),
        (5, [("__root__", 5)]),
        (Model(), [("a", 1), ("c", 2)]),
        (Model(b=None, c=None), [("a", 1), ("b", None), ("c", None)]),
        (Child(), [("a", 1), ("c", 2), ("d", "d")]),
        (Record(), [("a", 1), ("b", None)]),
        (Validated(), [("a", 1), ("b", None)]),
    ],
)
def test_a_commands_update_comes_apart(update, pairs):
    assert list(Command(update=update).update_as_tuples()) == pairs
    assert list(Command(update=update)._update_as_tuples()) == pairs


def test_a_class_annotated_with_names_that_only_checkers_know_comes_apart():
    class Update:
        x: "OnlyForCheckers"  # noqa: F821

        def __init__(self):
            self.x = 1

    assert list(Command(update=Update()).update_as_tuples()) == [("x", 1)]


def test_commands_become_what_langchain_looks_for_when_it_is_there():
    program = """
from dashflow.types import Command
from dashflow.types.commands import CommandBase
before = Command(update={"a": 1})
class Mixin: pass
CommandBase.adopt(Mixin)
CommandBase.adopt(Mixin)
assert isinstance(before, Mixin) and isinstance(Command(), Mixin)
assert before == Command(update={"a": 1}) and repr(before) == "Command(update={'a': 1})"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert issubclass(Command, CommandBase)


def test_an_overwrite_and_an_update_are_plain_values():
    assert Overwrite([1]) == Overwrite(value=[1], type="__overwrite__")
    assert dataclasses.asdict(Overwrite(1)) == {"value": 1, "type": "__overwrite__"}
    assert StateUpdate({"a": 1}) == ({"a": 1}, None, None)


# -- interrupts ---------------------------------------------------------------------------------


def test_interrupt_ids_are_those_of_langgraph():
    assert (
        Interrupt.from_ns("q", "a:b|c:d").id
        == Interrupt("q", ns=["a:b", "c:d"], when="during", resumable=True).id
    )
    assert Interrupt("q", ns=["legacy_test"]).id == "f1fa625689ec006a5b32b76863e22a6c"
    assert Interrupt("q").id == "placeholder-id"
    assert Interrupt("q", ns=["x"], id="mine").id == "mine"


def test_an_interrupt_is_a_value():
    asked = Interrupt({"q": 1}, "id")
    assert repr(asked) == "Interrupt(value={'q': 1}, id='id', response_schema=None)"
    assert asked == Interrupt({"q": 1}, "id")
    assert pickle.loads(pickle.dumps(asked)) == asked
    with pytest.warns(LangGraphDeprecatedSinceV10, match="`interrupt_id` is deprecated. Use `id` instead."):
        assert asked.interrupt_id == "id"


@pytest.mark.feature("HIL-001")
def test_asking_outside_of_a_graph_says_so():
    with pytest.raises(RuntimeError, match=r"Called interrupt\(\) outside of a runnable context"):
        interrupt("q")


@pytest.mark.feature("HIL-001")
def test_asking_goes_to_the_task_that_runs():
    class Scope:
        def interrupt(self, value, response_schema, terms):
            return value, response_schema, terms

    here = "test_asking_goes_to_the_task_that_runs"
    token = CURRENT.set(Scope())
    try:
        assert interrupt("q") == ("q", None, Terms(here))
        asked = interrupt("q", response_schema={"type": "string"}, expires=timedelta(minutes=1), default="a")
        assert asked == ("q", {"type": "string"}, Terms(here, expires=60.0, default="a"))
        assert [interrupt(q, bound_to=1)[2] for q in "q"] == [Terms(here, bound_to=1)]
    finally:
        CURRENT.reset(token)


class Decision(TypedDict):
    approved: bool


@pytest.mark.feature("HIL-001")
@pytest.mark.parametrize("schema", [Decision, Record, Model])
def test_an_answer_is_checked_against_a_type_and_shown_as_json_schema(schema):
    assert response_json_schema(schema) == pydantic.TypeAdapter(schema).json_schema()
    fitting = {"approved": True} if schema is Decision else {"a": 5}
    answer = validate_response(schema, fitting)
    assert answer == (fitting if schema is Decision else schema(**fitting))
    with pytest.raises(pydantic.ValidationError) as caught:
        validate_response(schema, "no")
    assert is_invalid_resume(caught.value)
    assert not is_invalid_resume(ValueError())


@pytest.mark.feature("HIL-001")
def test_json_schema_is_shown_and_not_checked():
    schema = {"type": "integer"}
    assert response_json_schema(schema) is schema
    assert response_json_schema(None) is None
    assert validate_response(schema, "anything") == "anything"
    assert validate_response(None, "anything") == "anything"


# -- policies -----------------------------------------------------------------------------------


def http_error(kind: Callable[..., Exception], status: int | None) -> Exception:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "http://localhost")
        return kind("failed", request=request, response=httpx.Response(status or 500, request=request))
    response = None
    if status is not None:
        response = requests.Response()
        response.status_code = status
    return kind("failed", response=response)


class Unexpected(Exception):
    pass


@pytest.mark.feature("RUN-05")
@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (ConnectionError(), True),
        (ConnectionResetError(), True),
        (ValueError(), False),
        (TypeError(), False),
        (ZeroDivisionError(), False),
        (KeyError(), False),
        (RuntimeError(), False),
        (RecursionError(), False),
        (OSError(), False),
        (TimeoutError(), False),
        (StopIteration(), False),
        (Unexpected(), True),
        (NodeTimeoutError("n", 2.0, kind="run", run_timeout=1.0), True),
        (http_error(httpx.HTTPStatusError, 503), True),
        (http_error(httpx.HTTPStatusError, 404), False),
        (http_error(requests.HTTPError, 502), True),
        (http_error(requests.HTTPError, 400), False),
        (http_error(requests.HTTPError, None), True),
    ],
    ids=repr,
)
def test_what_may_pass_by_itself_is_retried(error, retried):
    assert RetryPolicy().retries(error) is retried


@pytest.mark.feature("RUN-05")
def test_a_retry_policy_says_what_it_is_about():
    assert RetryPolicy(retry_on=ValueError).retries(UnicodeError())
    assert not RetryPolicy(retry_on=ValueError).retries(TypeError())
    assert RetryPolicy(retry_on=(ValueError, KeyError)).retries(KeyError())
    assert not RetryPolicy(retry_on=()).retries(KeyError())
    assert RetryPolicy(retry_on=lambda error: "again" in str(error)).retries(ValueError("again"))
    assert not RetryPolicy(retry_on=lambda error: True).retries(KeyboardInterrupt())
    with pytest.raises(TypeError, match="retry_on must be an Exception class"):
        RetryPolicy(retry_on=123).retries(ValueError())


@pytest.mark.feature("RUN-05")
def test_waits_grow_up_to_a_limit():
    policy = RetryPolicy(initial_interval=1, backoff_factor=3, max_interval=20)
    assert [policy.interval(attempts) for attempts in (1, 2, 3, 4)] == [1, 3, 9, 20]
    assert RetryPolicy()[:5] == (0.5, 2.0, 128.0, 3, True)


def test_a_timeout_is_seconds_or_nothing():
    assert TimeoutPolicy.coerce(None) is None
    assert TimeoutPolicy.coerce(TimeoutPolicy()) is None
    assert TimeoutPolicy.coerce(2) == TimeoutPolicy(run_timeout=2.0)
    assert TimeoutPolicy.coerce(timedelta(minutes=1)) == TimeoutPolicy(run_timeout=60.0)
    policy = TimeoutPolicy.coerce(TimeoutPolicy(idle_timeout=3, refresh_on="heartbeat"))
    assert policy == TimeoutPolicy(idle_timeout=3.0, refresh_on="heartbeat")
    assert TimeoutPolicy.coerce(policy) is policy
    assert hash(policy) == hash(copy.deepcopy(policy))
    for field in ("run_timeout", "idle_timeout"):
        with pytest.raises(ValueError, match=f"{field} must be greater than 0"):
            TimeoutPolicy.coerce(TimeoutPolicy(**{field: 0}))
    with pytest.raises(ValueError, match="refresh_on must be 'auto' or 'heartbeat'"):
        TimeoutPolicy.coerce(TimeoutPolicy(run_timeout=1, refresh_on="never"))


def test_cache_keys_are_equal_for_equal_input():
    key = CachePolicy().key_func
    assert key is default_cache_key
    assert key({"a": [1], "b": 2}) == key({"b": 2, "a": [1]})
    assert key({"a": [1]}) != key({"a": [2]})
    assert key({1: "x", "a": 2}) == key({"a": 2, 1: "x"})
    assert key(bytearray(b"x")) != key(bytearray(b"y"))
    assert CachePolicy(ttl=3) == CachePolicy(ttl=3)


def test_a_trace_policy_may_omit_everything():
    assert TracePolicy(process_inputs=omit_payload).process_inputs({"secret": 1}) == {}


# -- what callers see ---------------------------------------------------------------------------


def test_a_graph_output_still_answers_as_a_dict_with_a_warning():
    asked = (Interrupt("q"),)
    output = GraphOutput({"a": 1}, asked)
    with pytest.warns(
        LangGraphDeprecatedSinceV11, match=r"Accessing GraphOutput via `result\[key\]` is deprecated"
    ):
        assert output["a"] == 1
    with pytest.warns(
        LangGraphDeprecatedSinceV11, match="Accessing GraphOutput via `key in result` is deprecated"
    ):
        assert "b" not in output
    with pytest.warns(LangGraphDeprecatedSinceV11):
        assert output["__interrupt__"] == asked
    with pytest.warns(LangGraphDeprecatedSinceV11):
        assert "__interrupt__" in output
    record = GraphOutput(Record())
    with pytest.warns(LangGraphDeprecatedSinceV11):
        assert ("a" in record, record["a"]) == (True, 1)
    with pytest.warns(LangGraphDeprecatedSinceV11), pytest.raises(KeyError):
        record["missing"]


def test_annotations_of_the_vocabulary_can_be_read_without_langchain():
    hints = typing.get_type_hints(StateSnapshot)
    assert list(hints) == [
        "values",
        "next",
        "config",
        "metadata",
        "created_at",
        "parent_config",
        "tasks",
        "interrupts",
    ]
    assert typing.get_type_hints(dashflow.types.MessagesStreamPart)["ns"] == tuple[str, ...]
    schema = pydantic.TypeAdapter(dashflow.types.MessagesStreamPart).json_schema()
    assert "AIMessage" in schema["$defs"]


@pytest.mark.parametrize("checkpointer", [None, True, False])
def test_a_checkpointer_may_be_nothing_or_yes_or_no(checkpointer):
    assert ensure_valid_checkpointer(checkpointer) is checkpointer


def test_what_is_no_checkpointer_is_refused_by_its_type():
    class Saver:
        def get_tuple(self, config): ...

        def list(self, config): ...

        def put(self, config, checkpoint, metadata, new_versions): ...

        def put_writes(self, config, writes, task_id): ...

        def get_next_version(self, current, channel): ...

    saver = Saver()
    assert ensure_valid_checkpointer(saver) is saver
    for wrong in (Saver, 1, "memory", object()):
        with pytest.raises(
            TypeError, match=f"Invalid checkpointer provided.*Received {type(wrong).__name__}"
        ):
            ensure_valid_checkpointer(wrong)


# -- constants, sentinel, managed values --------------------------------------------------------


def test_names_that_moved_are_served_with_a_warning():
    with pytest.warns(
        LangGraphDeprecatedSinceV10,
        match="Importing Send from dashflow.constants is deprecated. Please use 'from dashflow.types import",
    ):
        assert dashflow.constants.Send is Send
    with pytest.warns(
        LangGraphDeprecatedSinceV10,
        match="Importing PREVIOUS from dashflow.constants is deprecated. This constant is now private",
    ):
        assert dashflow.constants.PREVIOUS == "__previous__"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = dashflow.constants.nothing
    assert (dashflow.constants.START, dashflow.constants.END) == ("__start__", "__end__")


def test_missing_is_one_object_whatever_is_done_to_it():
    assert PUBLIC_MISSING is MISSING
    for twin in (
        copy.copy(MISSING),
        copy.deepcopy([MISSING])[0],
        pickle.loads(pickle.dumps(MISSING)),
        type(MISSING)(),
    ):
        assert twin is MISSING
    assert repr(MISSING) == "MISSING"


def test_managed_values_count_steps():
    class Progress:
        step, stop = 3, 5

    assert (IsLastStepManager.get(Progress()), RemainingStepsManager.get(Progress())) == (False, 2)
    Progress.step = 4
    assert (IsLastStepManager.get(Progress()), RemainingStepsManager.get(Progress())) == (True, 1)
    assert [is_managed_value(typing.get_args(hint)[1]) for hint in (IsLastStep, RemainingSteps)] == [
        True,
        True,
    ]
    assert not is_managed_value(int)
    assert not is_managed_value(3)
