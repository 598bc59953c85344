"""The commands as a user meets them: what they print, what they write, and their exit codes."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

COLUMNS = (
    "recipe,ratio,realised_ratio,seed,method,epochs,steps,train_seconds,eval_seconds,data_wait_seconds,"
    "images_per_second,accuracy,loss,truncated_accuracy,dollars,joules,outcome,device,weights_sha256,other_set_up,"
    "set_up,ratio_text,examples,is_baseline,reason,contention,baseline_seconds"
)


def assert_refused(run, exit_code, *texts):
    assert run.returncode == exit_code, run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    for text in texts:
        assert text in run.stderr


def lengths_in(text):
    """The rows of the first table, as words."""
    lines = text.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith(" ───")) + 1
    return [line.split() for line in lines[begin : lines.index("", begin)]]


def test_a_sweep_trains_every_trial_and_ends_in_a_table(smoke_run):
    _, run = smoke_run
    assert run.returncode == 0, run.stderr
    finished = [line for line in run.stderr.splitlines() if ": finished" in line]
    assert len(finished) == 4
    assert [tuple(row[:3]) for row in lengths_in(run.stdout)] == [("0.5", "4", "92"), ("1.0", "8", "184")]
    for text in ("1 thread", "torch", "recipe smoke", "contention", "± "):
        assert text in run.stdout
    assert "\x1b" not in run.stdout + run.stderr


def test_a_finished_sweep_run_again_trains_nothing_and_shows_its_table(sweep, smoke_run):
    results, first = smoke_run
    journal = (results / "smoke" / "journal.jsonl").read_bytes()
    again = sweep("run", "smoke", "--ratios", "0.5,1.0", "--seeds", "2", "--results", results)
    assert again.returncode == 0
    assert again.stdout == first.stdout
    assert "finished" not in again.stderr
    assert (results / "smoke" / "journal.jsonl").read_bytes() == journal


def test_quiet_prints_nothing_but_the_table(sweep, smoke_run):
    results, first = smoke_run
    run = sweep("run", "smoke", "--ratios", "0.5,1.0", "--seeds", "2", "--results", results, "--quiet")
    assert (run.stdout, run.stderr) == (first.stdout, "")


def test_more_ratios_train_only_what_is_missing(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    run = sweep("run", "smoke", "--ratios", "0.5,0.75,1.0", "--results", tmp_path / "results")
    assert run.returncode == 0
    assert "3 trials, 2 of them done, 138 steps to train" in run.stderr
    assert [row[0] for row in lengths_in(run.stdout)] == ["0.5", "0.75", "1.0"]


@pytest.mark.slow
def test_a_longer_grid_pays_for_no_step_twice_and_the_report_says_what_sharing_saved(sweep, tmp_path):
    words = ("smoke", "--set", "lr_scheduler=wsd", "--set", "min_shared_steps=1", "--results", tmp_path)
    runs = [sweep("run", *words, "--ratios", ratios) for ratios in ("0.5,1.0", "0.5,1.0,2.0")]
    trained = [int(re.search(r"(\d+) steps to train", run.stderr)[1]) for run in runs]
    plan = json.loads(sweep("plan", *words, "--ratios", "0.5,1.0,2.0", "--format", "json").stdout)
    bill = json.loads(sweep("report", "--results", tmp_path, "--format", "json").stdout)["sweep"]
    # The longest run goes on from the end of the plateau of the one that was the longest before.
    assert (bill["steps"], bill["steps_again"]) == (sum(trained), 0) == (plan["steps_shared"], 0)
    assert bill["alone_steps"] == plan["steps_alone"] == 92 + 184 + 368
    rows = csv.DictReader(io.StringIO(sweep("report", "--results", tmp_path, "--format", "csv").stdout))
    assert bill["alone_seconds"] == pytest.approx(sum(float(row["train_seconds"]) for row in rows))
    assert re.search(
        r"the sweep itself: .* of training \(.* if each trial were trained alone: \d+ % saved\)", runs[1].stdout
    )


def test_a_later_price_replaces_the_first_without_training(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    arguments = ("run", "smoke", "--ratios", "0.5,1.0", "--seeds", "2", "--results", tmp_path / "results")
    sweep(*arguments, "--price", "1")
    run = sweep(*arguments, "--price", "3600")
    assert "dollars" in run.stdout
    assert "steps to train" not in run.stderr
    rows = csv.DictReader(io.StringIO(sweep("report", "--results", tmp_path / "results", "--format", "csv").stdout))
    for row in rows:
        assert float(row["dollars"]) == pytest.approx(float(row["train_seconds"]))


def test_the_csv_report_has_one_row_a_trial_and_stable_columns(sweep, smoke_results):
    run = sweep("report", "smoke", "--results", smoke_results, "--format", "csv")
    assert run.stdout.splitlines()[0] == COLUMNS
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [(row["ratio"], row["seed"]) for row in rows] == [("0.5", "0"), ("0.5", "1"), ("1.0", "0"), ("1.0", "1")]
    for row in rows:
        assert re.fullmatch("[0-9a-f]{64}", row["weights_sha256"])
        assert 0.5 < float(row["accuracy"]) <= 1
        assert (row["dollars"], row["joules"]) == ("", "")  # no price, and no counter
        assert (row["truncated_accuracy"] == "") == (row["ratio"] == "1.0")
    assert len({row["weights_sha256"] for row in rows}) == 4


def test_the_json_report_says_the_same_as_the_csv_report(sweep, smoke_results):
    trials = json.loads(sweep("report", "--results", smoke_results, "--format", "json").stdout)["trials"]
    table = csv.DictReader(io.StringIO(sweep("report", "--results", smoke_results, "--format", "csv").stdout))
    for row in trials:  # CSV has what is judged under its own name, and names the clock where it is not ours
        assert row.pop("quality") == row["accuracy"]
        assert row.pop("truncated_quality") == row["truncated_accuracy"]
        assert row.pop("train_seconds_source") is None
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in trials]
    assert texts == [{name: row[name] for name in texts[0]} for row in table]


def test_the_newest_sweep_is_reported_by_default(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    sweep("run", "smoke", "--ratios", "0.5", "--name", "later", "--results", tmp_path / "results")
    shutil.copytree(tmp_path / "results" / "smoke", tmp_path / "results" / "zzz")
    run = sweep("report", "--results", tmp_path / "results")
    assert len(lengths_in(run.stdout)) == 1
    assert "no trial has ratio 1.0" in run.stdout


def test_the_markdown_report_is_a_table(sweep, smoke_results):
    lines = sweep("report", "--results", smoke_results, "--format", "markdown").stdout.splitlines()
    assert lines[0].startswith("| ratio | epochs | steps | train time | cost | accuracy (seeds) |")
    assert {line.count(" | ") for line in lines[:4]} == {8}


@pytest.mark.parametrize(("threshold", "exit_code"), [("0.5", 0), ("50%", 0), ("0.9999", 1), ("99.99%", 1)])
def test_fail_under_judges_the_mean_accuracy_at_ratio_1(sweep, smoke_results, threshold, exit_code):
    run = sweep("report", "--results", smoke_results, "--fail-under", threshold)
    assert run.returncode == exit_code
    assert len(lengths_in(run.stdout)) == 2
    assert ("is under" in run.stderr) == (exit_code == 1)


def test_fail_under_looks_at_the_ratio_it_is_told(sweep, smoke_results):
    assert_refused(sweep("report", "--results", smoke_results, "--fail-under", "1%", "--at", "0.3"), 1, "ratio 0.3")
    assert sweep("report", "--results", smoke_results, "--fail-under", "1%", "--at", "1/2").returncode == 0


def test_fresh_sets_the_old_results_aside_and_says_so(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    run = sweep("run", "smoke", "--ratios", "0.5", "--results", tmp_path / "results", "--fresh")
    assert "smoke~1" in run.stderr
    assert run.returncode == 0
    old, new = (tmp_path / "results" / name / "journal.jsonl" for name in ("smoke~1", "smoke"))
    assert old.read_bytes() == (smoke_results / "smoke" / "journal.jsonl").read_bytes()
    assert new.read_bytes().count(b'"kind":"stage"') == 1


def test_a_changed_recipe_is_refused_with_each_difference(sweep, smoke_results):
    run = sweep(
        "run", "smoke", "--set", "lr=0.2", "--set", "batch_size=32", "--ratios", "1.0", "--results", smoke_results
    )
    assert_refused(run, 2, "lr was 0.1, now 0.2", "batch_size was 64, now 32", "--fresh")


def test_other_threads_are_refused(sweep, smoke_results):
    run = sweep("run", "smoke", "--ratios", "0.25", "--threads", "2", "--results", smoke_results)
    assert_refused(run, 2, "threads was 1, now 2")


def test_dry_run_prints_the_plan_and_writes_nothing(sweep, tmp_path):
    dry = sweep("run", "digits", "--dry-run", "--results", tmp_path / "results")
    assert dry.returncode == 0
    assert dry.stdout == sweep("plan", "digits").stdout
    assert not list(tmp_path.iterdir())


def test_the_plan_shows_what_will_run(sweep):
    run = sweep("plan", "fashion_mnist", "--ratios", "0.3,0.5,1.0", "--seeds", "2")
    rows = [line.split() for line in run.stdout.splitlines() if "▁" in line]
    assert rows[0][:5] == ["0.3", "0.25", "4", "1876", "469"]
    assert rows[1][:5] == ["0.5", "0.5", "8", "3752", "469"]
    assert rows[2][5:11] == ["8,", "12,", "15", "0.002", "0.2", "0.0002"]
    # The shortest run is the same as the others up to its own first decay, and the next one up to its.
    assert "6 trials\nsteps: 26264 alone, 20636 shared (21 % saved)\n" in run.stdout
    assert "stages of one seed" in run.stdout


def test_the_plan_as_json_holds_the_same(sweep):
    document = json.loads(sweep("plan", "fashion_mnist", "--ratios", "0.3,1.0", "--format", "json").stdout)
    assert (document["steps_alone"], document["steps_shared"], document["total_steps"]) == (9380, 8442, 8442)
    assert [run["realised_ratio"] for run in document["runs"]] == [0.25, 1.0]
    assert document["runs"][1]["decay_epochs"] == [8.0, 12.0, 15.0]


def test_the_rates_file_has_every_step_by_repr(sweep, tmp_path):
    path = tmp_path / "rates.csv"
    assert sweep("plan", "smoke", "--ratios", "0.5,1", "--rates", path).returncode == 0
    lines = path.read_text().splitlines()
    assert lines[0] == "ratio,step,epoch,lr"
    assert lines[1] == "0.5,0,0.0,0.001"
    assert len(lines) == 1 + 92 + 184
    rows = list(csv.DictReader(lines))
    assert [int(row["step"]) for row in rows] == [*range(92), *range(184)]
    assert all(repr(float(row["lr"])) == row["lr"] for row in rows)


def test_the_rates_file_has_a_column_for_each_value_that_methods_schedule(sweep, tmp_path):
    path = tmp_path / "rates.csv"
    methods = ("swa=true", "progressive_resizing=true", "cutmix_alpha=1", "mixup_off=3", "layer_freezing=true")
    settings = [part for setting in methods for part in ("--set", setting)]
    assert sweep("plan", "smoke", "--ratios", "0.5", "--rates", path, *settings).returncode == 0
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0])[3:] == ["lr", "image_size", "frozen_share", "mixup", "swa"]
    assert [rows[step]["image_size"] for step in (59, 60)] == ["4", "8"]
    assert [rows[step]["mixup"] for step in (68, 69)] == ["1", "0"]
    assert [step for step, row in enumerate(rows) if row["swa"] == "1"] == [63, 86]
    assert [rows[step]["frozen_share"] for step in (68, 69)] == ["0.0", "0.5"]


def test_a_rates_file_that_cannot_be_written_is_an_error_of_the_machine(sweep, tmp_path):
    assert_refused(sweep("plan", "smoke", "--rates", tmp_path / "absent" / "rates.csv"), 3, "rates.csv")


def test_mistakes_in_options_and_recipe_are_reported_at_once(sweep, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("model: small_cnn\ndataset: digits\nepochs: -3\nlearning_rate: 0.1\n")
    run = sweep(
        "run", recipe, "--ratios", "0.5,x", "--seeds", "0", "--device", "tpu", "--price", "-1", "--threads", "0"
    )
    assert_refused(
        run,
        2,
        "mine.yaml:3: epochs",
        "mine.yaml:4: learning_rate",
        "--ratios",
        "--seeds",
        "--device",
        "--price",
        "--threads",
    )


@pytest.mark.parametrize(
    "ratios", ["0", "-1", "nan", "inf", "", "0.5,0.5", "0.5,1/2", "1e999999999", "0.26,0.27", "0.5:0.1:0.1"]
)
def test_impossible_ratios_are_refused(sweep, ratios, tmp_path):
    run = sweep("run", "digits", f"--ratios={ratios}", "--results", tmp_path / "results")
    assert_refused(run, 2, "--ratios")
    assert not list(tmp_path.iterdir())


def test_a_warning_stands_under_the_plan_and_before_the_run(sweep, tmp_path):
    arguments = ("smoke", "--ratios", "1/8", "--set", "lr_gamma=0.5")
    for run in (sweep("plan", *arguments), sweep("run", *arguments, "--results", tmp_path)):
        text = run.stdout + run.stderr
        assert "warning: --set: lr_gamma: ignored" in text
        assert "lr_warmup_epochs: ratio 1/8: the warm-up is 52 % of the run" in text


@pytest.mark.parametrize("method", ["steps", "samples", "subset"])
def test_every_method_trains(sweep, tmp_path, method):
    run = sweep("run", "smoke", "--ratios", "0.4,1", "--method", method, "--results", tmp_path)
    assert run.returncode == 0, run.stderr
    steps = {"steps": "73", "samples": "72", "subset": "72"}[method]
    assert any(line.split()[0] == "0.4" and steps in line.split() for line in run.stdout.splitlines() if line.strip())


def test_a_diverged_trial_is_a_row_and_the_others_go_on(sweep, tmp_path):
    # Measured: at 1e30 the first update spoils the weights at every ratio; the ramp at half the run keeps none alive.
    arguments = ("run", "smoke", "--ratios", "0.5,1.0", "--set", "lr=1e30", "--results", tmp_path)
    run = sweep(*arguments)
    assert run.returncode == 1
    assert len(re.findall(r"seed 0: diverged at step \d+", run.stdout)) == 2
    rows = list(csv.DictReader(io.StringIO(sweep("report", "--results", tmp_path, "--format", "csv").stdout)))
    assert {(row["outcome"], row["accuracy"], row["train_seconds"]) for row in rows} == {("diverged", "", "")}
    again = sweep(*arguments)
    assert again.returncode == 1
    assert "steps to train" not in again.stderr


@pytest.mark.slow
def test_the_default_recipe_keeps_what_it_promises(sweep, tmp_path):
    assert sweep("run", "--ratios", "0.25,1.0", "--seeds", "3", "--results", tmp_path).returncode == 0
    assert sweep("report", "digits", "--results", tmp_path, "--fail-under", "97%").returncode == 0
    rows = list(csv.DictReader(io.StringIO(sweep("report", "--results", tmp_path, "--format", "csv").stdout)))
    quarter, whole = ([float(row["accuracy"]) for row in rows if row["ratio"] == ratio] for ratio in ("0.25", "1.0"))
    assert len(quarter) == len(whole) == 3
    assert sum(quarter) / 3 < sum(whole) / 3 - 0.005  # visibly lower: by more than half a point


def test_recipes_are_listed_and_shown(sweep):
    rows = [line.split() for line in sweep("recipes", "list").stdout.splitlines()[4:]]
    assert [row[0] for row in rows if row] == [
        "cifar10_resnet18",
        "digits",
        "fashion_mnist",
        "fashion_mnist_wsd",
        "imagenet_resnet50",
        "smoke",
    ]
    shown = sweep("recipes", "show", "digits").stdout
    assert shown == (Path(__file__).parent.parent / "recipes" / "digits.yaml").read_text()
    assert_refused(sweep("recipes", "show", "digit"), 2, "did you mean 'digits'?")


def test_absent_data_stops_before_anything_trains_with_the_command_that_gets_it(sweep, tmp_path):
    run = sweep("run", "fashion_mnist", "--set", f"data_path={tmp_path}", "--results", tmp_path / "results")
    assert_refused(run, 3, "FashionMNIST is absent", f"sweep data get FashionMNIST --data-path {tmp_path}")
    assert not (tmp_path / "results" / "fashion_mnist" / "journal.jsonl").exists()


def test_a_file_where_the_results_should_be_is_an_error_of_the_machine(sweep, tmp_path):
    (tmp_path / "results").write_text("in the way")
    assert_refused(sweep("run", "smoke", "--results", tmp_path / "results"), 3, "a file is in the way")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", ".hidden", "-x", "x" * 100, ""])
def test_names_that_leave_the_results_folder_are_refused(sweep, tmp_path, name):
    assert_refused(sweep("run", "smoke", "--results", tmp_path / "results", f"--name={name}"), 2, "--name")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_stops_reading_gets_no_complaint(command, smoke_results):
    pipeline = f"'{command}' report --results '{smoke_results}' --format csv | head -c 10"
    run = subprocess.run(["bash", "-o", "pipefail", "-c", pipeline], capture_output=True, text=True)
    assert run.stdout == "recipe,rat"
    assert "Traceback" not in run.stderr
    assert "BrokenPipe" not in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--format", "json"],
        ["report"],
        ["plan", "digits"],
        ["plan", "digits", "--format", "json"],
        ["recipes", "list"],
    ],
)
def test_a_reader_that_never_reads_is_no_failure(command, smoke_results, tmp_path, arguments):
    where = ["--results", str(smoke_results)] if arguments[0] == "report" else []
    words = " ".join(f"'{word}'" for word in [command, *arguments, *where])
    run = subprocess.run(["bash", "-c", f"{words} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_sweep_whose_progress_nobody_reads_goes_on_to_its_end(command, tmp_path):
    words = f"'{command}' run smoke --ratios 0.25,0.5 --results '{tmp_path}' 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", words], capture_output=True).returncode == 0
    assert (tmp_path / "smoke" / "journal.jsonl").read_bytes().count(b'"outcome":"finished"') == 2


def test_a_full_standard_output_is_an_error_of_the_machine(command):
    with open("/dev/full", "w") as full:
        run = subprocess.run([command, "plan", "digits"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 3
    assert "No space left on device" in run.stderr
    assert "mistake of ours" not in run.stderr


def test_rates_can_go_to_a_device_and_leave_it_one(sweep):
    assert sweep("plan", "smoke", "--ratios", "0.5", "--rates", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


def test_a_link_to_a_rates_file_stays_a_link(sweep, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "target.csv")
    assert sweep("plan", "smoke", "--ratios", "0.5", "--rates", tmp_path / "link.csv").returncode == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "target.csv").read_text().startswith("ratio,step,epoch,lr")


def test_a_recipe_whose_name_is_no_sweeps_name_asks_for_one(sweep, tmp_path):
    recipe = tmp_path / "my recipe.yaml"
    recipe.write_text("model: small_cnn\ndataset: digits\nepochs: 8\n")
    for words in ("plan", "run"):
        assert_refused(sweep(words, recipe, cwd=tmp_path), 2, "my recipe.yaml: 'my recipe'", "give one with --name")
    assert sweep("plan", recipe, "--name", "mine").returncode == 0


def test_a_mistake_is_one_line_whatever_the_name_of_the_file(sweep, tmp_path):
    run = sweep("plan", "./no\nerror: all is well\x1b[1A.yaml", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith(r"error: ./no error: all is well\x1b[1A.yaml: there is no such file")
    assert run.stderr.count("\n") == 1


def test_an_option_and_a_setting_of_one_key_are_refused(sweep):
    run = sweep("plan", "smoke", "--set", "method=steps", "--method", "epochs", "--set", "threads=2", "--threads", "3")
    assert_refused(run, 2, "--set: method: given twice", "--set: threads: given twice")


@pytest.mark.slow
def test_a_length_asked_for_after_its_baseline_says_why_its_control_is_blank(sweep, tmp_path):
    for ratios in ("1.0", "0.3,1.0"):
        run = sweep("run", "smoke", "--method", "steps", "--ratios", ratios, "--results", tmp_path)
    assert "truncated is blank where ratio 1.0 was trained before that length was asked for" in run.stdout


def test_a_damaged_sweep_is_not_called_absent(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    journal = tmp_path / "results" / "smoke" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"kind":"start"', b'"kind":"stars"'))
    assert_refused(sweep("report", "smoke", "--results", tmp_path / "results"), 3, "damaged", "sweep run repairs it")


@pytest.mark.slow
def test_jobs_train_the_same_weights_as_one_after_the_other(sweep, smoke_results, tmp_path):
    run = sweep("run", "smoke", "--ratios", "0.5,1.0", "--seeds", "2", "--jobs", "2", "--results", tmp_path)
    assert run.returncode == 0, run.stderr
    assert "up to 2 trials at a time" in run.stdout

    def weights(results):
        text = sweep("report", "smoke", "--results", results, "--format", "csv").stdout
        return {(row["ratio"], row["seed"]): row["weights_sha256"] for row in csv.DictReader(io.StringIO(text))}

    assert weights(tmp_path) == weights(smoke_results)
    assert {path.name for path in (tmp_path / "smoke" / "logs").iterdir()} == {"worker-1.log", "worker-2.log"}


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_impossible_jobs_are_refused(sweep, jobs, tmp_path):
    for words in ("plan", "run"):
        assert_refused(sweep(words, "smoke", f"--jobs={jobs}", "--results", tmp_path / "results"), 2, "--jobs")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--jobs-per-device", "0"), "0 is not a number of jobs from 1 to 64"),
        (("--jobs-per-device", "65"), "65 is not a number of jobs from 1 to 64"),
        (("--jobs-per-device", "2", "--device", "cpu"), "there is no GPU that jobs could share"),
        (("--jobs-per-device", "2", "--executor", "ray"), "is not for --executor ray"),
    ],
)
def test_jobs_that_cannot_share_a_device_are_refused(sweep, options, said, tmp_path):
    assert_refused(sweep("run", "smoke", *options, "--results", tmp_path / "results"), 2, "--jobs-per-device", said)
    assert not list(tmp_path.iterdir())


def test_jobs_on_gpus_that_are_not_there_are_refused_before_anything_is_touched(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    arguments = ("--jobs", "2", "--device", "cuda", "--results", tmp_path / "results", "--fresh")
    assert_refused(sweep("run", "smoke", *arguments), 2, "2 jobs, but 0 GPUs")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["smoke"]


def test_events_for_a_program_are_json_lines_and_nothing_else(sweep, tmp_path):
    run = sweep("run", "smoke", "--ratios", "0.25,0.5", "--results", tmp_path, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    documents = [json.loads(line) for line in run.stdout.splitlines()]
    assert documents[0]["event"] == "sweep_started"
    ended = [document for document in documents if document["event"] == "trial_ended"]
    assert sorted(document["ratio"] for document in ended) == ["0.25", "0.5"]
    assert documents[-1] == {
        "event": "sweep_ended",
        "name": "smoke",
        "num_trials": 2,
        "num_finished": 2,
        "stopped_by": None,
    }


def test_sweeps_are_listed(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    sweep("run", "smoke", "--name", "bad", "--ratios", "1", "--set", "lr=1e30", "--results", tmp_path / "results")
    lines = sweep("list", "--results", tmp_path / "results").stdout.splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert re.search(r"smoke +complete +4 of 4 +[0-9.]+ k?B +(just now|\d+ min ago)", rows["smoke"])
    assert re.search(r"smoke +1 failed +0 of 1 ", rows["bad"])
    empty = sweep("list", "--results", tmp_path / "absent")
    assert empty.returncode == 0
    assert "there is no sweep" in empty.stdout


@pytest.fixture
def plateau(sweep, tmp_path):
    """A small sweep that has kept states, and how it was asked for."""
    words = ("run", "smoke", "--set", "lr_scheduler=wsd", "--set", "min_shared_steps=1", "--results", tmp_path)
    assert sweep(*words, "--ratios", "0.25,0.5").returncode == 0
    assert list(tmp_path.glob("smoke/states/*/*.state"))
    return words


def test_states_are_shown_before_they_are_removed_and_nobody_is_asked_without_a_terminal(sweep, plateau, tmp_path):
    shown = sweep("clean", "--results", tmp_path)
    assert_refused(shown, 2, "give --yes")
    [row] = [line for line in shown.stdout.splitlines() if line.startswith("  smoke ")]
    assert re.search(r"smoke +\d+ +[0-9.]+ kB +the next longer or denser grid trains from the beginning", row)
    assert list(tmp_path.glob("smoke/states/*/*.state"))

    done = sweep("clean", "smoke", "--results", tmp_path, "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "smoke: removed")
    assert not list(tmp_path.glob("smoke/states/*"))
    again = sweep("clean", "--results", tmp_path, "--yes")
    assert (again.returncode, again.stdout) == (0, "no states to remove\n")


def test_without_its_states_a_longer_grid_trains_from_the_beginning_and_what_is_done_stays(sweep, plateau, tmp_path):
    sweep("clean", "--results", tmp_path, "--yes")
    longer = sweep(*plateau, "--ratios", "0.25,0.5,1.0")
    assert longer.returncode == 0
    assert "3 trials, 2 of them done, 184 steps to train" in longer.stderr


def test_the_states_of_a_sweep_that_is_running_are_not_removed(sweep, plateau, tmp_path):
    from sweep.store.workspace import Workspace

    with Workspace(tmp_path / "smoke").locked():
        run = sweep("clean", "smoke", "--results", tmp_path, "--yes")
    assert_refused(run, 3, "in use by process")
    assert "it is running: they cannot be removed" in run.stdout
    assert list(tmp_path.glob("smoke/states/*/*.state"))


def test_the_doctor_finds_what_is_there_and_what_mends_what_is_not(sweep, tmp_path):
    run = sweep("doctor", "--results", tmp_path / "results", "--data-path", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"torch +ok +torch 2\.", run.stdout)
    assert re.search(r"digits +ok ", run.stdout)
    assert f"FashionMNIST: get it with: sweep data get FashionMNIST --data-path {tmp_path}" in run.stdout
    assert not list(tmp_path.iterdir())


def test_the_doctor_fails_where_nothing_could_be_written(sweep, tmp_path):
    (tmp_path / "results").write_text("in the way")
    run = sweep("doctor", "--results", tmp_path / "results")
    assert run.returncode == 3
    assert re.search(r"results +broken", run.stdout)


def test_an_unknown_dataset_is_refused_with_the_nearest(sweep, tmp_path):
    assert_refused(sweep("data", "get", "fashionmnist", "--data-path", tmp_path), 2, "did you mean 'FashionMNIST'?")


def test_data_that_is_there_is_left_alone(sweep, tmp_path):
    run = sweep("data", "get", "digits", "--data-path", tmp_path)
    assert (run.returncode, run.stdout) == (0, "digits: is there already\n")


def test_the_data_path_is_an_option(sweep, tmp_path):
    run = sweep("run", "fashion_mnist", "--data-path", tmp_path, "--results", tmp_path / "results")
    assert_refused(run, 3, f"sweep data get FashionMNIST --data-path {tmp_path}")
    twice = sweep("plan", "smoke", "--data-path", "a", "--set", "data_path=b")
    assert_refused(twice, 2, "--set: data_path: given twice, by --set and by --data-path")


def test_a_kept_reference_is_shown_and_not_trained_in(sweep):
    root = Path(__file__).parent.parent
    journal = (root / "results" / "reference-fashion-mnist" / "journal.jsonl").read_bytes()
    for words in (["run"], ["run", "--fresh"], ["plan"]):
        run = sweep(*words, "fashion_mnist", "--name", "reference-fashion-mnist", cwd=root)
        assert_refused(run, 2, "read-only")
    assert sweep("report", "reference-fashion-mnist", cwd=root).returncode == 0
    assert (root / "results" / "reference-fashion-mnist" / "journal.jsonl").read_bytes() == journal


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sweep run di", {"digits"}),
        ("sweep data get Fa", {"FashionMNIST"}),
        ("sweep report ref", {"reference-digits", "reference-fashion-mnist"}),
        ("sweep clean ref", {"reference-digits", "reference-fashion-mnist"}),
        ("sweep plan smoke --rat", {"--ratios", "--rates"}),
        ("sweep re", {"report", "recipes"}),
    ],
)
def test_tab_completes_commands_options_recipes_datasets_and_sweeps(command, typed, offered):
    environment = os.environ | {
        "_SWEEP_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    run = subprocess.run(
        [command], env=environment, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True
    )
    assert set(run.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_completion_is_shown(command, shell):
    # A test may have no shell above it that could be asked for its name; so it is given.
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    run = subprocess.run([command, "--show-completion", shell], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "_SWEEP_COMPLETE" in run.stdout


def test_a_program_gets_the_plan_as_json_and_no_half_measures(sweep, tmp_path):
    dry = sweep("run", "smoke", "--dry-run", "--json", "--results", tmp_path)
    assert json.loads(dry.stdout)["total_steps"] == 46 + 92 + 184
    assert_refused(sweep("run", "smoke", "--json", "--quiet", "--results", tmp_path), 2, "--quiet")


def test_a_sweep_that_cannot_be_read_is_listed_as_such(sweep, smoke_results, tmp_path):
    shutil.copytree(smoke_results, tmp_path / "results")
    (tmp_path / "results" / "broken").mkdir()
    (tmp_path / "results" / "broken" / "journal.jsonl").write_text("nothing that makes sense\n")
    run = sweep("list", "--results", tmp_path / "results")
    assert run.returncode == 0
    assert re.search(r"broken +damaged", run.stdout)
    assert re.search(r"smoke +smoke +complete", run.stdout)


def test_the_doctor_needs_none_of_the_packages_that_it_looks_for(command, tmp_path):
    for package in ("numpy", "pandas"):
        (tmp_path / f"{package}.py").write_text("raise ModuleNotFoundError('not here')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run([command, "doctor"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "internal error" not in run.stderr
    assert re.search(r"torch +broken", run.stdout)
    assert run.returncode == 3
