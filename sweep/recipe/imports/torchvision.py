"""The command line of torchvision's reference script, references/classification/train.py -> a recipe that trains what
the command trains, the script's own defaults included.

The script steps its schedule once an epoch, and after a warm-up (SequentialLR) counts from the warm-up's end; its batch
size counts the images of one GPU.
"""

from __future__ import annotations

from sweep.recipe.imports.command import Command, read_command
from sweep.recipe.imports.draft import Draft, Imported
from sweep.recipe.imports.options import Given, Option, named, read_options
from sweep.recipe.imports.timm_options import OPTIONS as TIMM_OPTIONS
from sweep.recipe.imports.torchvision_options import OF_SCHEDULERS, OPTIONS, SCHEDULERS
from sweep.recipe.schedule import SCHEDULES

ORIGIN = "the command line of torchvision's references/classification/train.py"
_BY_NAME = named(OPTIONS)
_OF_WARMUP = ("lr_warmup_method", "lr_warmup_decay")
_OF_EMA = ("model_ema_steps", "model_ema_decay")
# Said even where they are the script's defaults: they are what one looks for in a recipe.
_ALWAYS = ("model", "epochs", "lr", "weight_decay", "train_crop_size", "val_resize_size", "val_crop_size")


def import_command(text: str, gpus: int | None = None) -> Imported:
    """The recipe of a command. `gpus`, where given, says how many there are in place of the launcher.

    Raises:
        UsageError: with everything in it that is wrong, or that the script does not have.
    """
    command = read_command(text, gpus)
    return _Translation(command, read_options(command.words, OPTIONS)).imported()


class _Translation:
    """One command in the making: each method sees to one subject."""

    def __init__(self, command: Command, given: Given) -> None:
        self._command = command
        self._given = given.values
        self._draft = Draft(ORIGIN, command.text)
        self._draft.complaints.problems.extend(given.problems)
        if len(set(given.unknown) & {option.shown for option in TIMM_OPTIONS}) > 1:
            fix = "and not the command"
            self._draft.refuse("looks like timm's train.py: give the args.yaml that it has written", fix=fix)

    def imported(self) -> Imported:
        if "test_only" in self._given:
            self._draft.refuse("with it the script trains nothing", "--test-only", fix="leave it out")
        self._by_table()
        self._data()
        self._batch()
        self._optimizer()
        self._schedule()
        self._warmup()
        self._amp()
        self._ema()
        self._draft.differs("the script takes no seed, and draws the order of images and their crops otherwise")
        return self._draft.finished()

    def _by_table(self) -> None:
        for option in OPTIONS:
            value = self._value(option.name)
            if option.key is not None and (option.name in _ALWAYS or value != option.default):
                self._draft.set(option.key, value, option.shown)
            elif option.reason is not None and option.name in self._given:
                self._draft.leave_out(option.shown, option.reason, option.changes and value != option.default)

    def _data(self) -> None:
        self._draft.set("dataset", "ImageNet", "--data-path", "the script takes any train/CLASS and val/CLASS")
        if "data_path" in self._given:
            self._draft.set("data_path", self._given["data_path"], "--data-path")
        else:
            self._draft.set("data_path", "data/imagenet", "--data-path", "its default is a folder of its authors'")
        self._draft.set("hflip_prob", 0.5, ORIGIN, "always, in the script")

    def _batch(self) -> None:
        size, processes = self._value("batch_size"), self._command.processes
        assert isinstance(size, int)
        remark = None
        if processes > 1:
            remark = f"{size} on each of {processes} GPUs"
            if "sync_bn" not in self._given:
                self._draft.differs(
                    f"BatchNorm saw the {size} images of a GPU; for that, and for less memory, write "
                    f"batch_size: {size} and gradient_accumulation_steps: {processes}"
                )
        self._draft.set("batch_size", size * processes, "--batch-size", remark)

    def _optimizer(self) -> None:
        name = str(self._value("opt")).lower()
        if name.startswith("sgd"):
            self._draft.set("opt", "sgd_nesterov" if "nesterov" in name else "sgd", "--opt")
            self._draft.set("momentum", self._value("momentum"), "--momentum")
            return
        if name == "adamw":
            self._draft.set("opt", "adamw", "--opt")
        elif name == "rmsprop":
            self._draft.leave_out("--opt rmsprop", "there are only sgd, sgd_nesterov and adamw", changes=True)
            self._draft.set("momentum", self._value("momentum"), "--momentum")
            return
        else:
            self._draft.refuse(f"the script has no {name!r}", "--opt", fix="sgd, sgd_nesterov, rmsprop or adamw")
        self._useless("momentum", f"{name} has none")

    def _schedule(self) -> None:
        name = str(self._value("lr_scheduler")).lower()
        if name not in SCHEDULERS:
            self._draft.refuse(f"the script has no {name!r}", "--lr-scheduler", fix=", ".join(SCHEDULERS))
            return
        self._draft.set("lr_scheduler", name, "--lr-scheduler")
        self._draft.set("lr_interval", "epoch", ORIGIN, "the script sets the rate once an epoch")
        for key in OF_SCHEDULERS:
            if key in SCHEDULES[name].keys:
                self._draft.set(key, self._value(key), _BY_NAME[key].shown)
            else:
                self._useless(key, f"{name} has no use for it")

    def _warmup(self) -> None:
        epochs = self._value("lr_warmup_epochs")
        if not epochs:
            for key in _OF_WARMUP:
                self._useless(key, "there is no warm-up")
            return
        for key in ("lr_warmup_epochs", *_OF_WARMUP):
            self._draft.set(key, self._value(key), _BY_NAME[key].shown)
        if str(self._value("lr_scheduler")).lower() == "steplr":
            remark = "the script counts from the end of the warm-up"
            self._draft.set("lr_step_origin", "warmup", "--lr-warmup-epochs", remark)

    def _amp(self) -> None:
        if "amp" in self._given:
            self._draft.set("amp", "fp16", "--amp", "the script's precision; bf16 needs no scaled loss")

    def _ema(self) -> None:
        if "model_ema" not in self._given:
            for key in _OF_EMA:
                self._useless(key, "there is no --model-ema")
            return
        self._draft.set("model_ema", True, "--model-ema")
        for key in _OF_EMA:
            self._draft.set(key, self._value(key), _BY_NAME[key].shown)

    def _useless(self, name: str, reason: str) -> None:
        if name in self._given:
            self._draft.leave_out(_BY_NAME[name].shown, reason)

    def _value(self, name: str) -> object:
        option: Option = _BY_NAME[name]
        return self._given.get(name, option.default)
