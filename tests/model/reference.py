"""A small reference interpreter of programs: what they mean, with nothing of an engine in it.

Nodes are pure, so nothing has to be remembered of a step but its beginning and the answers given since: what
ran before a question runs again and comes to the same. A thread is a list of such beginnings.
"""

from dataclasses import dataclass, field

from tests.model.programs import LIMIT, decision, writes_of


class Wrong(Exception):
    """Several tasks of a step wrote a key that takes one value."""


class Asked(Exception):
    """A node asks: the keys of its questions, and their texts."""

    def __init__(self, questions: dict) -> None:
        super().__init__(questions)
        self.questions = questions


@dataclass(frozen=True)
class At:
    """The beginning of a step.

    Attributes:
        values: The state.
        due: Names of nodes that are due.
        packets: Nodes due with a packet: [name, what it carries].
        seen: Of each join, which of its sources were there.
        number: Of the step.
    """

    values: dict = field(default_factory=dict)
    due: frozenset = frozenset()
    packets: tuple = ()
    seen: tuple = ()
    number: int = -1

    @property
    def tasks(self) -> list:
        """Who is to run, in the order in which their writes count: [key, node, packet]."""
        named = [(name, name, None) for name in sorted(self.due)]
        return named + [(f"#{i}", name, value) for i, (name, value) in enumerate(self.packets)]


class Program:
    """A program, ready to be interpreted."""

    def __init__(self, program: dict) -> None:
        self.program = program
        self.nodes = {node["name"]: node for node in program["nodes"]}
        self.joins = [(tuple(sorted(sources)), target) for sources, target in program.get("joins", ())]

    def took(self, at: At, given: dict) -> At:
        """An input was taken; what was due is given up."""
        return self._after(at, [(given, self.program["start"], [], None)])

    def edited(self, at: At, update: dict, name: str) -> At:
        """The state was edited as if a node had written that."""
        values = _written(at.values, [update])
        return self._after(at, [(update, *self._ways(name, values, None), name)], ran=False)

    def step(self, at: At, answers: dict, path: tuple = ()) -> At:
        """One step.

        Raises:
            Asked: Not before these questions are answered.
            Wrong: See there.
        """
        asked: dict = {}
        wrote = []
        for key, name, packet in at.tasks:
            state = at.values if packet is None else {"i": packet}
            try:
                update, goto = self._run(name, state, answers, (*path, at.number, key))
            except Asked as error:
                asked |= error.questions
                continue
            own = _written(at.values, [update])
            wrote.append((update, *self._ways(name, own, goto), name))
        if asked:
            raise Asked(asked)
        return self._after(at, wrote)

    def halfway(self, at: At, answers: dict) -> tuple:
        """Of a step that asks: the state with what was written by those who are done, and who is not."""
        left, updates = [], []
        for key, name, packet in at.tasks:
            try:
                state = at.values if packet is None else {"i": packet}
                updates.append(self._run(name, state, answers, (at.number, key))[0])
            except Asked:
                left.append(name)
        return _written(at.values, updates), sorted(left)

    def _run(self, name: str, state: dict, answers: dict, path: tuple) -> tuple:
        """What a node writes, and where it says to go (None: where its edges lead)."""
        node = self.nodes[name]
        update = writes_of(node, state)
        if "inner" in node:
            inner = Program(node["inner"])
            at = inner.took(At(), {"n": state.get("n", 0), "log": []})
            while at.tasks:
                at = inner.step(at, answers, path)
            update["log"] = [*update["log"], *at.values["log"]]
        for number in range(node.get("asks", 0)):
            if (*path, number) not in answers:
                raise Asked({(*path, number): f"{name}?{number}"})
            update["log"] = [*update["log"], f"{name}={answers[*path, number]}"]
        goto = (node["back"] if state.get("n", 0) < LIMIT else []) if "back" in node else None
        return update, goto

    def _ways(self, name: str, values: dict, goto: list | None) -> tuple:
        """Where a node leads: names, and packets."""
        node = self.nodes[name]
        names = [*node.get("to", ()), *(goto or ())]
        if "route" not in node:
            return names, []
        found = decision(node["route"], values.get("n", 0))
        if "send" in node["route"]:
            return names, found
        return [*names, *(one for one in found if one != "END")], []

    def _after(self, at: At, wrote: list, *, ran: bool = True) -> At:
        """The beginning of the step after these writes: [update, names, packets, who]; ``ran``: whether who
        was due has run, or was given up."""
        woken = {name for _, name, _ in at.tasks} if ran else set()
        writers = {name for _, _, _, name in wrote}
        values = _written(at.values, [update for update, *_ in wrote])
        due = {name for _, names, _, _ in wrote for name in names}
        packets = [packet for _, _, sent, _ in wrote for packet in sent]
        seen = []
        before = dict(at.seen)
        for join in self.joins:
            sources, target = join
            there = before.get(join, frozenset())
            if there == set(sources) and target in woken:
                there = frozenset()  # it woke the node that ran now
            there |= writers & set(sources)
            seen.append((join, there))
            if there == set(sources):
                due.add(target)
        return At(values, frozenset(due), tuple(map(tuple, packets)), tuple(seen), at.number + 1)


