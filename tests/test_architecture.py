"""The rooms hold: imports run only downwards, and what must start fast loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground up: a file may import only what stands before it.
ORDER = [
    "sweep.errors",
    "sweep.clock",
    "sweep.events",
    "sweep.printable",
    "sweep.lifetime",
    "sweep.host_memory",
    "sweep.process_tree",
    "sweep.processor",
    "sweep.lossy",
    "sweep.recipe.duration",
    "sweep.recipe.schedule",
    "sweep.recipe.cycles",
    "sweep.recipe.strict_yaml",
    "sweep.recipe.data_files",
    "sweep.recipe.image_lists",
    "sweep.recipe.dataset",
    "sweep.recipe.datasets",
    "sweep.recipe.models",
    "sweep.recipe.spelling",
    "sweep.recipe.fields",
    "sweep.recipe.keys",
    "sweep.recipe.method_keys",
    "sweep.recipe.own_keys",
    "sweep.recipe.schema",
    "sweep.recipe.placeholders",
    "sweep.recipe.metrics",
    "sweep.recipe.command",
    "sweep.recipe.check",
    "sweep.recipe.json_schema",
    "sweep.recipe.library",
    "sweep.recipe.written",
    "sweep.recipe.imports.draft",
    "sweep.recipe.imports.options",
    "sweep.recipe.imports.command",
    "sweep.recipe.imports.timm_options",
    "sweep.recipe.imports.torchvision_options",
    "sweep.recipe.imports.torchvision",
    "sweep.recipe.imports.timm_args",
    "sweep.recipe.imports.timm_schedule",
    "sweep.recipe.imports.timm",
    "sweep.recipe.imports.source",
    "sweep.plan.lengths",
    "sweep.plan.tracks",
    "sweep.plan.methods",
    "sweep.plan.command",
    "sweep.plan.timeline",
    "sweep.plan.values",
    "sweep.plan.grid",
    "sweep.plan.problems",
    "sweep.plan.method_checks",
    "sweep.plan.cycle_checks",
    "sweep.plan.checks",
    "sweep.plan.forest",
    "sweep.plan.stages",
    "sweep.plan.speed",
    "sweep.plan.pilot",
    "sweep.plan.rungs",
    "sweep.plan.largest",
    "sweep.plan.scaled",
    "sweep.plan.scaled_numbers",
    "sweep.plan.reference_script",
    "sweep.plan.recipe_text",
    "sweep.store.durable",
    "sweep.store.lock",
    "sweep.store.records",
    "sweep.store.workspace",
    "sweep.store.queue",
    "sweep.store.states",
    "sweep.store.identity",
    "sweep.store.journal",
    "sweep.store.history",
    "sweep.store.catalogue",
    "sweep.store.merge",
    "sweep.store.clearing",
    "sweep.train.dilated",
    "sweep.train.scaling",
    "sweep.train.single_rules",
    "sweep.train.schedulers",
    "sweep.train.fetch",
    "sweep.train.device",
    "sweep.train.energy",
    "sweep.train.memory",
    "sweep.train.allocator",
    "sweep.train.survey",
    "sweep.train.group",
    "sweep.train.launch",
    "sweep.train.contention",
    "sweep.train.nested",
    "sweep.train.trainable",
    "sweep.train.generators",
    "sweep.train.processes",
    "sweep.train.prefetch",
    "sweep.train.blame",
    "sweep.train.data",
    "sweep.train.loading",
    "sweep.train.made_up",
    "sweep.train.augment",
    "sweep.train.decoding",
    "sweep.train.augmented",
    "sweep.train.folder",
    "sweep.train.models",
    "sweep.train.optimizers",
    "sweep.train.precision",
    "sweep.train.task",
    "sweep.train.feeds",
    "sweep.train.user_task",
    "sweep.train.task_module",
    "sweep.train.task_checks",
    "sweep.train.checkpoint",
    "sweep.train.keeper",
    "sweep.train.averaging",
    "sweep.train.compiling",
    "sweep.train.freezing",
    "sweep.train.learner",
    "sweep.train.mixing",
    "sweep.train.resizing",
    "sweep.train.step_values",
    "sweep.train.batch_methods",
    "sweep.train.warm_up",
    "sweep.train.loop",
    "sweep.train.probe",
    "sweep.train.pilot",
    "sweep.run.stop",
    "sweep.run.provenance",
    "sweep.run.messages",
    "sweep.run.placement",
    "sweep.run.machine",
    "sweep.run.warden",
    "sweep.run.warded",
    "sweep.run.output",
    "sweep.run.figures",
    "sweep.run.executors.patience",
    "sweep.run.watch",
    "sweep.run.spent",
    "sweep.run.command",
    "sweep.run.ranks",
    "sweep.run.worker",
    "sweep.run.executors.protocol",
    "sweep.run.executors.inline",
    "sweep.run.doctor",
    "sweep.run.keep",
    "sweep.run.makespan",
    "sweep.run.order",
    "sweep.run.executors.child",
    "sweep.run.executors.seat",
    "sweep.run.ask",
    "sweep.run.executors.seated",
    "sweep.run.executors.local",
    "sweep.run.executors.mirror",
    "sweep.run.executors.relay",
    "sweep.run.executors.courier",
    "sweep.run.executors.ray_cluster",
    "sweep.run.executors.ray",
    "sweep.run.left",
    "sweep.run.slurm_options",
    "sweep.run.executors.queued",
    "sweep.run.executors.cluster",
    "sweep.run.executors.slurm_cluster",
    "sweep.run.executors.slurm",
    "sweep.run.engine",
    "sweep.run.retries",
    "sweep.run.adopt",
    "sweep.run.ledger",
    "sweep.run.collect",
    "sweep.run.distortion",
    "sweep.run.auto_jobs",
    "sweep.run.pilot",
    "sweep.run.duration",
    "sweep.run.ways",
    "sweep.run.pace",
    "sweep.run.allowance",
    "sweep.run.waiting",
    "sweep.run.turns",
    "sweep.run.dispatch",
    "sweep.run.session",
    "sweep.run.side_by_side",
    "sweep.report.cells",
    "sweep.report.metric",
    "sweep.report.approximation",
    "sweep.report.screen",
    "sweep.report.grid",
    "sweep.report.frame",
    "sweep.report.csv_cells",
    "sweep.report.csv_file",
    "sweep.report.csv_table",
    "sweep.report.distributions",
    "sweep.report.intervals",
    "sweep.report.set_ups",
    "sweep.report.summary",
    "sweep.report.analysis",
    "sweep.report.knee",
    "sweep.report.verdict",
    "sweep.report.cost_model",
    "sweep.report.fit_lines",
    "sweep.report.fit",
    "sweep.report.fitted",
    "sweep.report.bill",
    "sweep.report.findings",
    "sweep.report.source",
    "sweep.report.estimate_note",
    "sweep.report.notes",
    "sweep.report.gains",
    "sweep.report.table",
    "sweep.report.time_axis",
    "sweep.report.plotted",
    "sweep.report.label_places",
    "sweep.report.canvas",
    "sweep.report.marks",
    "sweep.report.labels",
    "sweep.report.chart",
    "sweep.report.picture",
    "sweep.report.terminal_chart",
    "sweep.report.gate",
    "sweep.report.contender",
    "sweep.report.monotone",
    "sweep.report.moves",
    "sweep.report.replicates",
    "sweep.report.crossings",
    "sweep.report.pair",
    "sweep.report.comparison",
    "sweep.report.leads",
    "sweep.report.comparison_notes",
    "sweep.report.comparison_table",
    "sweep.report.comparison_chart",
    "sweep.report.comparison_json",
    "sweep.report.comparison_gate",
    "sweep.report.listing",
    "sweep.report.live",
    "sweep.report.forest_view",
    "sweep.report.methods_view",
    "sweep.report.command_view",
    "sweep.report.plan_view",
    "sweep.report.fit_view",
    "sweep.report.estimate_view",
    "sweep.report.export_csv",
    "sweep.report.export_json",
    "sweep.report.markup",
    "sweep.report.tensorboard",
    "sweep.report.reproduce",
    "sweep.report.forecast",
    "sweep.report.next_trial",
    "sweep.report.next_view",
    "sweep.report.page_charts",
    "sweep.report.page",
    "sweep.report.outputs",
    "sweep.report.report_request",
    "sweep.budget",
    "sweep.request",
    "sweep.planning",
    "sweep.placing",
    "sweep.piloting",
    "sweep.limit",
    "sweep.within",
    "sweep.fitting",
    "sweep.estimating",
    "sweep.together",
    "sweep.api",
    "sweep.advise.belief",
    "sweep.advise.decision",
    "sweep.advise.goal",
    "sweep.advise.search",
    "sweep.advise.sentence",
    "sweep.arguments",
    "sweep.functions",
    "sweep.integrations.told",
    "sweep.integrations.lightning",
    "sweep.integrations.hugging_face",
    "cli",
]
OUTSIDE = {"sweep", "sweep.__main__"}
FILES = sorted([*ROOT.glob("sweep/**/*.py"), ROOT / "cli.py"])


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, with names of `from` imports that are modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_empty_package(path: Path) -> bool:
    return path.name == "__init__.py" and not path.read_text().strip()


def test_every_file_has_its_place_in_the_order():
    named = {module_name(path) for path in FILES if not is_empty_package(path)}
    assert named == set(ORDER) | OUTSIDE


@pytest.mark.parametrize("name", ORDER)
def test_imports_run_only_downwards(name):
    path = ROOT / (name.replace(".", "/") + ".py")
    allowed = ORDER[: ORDER.index(name)]
    upward = imports(path) & set(ORDER) - set(allowed)
    assert not upward


def test_the_report_never_imports_training_or_running():
    for path in ROOT.glob("sweep/report/*.py"):
        assert not {name for name in imports(path) if name.startswith(("sweep.train", "sweep.run"))}, path


def test_only_the_training_room_imports_torch():
    only_there = {"torch", "torchvision", "timm", "PIL", "pynvml"}
    for path in FILES:
        if "train" not in path.parts:
            assert not {name.split(".")[0] for name in imports(path)} & only_there, path


def test_frameworks_of_others_are_imported_by_their_own_callback_alone():
    theirs = {"lightning": "lightning.py", "transformers": "hugging_face.py", "accelerate": "hugging_face.py"}
    for path in FILES:
        found = {name.split(".")[0] for name in imports(path)} & theirs.keys()
        assert {theirs[name] for name in found} <= {path.name}, path


def test_the_engines_of_others_are_imported_by_their_own_executor_alone():
    theirs = {"ray": {"ray.py", "ray_cluster.py"}, "submitit": {"slurm_cluster.py", "queued.py"}}
    for path in FILES:
        found = {name.split(".")[0] for name in imports(path)} & theirs.keys()
        assert all(path.parent.name == "executors" and path.name in theirs[name] for name in found), path


def test_only_one_file_reads_a_clock():
    for path in FILES:
        if path.name != "clock.py":
            assert not imports(path) & {"time", "datetime"}, path


def test_only_one_file_opens_files_for_writing():
    writers = {"write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "mkdir", "makedirs", "rename", "replace"}
    for path in FILES:
        if path.name == "durable.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr in writers and owner in ("os", "tempfile", "shutil", "path", "Path", "file"):
                    pytest.fail(f"{path}:{node.lineno}: {ast.unparse(node)}")
                assert node.func.attr not in ("write_text", "write_bytes"), f"{path}:{node.lineno}"
            mode = opens_with_mode(node)
            assert mode is None or not set(mode) & set("wax+"), f"{path}:{node.lineno}"


def opens_with_mode(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name not in ("open", "fdopen"):
        return None
    modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    modes += [keyword.value.value for keyword in node.keywords if keyword.arg == "mode"]
    return modes[-1] if modes else None


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after `code`."""
    script = f"import sys\n{code}\nprint('MODULES', *sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    line = next(line for line in run.stdout.splitlines() if line.startswith("MODULES"))
    return set(line.split()[1:])


