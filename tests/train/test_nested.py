from collections import namedtuple

import torch

from sweep.train.nested import head, num_examples, tensors, to_device

META = torch.device("meta")
Pair = namedtuple("Pair", "left right")


class Bag:
    """Knows by itself how to go to a device, as BatchEncoding does."""

    def __init__(self, device="cpu"):
        self.device = device

    def to(self, device):
        return Bag(device)


def test_every_tensor_of_a_structure_goes_to_the_device():
    batch = {"ids": torch.zeros(3), "more": [torch.zeros(2), (torch.zeros(1), "name")], "pair": Pair(torch.ones(1), 7)}
    there = to_device(batch, META)
    assert [tensor.device for tensor in tensors(there)] == [META] * 4
    assert there["more"][1][1] == "name"
    assert isinstance(there["pair"], Pair)
    assert there["pair"].right == 7
    assert to_device(Bag(), META).device == META


def test_a_batch_has_as_many_examples_as_its_first_tensor_has_rows():
    assert num_examples(torch.zeros(5, 2)) == 5
    assert num_examples({"scale": torch.tensor(2.0), "ids": [torch.zeros(4, 9)]}) == 4
    assert num_examples(("nothing", torch.tensor(1.0))) == 0


def test_the_head_of_a_batch_is_that_of_every_tensor_in_it():
    batch = Pair({"ids": torch.arange(6).view(3, 2), "scale": torch.tensor(2.0)}, [torch.arange(3), "name"])
    first = head(batch, 2)
    assert isinstance(first, Pair)
    assert first[0]["ids"].tolist() == [[0, 1], [2, 3]]
    assert first[0]["scale"].item() == 2.0
    assert (first[1][0].tolist(), first[1][1]) == ([0, 1], "name")
