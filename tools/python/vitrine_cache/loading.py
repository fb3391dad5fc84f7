"""torch's DataLoader over a VitrineDataset, which knows how far it is."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .batch import Batch
from .dataset import VitrineDataset, whole
from .errors import InputError

OWN = ("batch_size", "shuffle", "sampler", "batch_sampler", "collate_fn", "drop_last")


class _Positions(torch.utils.data.Sampler[int]):
    """The batches of an epoch from `first` on."""

    def __init__(self, batches: int) -> None:
        self.first, self.batches = 0, batches

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.batches))

    def __len__(self) -> int:
        return self.batches


class Loader(torch.utils.data.DataLoader[Batch]):
    """Each iteration is one epoch of `dataset`, and then the next one is chosen:

        for epoch in range(loader.epoch, epochs):
            for batch in loader:
                ...

    An iteration that is broken off is begun again by the next one. len() is the number of batches of a whole epoch."""

    dataset: VitrineDataset

    def __init__(self, dataset: VitrineDataset, **options: Any) -> None:
        for name in OWN:
            if name in options:
                raise InputError(f"{name} is not an option of loader(); expected it as one of VitrineDataset, which makes the "
                                 "batches and their order")
        if not options.get("in_order", True):
            raise InputError("in_order = False is not allowed; batches come in their order, by which training resumes")
        self._given, self._resume = 0, (0, 0)  # epoch and batch at which an iteration of this epoch begins
        self._positions = _Positions(len(dataset))
        super().__init__(dataset, batch_size=None, sampler=self._positions, **options)

    @property
    def epoch(self) -> int:
        """The epoch of the iteration under way, else of the next one."""
        return self.dataset.epoch

    def set_epoch(self, epoch: int) -> None:
        """As VitrineDataset.set_epoch(). Choosing the current epoch again changes nothing, so that a loop that calls this
        for every epoch resumes where it should after load_state_dict()."""
        if whole("epoch", epoch, 0, 2**32 - 1) != self.epoch:
            self.dataset.set_epoch(epoch)
            self._given = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._given = self._positions.first = self._resume[1] if self._resume[0] == self.epoch else 0
        self._resume = (0, 0)
        return self._epoch(super().__iter__(), self.epoch)  # which takes the positions now

    def _epoch(self, batches: Any, epoch: int) -> Iterator[Batch]:
        for batch in batches:
            self._given += 1
            yield batch
        self.set_epoch(epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """Where training is: after the batch that the loop has last received, however many workers have prefetched."""
        ended = self._given >= len(self)
        return {"epoch": self.epoch + ended, "batch": 0 if ended else self._given, "order": self.dataset.fingerprint()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration resumes there. Raises InputError if the views would come in another order."""
        try:
            epoch, batch, order = state["epoch"], state["batch"], dict(state["order"])
        except (KeyError, TypeError, ValueError):
            raise InputError("this is not a loader's state; expected what Loader.state_dict() returned") from None
        own = self.dataset.fingerprint()
        for key, value in own.items():
            if order.get(key) != value:
                raise InputError(f"the state was saved with {key} = {order.get(key)!r}, this data set has {value!r}; make the data "
                                 "set with the same arguments")
        self.dataset.set_epoch(whole("epoch", epoch, 0, 2**32 - 1))
        self._given = whole("batch", batch, 0, len(self) - 1)
        self._resume = (self.epoch, self._given)


def loader(dataset: VitrineDataset, num_workers: int = 0, **options: Any) -> Loader:
    """A Loader; further options are DataLoader's, by default with persistent workers, and pinned memory where there is a
    GPU."""
    options.setdefault("persistent_workers", num_workers > 0)
    options.setdefault("pin_memory", torch.cuda.is_available())
    return Loader(dataset, num_workers=num_workers, **options)