def loaded_after(code: str) -> set[str]:
    """The packages."""
    return {name.split(".")[0] for name in modules_after(code)}


HEAVY = {"torch", "torchvision", "numpy", "pandas", "sklearn", "scipy"}
AS_COMMAND = """
import sys
from sweep.__main__ import main
sys.argv = ["sweep", *{arguments!r}]
try:
    main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
"""


def test_importing_the_package_or_the_command_line_loads_nothing_heavy():
    assert not loaded_after("import sweep") & HEAVY
    assert not loaded_after("import cli") & HEAVY


def test_help_loads_nothing_heavy():
    assert not loaded_after(AS_COMMAND.format(arguments=["--help"])) & HEAVY
    assert not loaded_after(AS_COMMAND.format(arguments=["run", "--help"])) & HEAVY


def test_planning_loads_neither_torch_nor_pandas():
    loaded = loaded_after(AS_COMMAND.format(arguments=["plan", "fashion_mnist"]))
    assert not loaded & {"torch", "torchvision", "pandas", "sklearn", "ray", "submitit"}


def test_planning_loads_nothing_of_what_trains_or_writes_it_down():
    loaded = modules_after(AS_COMMAND.format(arguments=["plan", "imagenet_resnet50", "--ratios", "0.5,1"]))
    trains = ("sweep.run.session", "sweep.run.messages", "sweep.run.executors", "sweep.store.records", "sweep.api")
    assert "sweep.plan.stages" in loaded
    assert not {name for name in loaded if name.startswith(trains)}


