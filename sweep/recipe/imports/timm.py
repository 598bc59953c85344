"""The args.yaml that timm's train.py writes into its output folder -> a recipe that trains what it trained, as far as a
recipe can say that.

The file holds every argument, given or not; but not how many GPUs there were, of which batch size and rate depend.
"""

from __future__ import annotations

from math import floor

from sweep.errors import Problem, RecipeError
from sweep.recipe.datasets import DATASETS
from sweep.recipe.imports.draft import Draft, Imported
from sweep.recipe.imports.timm_args import BY_NAME, Args
from sweep.recipe.imports.timm_options import MARKS, OPTIONS
from sweep.recipe.imports.timm_schedule import translate_schedule
from sweep.recipe.schema import Recipe
from sweep.recipe.spelling import nearest
from sweep.recipe.strict_yaml import survey_mapping

ORIGIN = "the args.yaml of timm's train.py"
_OPTIMIZERS = {"sgd": "sgd_nesterov", "nesterov": "sgd_nesterov", "momentum": "sgd", "adamw": "adamw"}
# Those whose rate grows with the square root of the batch, by a part of their names.
_ADAPTIVE = ("ada", "lamb")
_OF_THE_NETWORK = ("mean", "std", "interpolation")
_AUTO_AUGMENT = {"rand": "ra", "augmix": "augmix", "original": "imagenet", "originalr": "imagenet"}
_AUTO_AUGMENT |= {"v0": "imagenet", "v0r": "imagenet"}


def import_args(data: bytes, where: str, gpus: int | None = None) -> Imported:
    """The recipe of an args.yaml. `where` names the file; `gpus` says on how many it was trained.

    Raises:
        RecipeError: with everything in it that is wrong.
    """
    document = survey_mapping(data, where)
    if missing := [name for name in MARKS if name not in document.values]:
        message = f"no args.yaml of timm's train.py: it has no {', '.join(missing)}"
        raise RecipeError([*document.problems, Problem(message, where)])
    return _Translation(Args(document, where), where, gpus).imported()


