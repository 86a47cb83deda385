"""Words the rule planner knows: verbs and what kind of work they ask for, linking words, check words.

Data and look-ups only; the grammar is in ``language``, the meaning in ``rules``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Act(StrEnum):
    """What a verb asks for, before its object is looked at."""

    ASK = "ask"
    FIND = "find"
    AUDIT = "audit"
    TEST = "test"
    RUN = "run"
    REPORT = "report"
    REFACTOR = "refactor"
    CHANGE = "change"
    WRITE = "write"
    PROCESS = "process"
    TOOL = "tool"
    OMIT = "omit"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VERBS: Final[dict[Act, str]] = {
    Act.ASK: "ask clarify consult",
    Act.FIND: (
        "find search look locate grep detect identify spot list show check scan count retrieve read "
        "gather discover highlight flag mention name see tell know learn inquire enquire obtain"
    ),
    Act.AUDIT: (
        "audit analyse analyze review inspect assess examine measure evaluate investigate lint survey study"
    ),
    Act.TEST: "test verify validate",
    Act.RUN: "run execute launch start rerun",
    Act.REPORT: "report summarise summarize",
    Act.REFACTOR: (
        "refactor rename extract split move simplify clean tidy restructure reorganise reorganize inline "
        "deduplicate reformat modernise modernize"
    ),
    Act.CHANGE: (
        "implement add build develop fix repair update change modify replace remove delete improve "
        "optimise optimize document port migrate upgrade correct adjust edit convert rewrite resolve "
        "patch handle support annotate increase reduce extend shorten"
    ),
    Act.WRITE: "write create generate make produce give prepare draft compose provide deliver",
    Act.PROCESS: (
        "compute calculate translate sort merge compare combine explain describe collect aggregate group "
        "filter rank transform parse estimate plan decide determine discuss outline process organise "
        "organize confirm conduct perform complete carry record choose select assign classify predict"
    ),
    Act.TOOL: (
        "call send email fetch download upload open close deploy install publish notify post book schedule "
        "set cancel query print save commit push pull buy order pay play turn visit contact release purchase "
        "reserve register log remind transfer subscribe unsubscribe enable disable share invite reply "
        "forward inform arrange submit apply enter use take go"
    ),
    Act.OMIT: "skip ignore exclude omit avoid leave",
}

_IRREGULAR: Final[dict[str, str]] = {
    "found": "find",
    "ran": "run",
    "wrote": "write",
    "written": "write",
    "made": "make",
    "built": "build",
    "sent": "send",
    "gave": "give",
    "given": "give",
    "set": "set",
    "read": "read",
    "seen": "see",
    "told": "tell",
}

NOUNS_TOO: Final = _words(
    "test tests report check search list comment document format name file log plan process review audit "
    "count order call post play set show change changes support update updates study survey query print "
    "book pay open move release start run fix fixes rank group filter patch name names flag flags mention "
    "import imports issue issues post posts turn pull push draft estimate outline make look build record "
    "share use uses transfer reply forward perform complete log enter take go arrange register"
)
"""Forms that are verbs only where the next word says so."""

RATHER_VERBS: Final = _words(
    "list run fix show count check review audit update make search move set open pay print book"
)
"""Forms of those that are verbs before most other words too ("list imports")."""

NO_VERB_FOLLOWERS: Final = _words(
    "of is are was were has have had time times lists result results folder folders directory directories"
)
"""Words before which even those are nouns ("the check of", "build time")."""

VERB_FOLLOWERS: Final = _words(
    "the a an all any every each it them this that these those my our your its their for on in to with if "
    "whether which where what who how me us him her up out at again both no some more most into over "
    "through and or as"
)
"""Words after which an ambiguous form is taken for a verb."""

THEN: Final = frozenset({"then", "next", "afterwards", "afterward", "subsequently", "thereafter"})
FINALLY: Final = frozenset({"finally", "lastly"})
FILLERS: Final = _words(
    "please also just first firstly secondly thirdly kindly now so but and or you can could should would "
    "will must i we want need to like would hope wish let us lets let's help me additionally moreover plus "
    "too"
)
"""Words before a verb that change nothing."""
NEGATIONS: Final = frozenset({"don't", "dont", "don\u2019t", "never", "not", "without"})
SUBORDINATES: Final = frozenset(
    {"before", "after", "once", "when", "if", "unless", "until", "while", "without"}
)
PRONOUNS: Final = frozenset({"it", "them", "these", "those", "they", "this", "that", "each"})

MARKERS: Final = frozenset({"TODO", "FIXME", "XXX", "HACK", "BUG", "NOTE", "OPTIMIZE"})
DEFAULT_MARKERS: Final = ("TODO", "FIXME")
CALLABLES: Final = frozenset(
    {"function", "functions", "method", "methods", "def", "defs", "procedure", "routine"}
)
CODE_WORDS: Final = _words(
    "code codebase project repository repo source sources package module modules program files folder"
)
TESTS: Final = frozenset(
    {"test", "tests", "testsuite", "pytest", "unittest", "unittests", "suite", "testing"}
)
REPORTS: Final = frozenset({"report", "reports", "summary", "overview", "findings", "results", "conclusion"})
LENGTH: Final = frozenset(
    {"long", "longer", "longest", "length", "lines", "line", "loc", "oversized", "big", "large"}
)
COMPLEX: Final = frozenset({"complex", "complexity", "cyclomatic", "complicated", "convoluted"})
IMPORTS: Final = frozenset({"import", "imports", "imported", "importing"})
FOLDERS: Final = _words(
    "folder folders directory directories path paths dir dirs subfolder subfolders subdirectories"
)
LEAVING_OUT: Final = _words("leave left omit exclude excluded skip skipped ignore ignored avoid")


def _forms(verb: str) -> set[str]:
    """The verb as it appears in text: base, third person, gerund, past."""
    vowels = "aeiou"
    stem = verb[:-1] if verb.endswith("e") else verb
    forms = {verb, verb + "s", verb + "es", stem + "ing", stem + "ed"}
    if len(verb) > 2 and verb[-1] not in vowels + "wxy" and verb[-2] in vowels and verb[-3] not in vowels:
        forms |= {verb + verb[-1] + "ing", verb + verb[-1] + "ed"}
    if verb.endswith("y") and verb[-2] not in vowels:
        forms |= {verb[:-1] + "ies", verb[:-1] + "ied"}
    return forms


ACTS: Final[dict[str, Act]] = {verb: act for act, words in _VERBS.items() for verb in words.split()}
"""Verb (base form) -> what it asks for."""

LEMMAS: Final[dict[str, str]] = {
    **{form: verb for verb in ACTS for form in _forms(verb)},
    **_IRREGULAR,
    **{verb: verb for verb in ACTS},
}
"""Any form of a known verb -> its base form."""