def test_intervals_over_seeds_load_no_scipy():
    loaded = loaded_after(AS_COMMAND.format(arguments=["report", "reference-digits"]))
    assert not loaded & {"scipy", "torch"}


def test_training_the_small_recipes_loads_neither_torchvision_nor_scikit_learn(tmp_path):
    trained = (
        "from pathlib import Path; from sweep.api import run_request; from sweep.request import SweepRequest; "
        "from sweep.run.executors.inline import InlineExecutor; "
        f"done = run_request(SweepRequest('smoke', '0.5', results=Path({str(tmp_path)!r})), "
        "make_executor=lambda *placed: InlineExecutor()); assert done.is_complete"
    )
    loaded = loaded_after(trained)
    assert "torch" in loaded
    assert not loaded & {"torchvision", "sklearn", "scipy", "pandas", "PIL"}


def test_reporting_loads_no_torch(smoke_results):
    loaded = loaded_after(AS_COMMAND.format(arguments=["report", "--results", str(smoke_results)]))
    assert not loaded & {"torch", "torchvision"}
    assert "pandas" in loaded


def test_what_draws_is_loaded_only_where_something_is_drawn(smoke_results):
    drawing = {"altair", "vl_convert", "plotille"}
    report = ["report", "--results", str(smoke_results)]
    assert not loaded_after(AS_COMMAND.format(arguments=report)) & drawing
    assert loaded_after(AS_COMMAND.format(arguments=[*report, "--chart"])) & drawing == {"plotille"}


def test_the_public_names_resolve_lazily():
    import sweep

    assert {name for name in sweep.__all__ if getattr(sweep, name) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = sweep.nonsense
