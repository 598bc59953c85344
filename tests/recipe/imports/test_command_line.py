"""Commands taken apart: launchers, quotes, continued lines; nothing in them is ever a shell's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import UsageError
from sweep.recipe.imports.command import MAX_CHARS, read_command


@pytest.mark.parametrize(
    ("launcher", "processes"),
    [
        ("", 1),
        ("python", 1),
        ("python -u", 1),
        ("CUDA_VISIBLE_DEVICES=0,1 OMP_NUM_THREADS=4 python", 1),
        ("torchrun", 1),
        ("torchrun --nproc_per_node=8", 8),
        ("torchrun --nproc-per-node 8 --master_port 29500", 8),
        ("torchrun --nnodes=4 --nproc_per_node=8", 32),
        ("python -m torch.distributed.launch --nproc_per_node=8 --use_env", 8),
        ("python -m torch.distributed.run --nnodes 2 --nproc-per-node 4", 8),
        ("srun -n 16 python", 16),
        ("srun -n16 python", 16),
        ("srun -N 2 --ntasks-per-node=8 --cpus-per-task 10 python", 16),
        ("srun -N4 --ntasks=4 torchrun --nnodes=4 --nproc_per_node=8", 32),
        ("srun -N 4 --ntasks-per-node=1 torchrun --nproc_per_node 8", 32),
    ],
)
def test_the_launcher_says_how_many_processes_there_are(launcher, processes):
    command = read_command(f"{launcher} references/classification/train.py --model resnet50 -n 3")
    assert command.processes == processes
    assert command.script == "references/classification/train.py"
    assert command.words == ("--model", "resnet50", "-n", "3")


@pytest.mark.parametrize("count", ["auto", "gpu", "0", "-1", "1:4", "$N", "8x", ""])
def test_a_number_that_is_none_is_asked_for(count):
    command = f"torchrun --nproc_per_node={count} train.py -b 2"
    with pytest.raises(UsageError, match="how many processes there are"):
        read_command(command)
    assert read_command(command, 8).processes == 8


def test_what_is_asked_for_goes_before_what_the_launcher_says():
    assert read_command("torchrun --nproc_per_node=8 train.py", 2).processes == 2


@pytest.mark.parametrize("end", ["\\\n", "\\\r\n", "\\  \n", "\\\t\n", "\n"])
def test_a_line_goes_on_behind_a_backslash(end):
    command = read_command(f"torchrun --nproc_per_node=8 train.py{end}    --model resnet50{end}--epochs 3")
    assert command.words == ("--model", "resnet50", "--epochs", "3")
    assert command.text == "torchrun --nproc_per_node=8 train.py --model resnet50 --epochs 3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'my data'", ("my data",)),
        ('"a\'b"', ("a'b",)),
        ("$(rm -rf x) `x`", ("$(rm", "-rf", "x)", "`x`")),
        ("$HOME ~ * ; && | > f", ("$HOME", "~", "*", ";", "&&", "|", ">", "f")),
        ("--a=\"$(x)\" 'it''s'", ("--a=$(x)", "its")),
        ("größer", ("größer",)),
    ],
)
def test_words_mean_themselves(text, words):
    assert read_command(f"python train.py {text}").words == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no script"),
        ("   ", "names no script"),
        ("torchrun --nproc_per_node=8", "names no script"),
        ("resnet50", "names no script"),
        ("python train.py 'x", "cannot be split: no closing quotation"),
        ('python train.py "', "cannot be split"),
        ("python train.py x\\", "cannot be split: no escaped character"),
        ("python train.py \0", "NUL"),
        ("python train.py \udcff", "no UTF-8"),
        ("python train.py " + "x" * MAX_CHARS, "characters"),
        ("'" * 10**6, "characters"),
    ],
)
def test_what_is_no_command_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        read_command(text)


@given(st.text(max_size=200))
def test_any_text_is_a_command_or_is_refused(text):
    try:
        command = read_command(text)
    except UsageError:
        return
    assert command.script.endswith(".py")
    assert "\n" not in command.text
