"""The options of torchvision's reference script, references/classification/train.py, of torchvision 0.21 to 0.29, with
its defaults; and two of older releases that published commands hold.
"""

from __future__ import annotations

from sweep.recipe.imports.options import Option

_WHERE_AND_HOW_OFTEN = "where and how often the script writes"
_OF_THE_MACHINE = "of the machine, not of the recipe"
_SAME_IMAGES = "how images are decoded and cut, to the same images but for rounding"
_TRAINED_ALREADY = "begins from trained weights, which no recipe does"
_REPEATED = "repeated augmentation: several variants of an image in an epoch, of fewer images"

# The script's schedulers, and their keys.
SCHEDULERS = ("steplr", "cosineannealinglr", "exponentiallr")
OF_SCHEDULERS = ("lr_step_size", "lr_gamma", "lr_min")

OPTIONS = (
    Option("model", default="resnet18", key="model"),
    Option("data_path"),
    Option("epochs", int, 90, key="epochs"),
    Option("batch_size", int, 32, also=("-b",)),
    Option("opt", default="sgd"),
    Option("lr", float, 0.1, key="lr"),
    Option("momentum", float, 0.9),
    Option("weight_decay", float, 1e-4, key="weight_decay", also=("--wd",)),
    Option("norm_weight_decay", float, key="norm_weight_decay"),
    Option("bias_weight_decay", float, reason="a weight decay of biases alone", changes=True),
    Option("transformer_embedding_decay", float, reason="a weight decay of embeddings alone", changes=True),
    Option("label_smoothing", float, 0.0, key="label_smoothing"),
    Option("mixup_alpha", float, 0.0, key="mixup_alpha"),
    Option("cutmix_alpha", float, 0.0, key="cutmix_alpha"),
    Option("lr_scheduler", default="steplr"),
    Option("lr_warmup_epochs", int, 0),
    Option("lr_warmup_method", default="constant"),
    Option("lr_warmup_decay", float, 0.01),
    Option("lr_step_size", int, 30),
    Option("lr_gamma", float, 0.1),
    Option("lr_min", float, 0.0),
    Option("auto_augment", key="auto_augment"),
    Option("ra_magnitude", int, 9, reason="another strength of RandAugment than the usual 9", changes=True),
    Option("augmix_severity", int, 3, reason="another strength of AugMix than the usual 3", changes=True),
    Option("random_erase", float, 0.0, key="random_erase"),
    Option("clip_grad_norm", float, key="clip_grad_norm"),
    Option("amp", bool),
    Option("model_ema", bool),
    Option("model_ema_steps", int, 32),
    Option("model_ema_decay", float, 0.99998),
    Option("interpolation", default="bilinear", reason="images are resized with bilinear interpolation", changes=True),
    Option("train_crop_size", int, 224, key="train_crop_size"),
    Option("val_resize_size", int, 256, key="val_resize_size"),
    Option("val_crop_size", int, 224, key="val_crop_size"),
    Option("ra_sampler", bool, False, reason=_REPEATED, changes=True),
    Option("ra_reps", int, reason="of --ra-sampler"),
    Option("weights", reason=_TRAINED_ALREADY, changes=True),
    Option("pretrained", bool, False, reason=_TRAINED_ALREADY, changes=True),
    Option("apex", bool, False, reason="NVIDIA's Apex; amp: fp16 is its successor", changes=True),
    Option("sync_bn", bool, reason="BatchNorm sees the whole batch in any case, on the one device"),
    Option("resume", reason="a sweep goes on by itself"),
    Option("start_epoch", int, 0, reason="a recipe is of the whole training", changes=True),
    Option("test_only", bool),
    Option("device", reason=_OF_THE_MACHINE),
    Option("workers", int, reason=_OF_THE_MACHINE, also=("-j",)),
    Option("world_size", int, reason="the launcher says how many processes there are"),
    Option("dist_url", reason=_OF_THE_MACHINE),
    Option("use_deterministic_algorithms", bool, reason="no matter here: what is trained is deterministic on the CPU"),
    Option("cache_dataset", bool, reason="keeps the list of images for the next start"),
    Option("backend", reason=_SAME_IMAGES),
    Option("use_v2", bool, reason=_SAME_IMAGES),
    Option("print_freq", int, reason=_WHERE_AND_HOW_OFTEN),
    Option("output_dir", reason=_WHERE_AND_HOW_OFTEN),
)