def _written(values: dict, updates: list) -> dict:
    """The state after updates."""
    new = dict(values)
    last = [update["last"] for update in updates if "last" in update]
    if len(last) > 1:
        raise Wrong
    for update in updates:
        if "n" in update:
            new["n"] = new.get("n", 0) + update["n"]
        new["log"] = [*new.get("log", []), *update.get("log", [])]
    return {**new, "last": last[0]} if last else new


class Thread:
    """A thread of a program, and what a caller may do with it."""

    def __init__(self, program: dict) -> None:
        self.program = Program(program)
        self.past: list = []
        self.at = At()
        self.answers: dict = {}
        self.asked: dict = {}
        self.before: list = []

    def perform(self, op: dict, number: int) -> None:
        """Do one thing of a script."""
        kind = op["do"]
        if kind == "input":
            self._go(self.program.took(self.at, {"n": op["n"], "log": [f"in<{number}>"]}), op["before"])
        elif kind == "answer":
            chosen = sorted(self.asked, key=lambda key: self.asked[key])
            chosen = chosen[:1] if op["one"] else chosen
            if chosen:
                self.answers |= dict.fromkeys(chosen, f"a<{number}>")
                self._run([])
        elif kind == "go on":
            if self.at.tasks:
                self._run([])
        else:
            where = self.past[-1 - min(op["back"], len(self.past) - 1)]
            self.answers, self.asked = {}, {}
            self._enter(self.program.edited(where, {"log": [f"up<{number}>"], "n": 1}, op["as_node"]))

    def _go(self, at: At, before: list) -> None:
        self.answers, self.asked = {}, {}
        self._enter(at)
        self._run(before)

    def _enter(self, at: At) -> None:
        self.at = at
        self.past.append(at)

    def _run(self, before: list) -> None:
        """Step after step."""
        while self.at.tasks:
            if any(name in before for _, name, _ in self.at.tasks):
                return
            try:
                at = self.program.step(self.at, self.answers)
            except Asked as error:
                self.asked = error.questions
                return
            self.answers, self.asked = {}, {}
            self._enter(at)

    def told(self) -> dict:
        """What a caller sees."""
        values, due = self.at.values, sorted(name for _, name, _ in self.at.tasks)
        if self.asked:
            values, due = self.program.halfway(self.at, self.answers)
        return {
            "values": {key: values[key] for key in sorted(values)},
            "next": due,
            "asked": sorted(self.asked.values()),
        }


def outcome(program: dict, script: list) -> list:
    """What a caller sees after each thing of a script; as ``programs.outcome``."""
    thread = Thread(program)
    seen: list = []
    for number, op in enumerate(script):
        try:
            thread.perform(op, number)
            seen.append(thread.told())
        except Wrong:
            return [*seen, "InvalidUpdateError"]
    return seen
