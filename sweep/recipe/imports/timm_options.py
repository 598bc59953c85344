"""The arguments of timm's train.py (timm 0.4 to 1.0) as its args.yaml holds them, with its own defaults."""

from __future__ import annotations

from sweep.recipe.imports.options import Option

_WHERE_AND_HOW_OFTEN = "where, what and how often the script writes"
_OF_THE_MACHINE = "of the machine, or of how the script goes about it"
_OF_THE_FOLDER = "how its folder of data is laid out"
_TRAINED_ALREADY = "begins from trained weights, which no recipe does"
_INSIDE = "something inside the network other than by default"
_OTHER_LOSS = "another loss than cross-entropy"
_OF_MIXING = "mixing other than by batches, always, and by mixup or cutmix in equal parts"
_AUGMENTED = "an augmentation that there is none of here"
_OTHER_CROP = "other crops than random resized ones of 8 to 100 % of the image"
_OF_OPTIMIZER = "a setting of the optimizer"
_RATE = "a course of the rate that no schedule here has"
_BY_LAYER = "other rates for other layers"
_DISTILLED = "learns from another network"
_NORMALISED = "images are normalised by ImageNet's mean and sd"
_REPEATED = "repeated augmentation: several variants of an image in an epoch"
_RESUMED = "a sweep goes on by itself"


def _left_out(reason: str, *names: str) -> tuple[Option, ...]:
    return tuple(Option(name, object, reason=reason) for name in names)


def _missed(reason: str, *names: str, **defaults: object) -> tuple[Option, ...]:
    """Those that change the training, unless they are off or have their default."""
    off = tuple(Option(name, object, None, reason=reason, changes=True) for name in names)
    return off + tuple(Option(name, object, default, reason=reason, changes=True) for name, default in defaults.items())


TRANSLATED = (
    Option("model", default="resnet50"),
    Option("dataset", default=""),
    Option("data_dir"),
    Option("data"),
    Option("num_classes", int),
    Option("epochs", int, 300),
    Option("batch_size", int, 128),
    Option("grad_accum_steps", int, 1),
    Option("opt", default="sgd"),
    Option("lr", float),
    Option("lr_base", float, 0.1),
    Option("lr_base_size", int, 256),
    Option("lr_base_scale", default=""),
    Option("momentum", float, 0.9),
    Option("weight_decay", float, 2e-5),
    Option("clip_grad", float),
    Option("clip_mode", default="norm"),
    Option("smoothing", float, 0.1),
    Option("sched", default="cosine"),
    Option("sched_on_updates", bool, False),
    Option("min_lr", float, 0.0),
    Option("warmup_lr", float, 1e-5),
    Option("warmup_epochs", float, 5),
    Option("warmup_prefix", bool, False),
    Option("cooldown_epochs", float, 0),
    Option("decay_epochs", float),
    Option("decay_milestones", list, [90, 180, 270]),
    Option("decay_rate", float, 0.1),
    Option("lr_decay_fn"),
    Option("lr_cycle_limit", int, 1),
    Option("lr_cycle_mul", float, 1.0),
    Option("lr_cycle_decay", float, 0.5),
    Option("amp", bool, False),
    Option("native_amp", bool, False),
    Option("apex_amp", bool, False),
    Option("amp_dtype", default="float16"),
    Option("channels_last", bool, False, key="channels_last"),
    Option("torchcompile"),
    Option("model_ema", bool, False),
    Option("model_ema_decay", float, 0.9998),
    Option("mixup", float, 0.0, key="mixup_alpha"),
    Option("cutmix", float, 0.0, key="cutmix_alpha"),
    Option("mixup_off_epoch", int, 0),
    Option("reprob", float, 0.0, key="random_erase"),
    Option("remode", default="pixel"),
    Option("recount", int, 1),
    Option("aa"),
    Option("hflip", float, 0.5, key="hflip_prob"),
    Option("color_jitter", float, 0.4),
    Option("img_size", int),
    Option("input_size", list),
    Option("crop_pct", float),
    Option("seed", int, 42, key="seed"),
)

