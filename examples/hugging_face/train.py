"""Trains a tiny BERT to say which kind of token is the most frequent, with Hugging Face's Trainer, without a download.

The Trainer's own linear schedule runs to the end of training, so that `--num_train_epochs` is all that has to scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EvalPrediction,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)

NUM_TOKENS, NUM_CLASSES, LENGTH = 16, 4, 12


@dataclass
class DataArguments:
    num_train: int = field(default=2000, metadata={"help": "sequences to train on"})


class Sequences(Dataset):
    """Random sequences of tokens; the label is which quarter of the tokens is the most frequent."""

    def __init__(self, num: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.tokens = generator.integers(0, NUM_TOKENS, (num, LENGTH))
        counts = np.stack([(self.tokens // 4 == quarter).sum(1) for quarter in range(NUM_CLASSES)], 1)
        self.labels = counts.argmax(1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor(self.tokens[index]), "labels": torch.tensor(self.labels[index])}


def metrics(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def main() -> None:
    training, data = HfArgumentParser((TrainingArguments, DataArguments)).parse_args_into_dataclasses()
    set_seed(training.seed)
    config = BertConfig(
        vocab_size=NUM_TOKENS,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        num_labels=NUM_CLASSES,
    )
    trainer = Trainer(
        model=BertForSequenceClassification(config),
        args=training,
        train_dataset=Sequences(data.num_train, seed=1),
        eval_dataset=Sequences(1000, seed=2),
        compute_metrics=metrics,
    )
    trained = trainer.train()
    trainer.save_metrics("train", trained.metrics)
    trainer.save_metrics("eval", trainer.evaluate())  # both are in all_results.json


if __name__ == "__main__":
    main()
