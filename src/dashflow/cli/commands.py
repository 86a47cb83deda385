"""The commands as click sees them: names, arguments, help. What they do is in ``working`` and ``looking``.

Those are imported when a command runs, so that ``--help`` and a press of Tab stay quick.
"""

from __future__ import annotations

import click

from dashflow.cli.batch_commands import batch_group
from dashflow.cli.breakpoint_commands import breakpoint_group
from dashflow.cli.completion import complete_graph_thread, complete_run, complete_thread, script
from dashflow.cli.doctor_commands import doctor
from dashflow.cli.moving_commands import COMMANDS as MOVING
from dashflow.cli.options import common_options, settings_of
from dashflow.cli.replay_commands import replay
from dashflow.cli.retention_commands import delete, prune

SHELLS = ("bash", "zsh", "fish")

thread_argument = click.argument("thread", metavar="THREAD", shell_complete=complete_graph_thread)
other_argument = click.argument("other", metavar="BRANCH")
run_argument = click.argument("run", metavar="RUN", shell_complete=complete_run)


@click.command(short_help="Turn a goal into a plan and work it off.")
@click.argument("goal")
@click.option(
    "--on",
    "folder",
    metavar="PATH",
    type=click.Path(),
    help="The folder that the goal is about.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(),
    default="",
    help="Where the report goes. [default: dashflow-out/RUN]",
)
@click.option(
    "--answer",
    "answers",
    metavar="TEXT",
    multiple=True,
    help="Answer a question in advance; given several times, in the order of the questions.",
)
@click.option(
    "--model",
    metavar="M",
    help="Chat model that plans, as LangChain names it, such as openai:gpt-5. [default: built-in rules]",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="How many tasks may run at a time.",
)
@common_options
@click.pass_context
def run(
    context: click.Context,
    goal: str,
    folder: str | None,
    out: str,
    answers: tuple[str, ...],
    model: str | None,
    workers: int,
) -> int:
    """Turn GOAL, in plain words, into a plan of tasks and work it off.

    The request is recorded before anything runs, and its id is printed; a run that was stopped or
    killed goes on with `dashflow resume`. Questions are asked in the terminal. Where there is none,
    --answer answers them, or the run stops, says how to answer, and exits with 3.

    \b
    dashflow run "Find functions longer than 60 lines and write a report" --on src
    dashflow run "Run the tests of this project" --on . --json | jq .findings
    """
    from dashflow.cli.working import start
    from dashflow.planner.runs import PlanRequest

    request = PlanRequest(goal=goal, folder=folder, out=out, answers=answers, model=model, workers=workers)
    return start(settings_of(context), request)


