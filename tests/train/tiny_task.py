"""A task so small that a step costs next to nothing, whose weights depend on every batch and rate in their order."""

import torch
from torch import nn
from torch.optim import SGD

from sweep.train.data import epoch_order
from sweep.train.task import ImageTask

# The identity of every step that the loop has trained, in the order of training: seed, epoch, examples, rate.
trained = []


class TinyTask(ImageTask):
    """One weight, drawn towards the numbers of the examples. Counts what it is asked for."""

    def build_model(self, seed):
        model = nn.Linear(1, 1, bias=False)
        model.weight.data.fill_(seed + 1.0)
        return model

    def build_optimizer(self, model):
        self.optimizer = SGD(model.parameters(), lr=1.0, momentum=0.5)
        return self.optimizer

    def batches(self, seed, num_examples, start, stop):
        per_epoch = -(-num_examples // self.recipe.batch_size)
        for step in range(start, stop):
            epoch, index = divmod(step, per_epoch)
            examples = batches_of(self, seed, epoch, num_examples)[index]
            images = torch.tensor([float(example) for example in examples]).view(-1, 1) / 1000
            try:
                yield images, images
            finally:  # the step is done, with the rate that the loop has set
                trained.append((seed, epoch, examples, self.optimizer.param_groups[0]["lr"]))

    def warm_up_batch(self, seed, num_examples):
        return torch.ones(1, 1), torch.ones(1, 1)

    def loss(self, outputs, targets):
        return ((outputs - targets) ** 2).mean()

    def evaluate(self, model, *note_progress):
        return {"accuracy": 0.5, "loss": 1.0}


def batches_of(task, seed, epoch, num_examples):
    """The examples of an epoch's batches, as the tool draws them."""
    labels = task.source._labels
    order = epoch_order(seed, epoch, num_examples, task.recipe.method, labels).tolist()
    size = task.recipe.batch_size
    return [tuple(order[first : first + size]) for first in range(0, len(order), size)]
