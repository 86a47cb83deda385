"""Planning by a LangChain chat model: ask, read the answer, mend it, ask once more if it is no plan.

LangChain is imported when a model is first needed, never before. The answer is only data here: what
can be run is decided by ``repair`` and, again, by the pure handler.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from dashflow.errors import ModelError, PlanAnswerError, PlanError, UsageError
from dashflow.planner.answers import plain_tasks
from dashflow.planner.planning import PlanningRequest, Proposal
from dashflow.planner.repair import tasks_from

SYSTEM_PROMPT: Final = """\
You turn a goal into a plan: a small graph of tasks that are carried out in parallel where possible.

Answer with one JSON object and nothing else:
{"tasks": [{"id": "t1", "description": "...", "kind": "...", "dependencies": [], "params": {}}]}

Rules
- "id" is unique. "dependencies" lists ids of tasks whose result the task needs; no cycles. Tasks that do
  not need each other must not depend on each other.
- "kind" is one of: clarification (ask a person), analysis, retrieval, unit_test, processing, refactor,
  implementation, tool_call.
- analysis: one task per check. params {"checks": [{"check": "long_functions", "max_lines": 60}]}; other
  checks are {"check": "complexity", "max_complexity": 10}, {"check": "imports"} and
  {"check": "markers", "markers": ["TODO", "FIXME"]}.
- retrieval (full-text search in the folder): params {"query": "...", "top": 20}.
- unit_test (runs the project's tests): params {"timeout_seconds": 600}.
- clarification: params {"topic": "free", "question": "..."}; to ask which folders to leave out,
  {"topic": "exclude"}. Ask only what the goal tells you to ask or what cannot be known otherwise; all tasks
  that need the answer depend on it.
- processing: a report on the findings of other tasks has params {"format": "report"} and lists the tasks
  it reports on in "optional_dependencies", not in "dependencies". A plan that finds something ends in one.
- Add nothing that the goal does not ask for or need."""

_ATTEMPTS: Final = 2


class ModelPlanner:
    """Plans by a chat model.

    Args:
        model: LangChain's name of a model (``openai:gpt-5``), or a chat model object.
    """

    def __init__(self, model: Any) -> None:
        self._name = model if isinstance(model, str) else type(model).__name__
        self._model = None if isinstance(model, str) else model

    def check(self) -> None:
        """Find out, without asking the model anything, whether it can be asked here.

        Raises:
            UsageError: a package is missing, or the name or its settings are wrong.
        """
        self._chat()

    def plan(self, request: PlanningRequest) -> Proposal:
        """See ``Planning.plan``.

        Raises:
            PlanAnswerError: the answer is no plan, also the second time.
            ModelError: the model could not be asked; the run stays as it was.
            UsageError: as ``check``.
        """
        chat = self._chat()
        conversation: list[tuple[str, str]] = [
            ("system", request.config.system_prompt or SYSTEM_PROMPT),
            ("human", _goal(request)),
        ]
        problem, answer = "", ""
        for _ in range(_ATTEMPTS):
            answer = self._ask(chat, conversation)
            try:
                tasks, notes = tasks_from(plain_tasks(answer), answer)
            except PlanError as error:
                problem = str(error.data.get("problem", error))
                conversation += [("ai", answer or "(nothing)"), ("human", _again(problem))]
            else:
                return Proposal(tasks, self._name, notes)
        raise PlanAnswerError(problem.rstrip("."), answer)

    def _chat(self) -> Any:
        if self._model is None:
            self._model = chat_model(self._name)
        return self._model

    def _ask(self, chat: Any, conversation: Sequence[tuple[str, str]]) -> str:
        try:
            message = chat.invoke(list(conversation))
        except Exception as error:
            raise ModelError(self._name, f"{type(error).__name__}: {error}") from error
        return _text(getattr(message, "content", message))


def chat_model(name: str) -> Any:
    """The LangChain chat model of that name (``provider:model``).

    Raises:
        UsageError: LangChain or the provider's package is missing, or the name or settings are wrong.
    """
    try:
        factory = import_module("langchain.chat_models").init_chat_model
    except ImportError as error:
        raise UsageError(
            f"--model {name} needs the package 'langchain' and the provider's "
            f"({_package(name)}): pip install langchain {_package(name)}. "
            "Without --model the built-in rules plan.",
            model=name,
        ) from error
    try:
        return factory(name)
    except ImportError as error:
        raise UsageError(
            f"--model {name} needs another package: {error}. Without --model the built-in rules plan.",
            model=name,
        ) from error
    except Exception as error:
        raise UsageError(
            f"The model {name!r} cannot be set up: {type(error).__name__}: {error}. Names are "
            "provider:model, for example openai:gpt-5; most providers want a key in the environment.",
            model=name,
        ) from error


def _package(name: str) -> str:
    provider = name.partition(":")[0].strip().lower().replace("_", "-") if ":" in name else ""
    return f"langchain-{provider}" if provider.replace("-", "").isalnum() else "for example langchain-openai"


def _goal(request: PlanningRequest) -> str:
    lines = [f"Goal: {request.goal}"]
    if request.folder is not None:
        lines.append(f"Folder to work on: {request.folder}")
    if request.problem:
        lines.append(f"A plan proposed before could not be run: {request.problem}")
    return "\n".join(lines)


def _again(problem: str) -> str:
    return (
        f"That cannot be used as a plan: {problem}. Answer again with the complete plan, as one JSON object "
        "of the form you were told, without any other text."
    )


def _text(content: Any) -> str:
    """A message's text, whether it is one string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [
        part if isinstance(part, str) else part.get("text") for part in parts if isinstance(part, str | dict)
    ]
    return "".join(text for text in texts if isinstance(text, str))