@click.command(short_help="Go on with a run, or with all that can.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete_run)
@common_options
@click.pass_context
def resume(context: click.Context, run: str | None) -> int:
    """Go on with a run; without RUN, with every unfinished run that waits for nobody.

    What was recorded as completed is not done again. RUN is a run's id, the start of one, or `last`.
    """
    from dashflow.cli.working import resume_all, resume_one

    settings = settings_of(context)
    return resume_all(settings) if run is None else resume_one(settings, run)


@click.command(short_help="Answer what a run asks.")
@run_argument
@click.argument("text", metavar="TEXT")
@click.option("--task", metavar="ID", help="Which task's question; the one asked first without it.")
@click.option("--resume", "go_on", is_flag=True, help="Go on with the run at once.")
@common_options
@click.pass_context
def answer(context: click.Context, run: str, text: str, task: str | None, go_on: bool) -> int:
    """Record TEXT as the answer to what RUN asks.

    The run goes on with --resume, or later with `dashflow resume RUN`. RUN is a run's id, the start of
    one, or `last`.
    """
    from dashflow.cli.working import give_answer

    return give_answer(settings_of(context), run, text, task, go_on=go_on)


@click.command(short_help="End a run for good.")
@run_argument
@click.option("--reason", metavar="TEXT", default="", help="Why, for the log.")
@common_options
@click.pass_context
def cancel(context: click.Context, run: str, reason: str) -> int:
    """End RUN for good, also while another process works on it.

    To stop for now, press Ctrl-C where it runs. RUN is a run's id, the start of one, or `last`.
    """
    from dashflow.cli.working import cancel_run

    return cancel_run(settings_of(context), run, reason)


@click.command(short_help="List the runs of the log.")
@common_options
@click.pass_context
def runs(context: click.Context) -> int:
    """List the runs of the log, the one started last in front."""
    from dashflow.cli.looking import list_runs

    return list_runs(settings_of(context))


@click.command(short_help="Show a run's plan as a tree.")
@run_argument
@common_options
@click.pass_context
def show(context: click.Context, run: str) -> int:
    """Show the plan of RUN as a tree: states, durations, what waits for what.

    A task is drawn under the one it waits for; where there are several, under the deepest, and its
    line names the others. RUN is a run's id, the start of one, or `last`.
    """
    from dashflow.cli.looking import show_run

    return show_run(settings_of(context), run)


@click.command(short_help="Print or follow events, of a run or of all.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete_thread)
@click.option("--follow", "-f", is_flag=True, help="Go on printing what happens, until the run's end.")
@click.option(
    "--category", metavar="C", help="Without RUN: of streams of this category, such as run or plan."
)
@click.option("--type", "types", metavar="T", multiple=True, help="Of this type; may be given several times.")
@click.option("--correlation", metavar="ID", default="", help="With this correlation id.")
@click.option(
    "--after", metavar="N", type=click.IntRange(0), default=0, help="Behind this position of the log."
)
@common_options
@click.pass_context
def events(
    context: click.Context,
    run: str | None,
    follow: bool,
    category: str | None,
    types: tuple[str, ...],
    correlation: str,
    after: int,
) -> int:
    """Print everything that happened in RUN, or in the whole log, oldest first; with --json as JSON lines.

    RUN is the id of a run or graph thread, the start of one, or `last`.

    \b
    dashflow events last --follow
    dashflow events --follow --type RunFinished --type RunFailed
    """
    from dashflow.cli.looking import Wanted, print_events

    return print_events(settings_of(context), run, Wanted(category, types, correlation, after), follow=follow)


@click.command(short_help="Show a thread's state, now or earlier.")
@click.argument("thread", metavar="THREAD", shell_complete=complete_thread)
@click.option("--at", "version", metavar="N", type=click.IntRange(0), help="After N events. [default: all]")
@common_options
@click.pass_context
def state(context: click.Context, thread: str, version: int | None) -> int:
    """Show the state of THREAD, a plan's run or a graph's thread, as its events fold to it.

    THREAD is an id, the start of one, or `last`.
    """
    from dashflow.cli.looking import show_state

    return show_state(settings_of(context), thread, version)


@click.command(short_help="Finish what died processes left behind.")
@click.argument("graphs", metavar="[MODULE:GRAPH]...", nargs=-1)
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 1024),
    default=4,
    show_default=True,
    help="How many runs it works on at a time.",
)
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(0.05, 3600),
    default=2.0,
    show_default=True,
    help="How often it looks.",
)
@click.option(
    "--max-attempts",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="After so many attempts without progress a run is a dead letter.",
)
@click.option("--once", is_flag=True, help="Leave when there is nothing left to take over.")
@common_options
@click.pass_context
def worker(
    context: click.Context,
    graphs: tuple[str, ...],
    concurrency: int,
    every: float,
    max_attempts: int,
    once: bool,
) -> int:
    """Take over runs whose process died, and finish them; plan runs, and runs of the named graphs.

    MODULE:GRAPH is a compiled graph of a Python module, or of a file: `agents.py:graph`. Runs of graphs
    that no worker has are left as they are. Ctrl-C or SIGTERM stops it: what it works on ends at its next
    step and goes on elsewhere.

    \b
    dashflow worker my_app.agents:graph --db threads.db
    """
    from dashflow.cli.recovering import work

    return work(
        settings_of(context),
        graphs,
        concurrency=concurrency,
        every=every,
        max_attempts=max_attempts,
        once=once,
    )


@click.command(short_help="List runs that are not tried any more.")
@common_options
@click.pass_context
def deadletters(context: click.Context) -> int:
    """List the runs of graphs that workers gave up, and why.

    A run is given up when its process died again and again before anything was completed.
    """
    from dashflow.cli.recovering import list_dead_letters

    return list_dead_letters(settings_of(context))