class _Translation:
    """One file in the making: each method sees to one subject."""

    def __init__(self, args: Args, where: str, gpus: int | None) -> None:
        self._args = args
        self._gpus = gpus or 1
        self._draft = Draft(ORIGIN, where)
        self._draft.complaints.problems.extend(args.problems)
        if gpus is None:
            reason = "is not in the file, and batch size and rate depend on it: one was taken; say it with --gpus"
            self._draft.leave_out("the number of GPUs", reason, changes=True)

    def imported(self) -> Imported:
        self._by_table()
        self._unknown()
        self._data()
        self._images()
        self._batch()
        self._optimizer()
        self._rate()
        self._methods()
        self._ema()
        self._draft.differs("timm passes over the last, smaller batch of an epoch, which is trained here")
        return self._draft.finished()

    def _set(self, key: str, value: object, name: str, remark: str | None = None) -> None:
        self._draft.set(key, value, self._args.place(name), remark)

    def _by_table(self) -> None:
        for option in OPTIONS:
            value, is_given = self._args[option.name], option.name in self._args.values
            if option.key is not None and (is_given or value != Recipe.model_fields[option.key].default):
                self._set(option.key, value, option.name)
            elif option.reason is not None and is_given:
                is_off = not value or value == option.default
                reason = "as it is here, or off" if option.changes and is_off else option.reason
                self._draft.leave_out(option.name, reason, option.changes and not is_off)

    def _unknown(self) -> None:
        for name, value in self._args.values.items():
            if name not in BY_NAME:
                reason = f"an argument that is not known here{nearest(name, list(BY_NAME))}" if value else "off"
                self._draft.leave_out(name, reason, changes=bool(value))

    def _data(self) -> None:
        self._set("model", f"timm/{self._args['model']}", "model", "timm's network of this name")
        name = str(self._args["dataset"] or "")
        known = {dataset.casefold(): dataset for dataset in DATASETS}
        kind, _, rest = name.rpartition("/")
        dataset = known.get(rest.replace("_", "").casefold()) if kind == "torch" else None
        if dataset is None:
            is_imagenet = self._args["num_classes"] in (None, 1000) and (not name or "imagenet" in name.casefold())
            dataset = "ImageNet" if is_imagenet else "ImageFolder"
            self._set("dataset", dataset, "dataset", f"images in train/CLASS and val/CLASS; timm read {name or 'them'}")
        else:
            self._set("dataset", dataset, "dataset")
        if folder := self._args["data_dir"] or self._args["data"]:
            self._set("data_path", folder, "data_dir")

    def _images(self) -> None:
        size, remark = self._size()
        if size is None:
            return
        crop = self._args["crop_pct"]
        share = crop if isinstance(crop, float) and 0 < crop <= 1 else 0.875
        unsaid = None if crop else "timm's own for this network may be another one"
        self._set("train_crop_size", size, "img_size", remark)
        self._set("val_crop_size", size, "img_size", remark)
        self._set("val_resize_size", floor(size / share), "crop_pct", unsaid or f"{size} / {share}")
        if not all(self._args.values.get(name) for name in _OF_THE_NETWORK):
            self._draft.differs(
                "where the file has no mean, std or interpolation, timm takes the network's own; here they are "
                "ImageNet's, and bilinear"
            )

    def _size(self) -> tuple[int | None, str | None]:
        shape = self._args["input_size"]
        if isinstance(shape, list):
            if len(shape) == 3 and isinstance(shape[1], int) and shape[1] == shape[2]:
                return shape[1], None
            self._draft.refuse("images that are no squares", self._args.place("input_size"))
            return None, None
        side = self._args["img_size"]
        return (side, None) if isinstance(side, int) else (224, "timm's own for this network may be another one")

    def _batch(self) -> None:
        size = int(self._args.number("batch_size"))
        remark = f"{size} on each of {self._gpus} GPUs" if self._gpus > 1 else None
        self._set("batch_size", size * self._gpus, "batch_size", remark)
        if self._args.number("grad_accum_steps") > 1:
            self._set("gradient_accumulation_steps", self._args["grad_accum_steps"], "grad_accum_steps")
        if self._gpus > 1 and not self._args.values.get("sync_bn"):
            self._draft.differs(f"BatchNorm saw the {size} images of a GPU")

    @property
    def _examples(self) -> float:
        """Of an optimizer step."""
        accumulated = max(1.0, self._args.number("grad_accum_steps"))
        return max(1.0, self._args.number("batch_size") * self._gpus * accumulated)

    def _optimizer(self) -> None:
        name = str(self._args["opt"]).lower()
        if name in _OPTIMIZERS:
            remark = "timm's sgd is Nesterov's" if name == "sgd" else None
            self._set("opt", _OPTIMIZERS[name], "opt", remark)
        else:
            self._draft.leave_out(f"opt: {name}", "there are only sgd, sgd_nesterov and adamw", changes=True)
        if name != "adamw":
            self._set("momentum", self._args["momentum"], "momentum")
        self._set("weight_decay", self._args["weight_decay"], "weight_decay")
        if self._args["weight_decay"]:
            self._set("norm_weight_decay", 0.0, "weight_decay", "timm lets neither these nor biases decay")
            self._draft.differs("biases decay here too")

    def _rate(self) -> None:
        rate = self._args["lr"]
        if not isinstance(rate, float | int) or not rate:
            rate, remark = self._rate_of_batch()
            self._set("lr", rate, "lr_base", remark)
        else:
            self._set("lr", rate, "lr")
        translate_schedule(self._args, self._draft, float(rate))

    def _rate_of_batch(self) -> tuple[float, str]:
        """timm's rule where no rate is given: by the examples of a step, or by their square root."""
        scale = self._args["lr_base_scale"]
        if not scale:
            scale = "sqrt" if any(part in str(self._args["opt"]).lower() for part in _ADAPTIVE) else "linear"
        base, size = self._args.number("lr_base"), max(1, int(self._args.number("lr_base_size")))
        ratio = self._examples / size
        share = f"{self._examples:.0f} / {size}"
        if scale == "sqrt":
            return base * ratio**0.5, f"lr_base {base:g} x the square root of {share}"
        return base * ratio, f"lr_base {base:g} x {share}"

    def _methods(self) -> None:
        self._set("label_smoothing", self._args["smoothing"], "smoothing")
        if self._args["amp"] or self._args["native_amp"] or self._args["apex_amp"]:
            self._set("amp", "bf16" if self._args["amp_dtype"] == "bfloat16" else "fp16", "amp")
        if self._args["torchcompile"]:
            self._set("compile", True, "torchcompile")
        self._clipping()
        self._augmentation()
        if self._args["mixup_off_epoch"] and (self._args["mixup"] or self._args["cutmix"]):
            remark = "stays at this epoch at every ratio, unless scale_methods is true"
            self._set("mixup_off", self._args["mixup_off_epoch"], "mixup_off_epoch", remark)

    def _clipping(self) -> None:
        if not self._args["clip_grad"]:
            return
        if self._args["clip_mode"] == "norm":
            self._set("clip_grad_norm", self._args["clip_grad"], "clip_grad")
        else:
            self._draft.leave_out(f"clip_mode: {self._args['clip_mode']}", "clips other than by the norm", changes=True)

    def _augmentation(self) -> None:
        policy = str(self._args["aa"] or "")
        known = _AUTO_AUGMENT.get(policy.split("-")[0])
        if known is not None:
            self._set("auto_augment", known, "aa", f"torchvision's, at its usual strength; there {policy}")
        elif policy:
            self._draft.leave_out(f"aa: {policy}", "an augmentation that there is none of here", changes=True)
        if self._args["color_jitter"] and (not policy or "3a" in policy):
            self._draft.leave_out("color_jitter", "an augmentation that there is none of here", changes=True)
        elif "color_jitter" in self._args.values:
            self._draft.leave_out("color_jitter", "as it is here, or off")
        if self._args["reprob"] and (self._args["remode"] != "const" or self._args["recount"] != 1):
            reason = "what is erased becomes noise, or in several places; here one place becomes zero"
            self._draft.leave_out("remode, recount", reason, changes=True)

    def _ema(self) -> None:
        """timm's decay is that of every step; ours, torchvision's, is adjusted by batch and epochs."""
        if not self._args["model_ema"]:
            return
        epochs = self._draft.value("epochs")
        assert isinstance(epochs, float | int)
        decay = 1 - (1 - self._args.number("model_ema_decay")) * epochs / self._examples
        self._set("model_ema", True, "model_ema", "a copy until the warm-up is over, as torchvision's")
        self._set("model_ema_steps", 1, "model_ema")
        remark = f"{self._args['model_ema_decay']} a step: 1 - it, x {epochs:g} epochs / {self._examples:.0f} examples"
        self._set("model_ema_decay", decay, "model_ema_decay", remark)