OPTIONS = (
    *TRANSLATED,
    *_missed(_TRAINED_ALREADY, "pretrained", "pretrained_path", "initial_checkpoint"),
    *_missed("a recipe is of the whole training", "start_epoch"),
    *_missed(_INSIDE, "gp", "drop", "drop_connect", "drop_path", "drop_block", "bn_momentum", "bn_eps", "model_kwargs"),
    *_missed(_INSIDE, "head_init_scale", "head_init_bias", "split_bn", in_chans=3, model_dtype="float32"),
    *_missed(_OTHER_LOSS, "jsd_loss", "bce_loss", "bce_sum", "bce_target_thresh", "bce_pos_weight"),
    *_missed(_OF_MIXING, "cutmix_minmax", mixup_prob=1.0, mixup_switch_prob=0.5, mixup_mode="batch"),
    *_missed(_AUGMENTED, "no_aug", "vflip", "color_jitter_prob", "grayscale_prob", "gaussian_blur_prob"),
    *_missed(_AUGMENTED, "aug_splits", "resplit"),
    *_missed(_REPEATED, "aug_repeats", "epoch_repeats"),
    *_missed(_OTHER_CROP, scale=[0.08, 1.0], ratio=[3 / 4, 4 / 3], train_crop_mode="rrc", crop_mode="center"),
    *_missed(
        "images are resized with bilinear interpolation", train_interpolation="bilinear", interpolation="bilinear"
    ),
    *_missed(_NORMALISED, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    *_missed(_OF_OPTIMIZER, "opt_eps", "opt_betas", "opt_kwargs"),
    *_missed(_BY_LAYER, "layer_decay"),
    *_missed(_RATE, "lr_noise", lr_k_decay=1.0),
    *_missed("the average begins gently", "model_ema_warmup"),
    *_missed(_DISTILLED, "kd_model_name"),
    *_missed("images of several sizes", "naflex_loader"),
    *_left_out("of lr_noise", "lr_noise_pct", "lr_noise_std"),
    *_left_out("of sched: plateau", "patience_epochs"),
    *_left_out("of sched: rsqrt", "lr_stable_timescale"),
    *_left_out("of layer_decay", "layer_decay_min_scale", "layer_decay_no_opt_scale"),
    *_left_out("of kd_model_name", "kd_model_kwargs", "kd_distill_type", "kd_temperature", "kd_loss_type"),
    *_left_out(
        "of kd_model_name", "distill_loss_weight", "task_loss_weight", "kd_feature_dim", "kd_student_feature_dim"
    ),
    *_left_out("of naflex_loader", "naflex_train_seq_lens", "naflex_max_seq_len", "naflex_patch_sizes"),
    *_left_out("of naflex_loader", "naflex_patch_size_probs", "naflex_loss_scale"),
    *_left_out(_RESUMED, "resume", "no_resume_opt", "wandb_resume_id"),
    *_left_out("BatchNorm sees the whole batch in any case, on the one device", "sync_bn", "dist_bn"),
    *_left_out(_OF_THE_FOLDER, "train_split", "val_split", "test_split", "train_num_samples", "val_num_samples"),
    *_left_out(_OF_THE_FOLDER, "dataset_download", "class_map", "input_img_mode", "input_key", "target_key"),
    *_left_out(_OF_THE_FOLDER, "dataset_trust_remote_code"),
    *_left_out(_OF_THE_MACHINE, "workers", "device", "device_modules", "local_rank", "pin_mem", "no_prefetcher"),
    *_left_out(_OF_THE_MACHINE, "prefetcher", "use_multi_epochs_loader", "worker_seeding", "no_ddp_bb", "fuser"),
    *_left_out(_OF_THE_MACHINE, "torchscript", "torchcompile_mode", "fast_norm", "grad_checkpointing", "opt_foreach"),
    *_left_out(_OF_THE_MACHINE, "synchronize_step", "model_ema_force_cpu", "amp_impl"),
    *_left_out(_OF_THE_MACHINE, "validation_batch_size", "tta", "rank", "world_size", "distributed", "aot_autograd"),
    *_left_out(_WHERE_AND_HOW_OFTEN, "output", "experiment", "log_interval", "recovery_interval", "checkpoint_hist"),
    *_left_out(_WHERE_AND_HOW_OFTEN, "save_images", "eval_metric", "log_wandb", "wandb_project", "wandb_tags"),
    *_left_out(_WHERE_AND_HOW_OFTEN, "val_interval", "wandb_dir", "wandb_entity", "config"),
)
# Without them a file is somebody else's.
MARKS = ("model", "sched", "opt", "epochs", "batch_size")