@click.command(short_help="Give a dead letter new attempts.")
@click.argument("thread", metavar="THREAD", shell_complete=complete_thread)
@common_options
@click.pass_context
def requeue(context: click.Context, thread: str) -> int:
    """Let workers try the last run of THREAD again.

    THREAD is an id, the start of one, or `last`.
    """
    from dashflow.cli.recovering import requeue as put_back

    return put_back(settings_of(context), thread)


@click.group(short_help="Branches of graph threads: fork, list, diff, merge, delete.")
@common_options
def branch() -> None:
    """Let a graph's thread go on in several ways, and bring them together again.

    A branch is a thread of its own, whose id is the thread's, `~` and the branch's name. It begins at a
    checkpoint of the thread and copies nothing.

    \b
    dashflow branch fork chat-7 draft
    dashflow branch list chat-7
    dashflow branch diff chat-7 draft
    dashflow branch merge chat-7 draft --graph app:graph
    dashflow branch delete chat-7 draft
    """


@branch.command("fork", short_help="Begin a branch of a thread.")
@thread_argument
@click.argument("name", metavar="NAME")
@click.option(
    "--at", "checkpoint", metavar="ID", help="Id of the checkpoint, or its start. [default: latest]"
)
@common_options
@click.pass_context
def fork_branch(context: click.Context, thread: str, name: str, checkpoint: str | None) -> int:
    """Begin the branch NAME of THREAD. THREAD is an id, the start of one, or `last`."""
    from dashflow.cli.branches import fork

    return fork(settings_of(context), thread, name, checkpoint)


@branch.command("list", short_help="Show a thread's branches as a tree.")
@thread_argument
@common_options
@click.pass_context
def list_branches(context: click.Context, thread: str) -> int:
    """Show the branches of THREAD, and those that began in them, as a tree."""
    from dashflow.cli.branches import show_branches

    return show_branches(settings_of(context), thread)


@branch.command("diff", short_help="Show how two states differ.")
@thread_argument
@other_argument
@common_options
@click.pass_context
def diff_branch(context: click.Context, thread: str, other: str) -> int:
    """Show what is to be done to the state of THREAD to get that of BRANCH.

    BRANCH is the name of a branch of THREAD, or any thread's id.
    """
    from dashflow.cli.branches import diff

    return diff(settings_of(context), thread, other)


@branch.command("merge", short_help="Bring a branch's changes into a thread.")
@thread_argument
@other_argument
@click.option(
    "--graph",
    "graph",
    metavar="MODULE:GRAPH",
    help="The program's graph, whose reducers join what both sides changed.",
)
@click.option(
    "--take",
    "side",
    type=click.Choice(("ours", "theirs")),
    help="Whose value counts where both sides changed one.",
)
@common_options
@click.pass_context
def merge_branch(context: click.Context, thread: str, other: str, graph: str | None, side: str | None) -> int:
    """Bring what happened in BRANCH since the last common checkpoint into THREAD, as one checkpoint.

    What only one side changed has that side's value. For what both changed give --graph, so that its
    reducers join them, or --take. BRANCH is the name of a branch of THREAD, or any thread's id.
    """
    from dashflow.cli.branches import merge

    return merge(settings_of(context), thread, other, graph, side)


@branch.command("delete", short_help="Forget a branch.")
@thread_argument
@other_argument
@common_options
@click.pass_context
def delete_branch(context: click.Context, thread: str, other: str) -> int:
    """Forget BRANCH, a branch of THREAD, by its name. Branches that began in it stay."""
    from dashflow.cli.branches import delete

    return delete(settings_of(context), thread, other)


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
def completion(shell: str) -> int:
    """Print the script that makes SHELL complete commands, options and run ids.

    \b
    bash  eval "$(dashflow completion bash)"          in ~/.bashrc
    zsh   eval "$(dashflow completion zsh)"           in ~/.zshrc, after compinit
    fish  dashflow completion fish > ~/.config/fish/completions/dashflow.fish
    """
    click.echo(script(shell), nl=False)
    return 0


COMMANDS: tuple[click.Command, ...] = (
    run,
    resume,
    answer,
    cancel,
    runs,
    show,
    events,
    state,
    worker,
    deadletters,
    requeue,
    breakpoint_group,
    prune,
    delete,
    branch,
    replay,
    batch_group,
    *MOVING,
    doctor,
    completion,
)
"""All commands, in the order in which a newcomer needs them."""
