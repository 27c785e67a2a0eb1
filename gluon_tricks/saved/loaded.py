"""A net with its parameters that answers questions about images."""

from pathlib import Path

import numpy as np

from gluon_tricks.data.images import PhotographLoader
from gluon_tricks.errors import UserError
from gluon_tricks.saved.averaging import TEN_CROPS, averaged, check_views
from gluon_tricks.saved.described import transform_of
from gluon_tricks.saved.net import open_net
from gluon_tricks.saved.predictions import checked_output, softmax, top_of
from gluon_tricks.saved.sources import FileImages, Source
from gluon_tricks.training.evaluation import answers


class LoadedNet:
    """A net that is ready to predict.

    Parameters
    ----------
    saved : SavedNet
    engine : SingleProcess
    dtype : str
    tta : "flip", "10crop" or None
        Test-time averaging: probabilities are the mean over several views of an image (`averaging`).

    Attributes
    ----------
    net : HybridBlock
    facts : NetFacts
    names : list of str or None
        Class names in label order.
    """

    def __init__(self, saved, engine, dtype="float32", tta=None):
        check_views(tta, saved.facts)
        self.engine, self.dtype, self.tta = engine, dtype, tta
        self.net, classes = open_net(saved, engine, dtype)
        self.names = saved.names(classes)
        self.facts = saved.facts._replace(classes=classes)

    def name(self, label):
        """The name of a class, or its number as text."""
        return self.names[label] if self.names else str(label)

    def probabilities(self, images, batch_size=32, num_workers=2):
        """Yield `(positions, probabilities)` for each batch of some `FileImages`.

        Positions are int64, shape (n,), probabilities float64, shape (n, classes). Images that cannot be read
        are missing and stand in `images.bad`. Pixels are those of validation: EXIF orientation is obeyed, and
        the size, crop and normalisation are the training's.
        """
        transform, net = transform_of(self.facts, self.tta == TEN_CROPS), averaged(self.net, self.tta)
        for batch in PhotographLoader(images, transform, batch_size, None, "keep", num_workers).epoch(0):
            data = batch.data.slice_axis(axis=-3, begin=0, end=self.facts.channels)
            parts = answers(net, batch._replace(data=data), self.engine, self.dtype)
            output = np.concatenate([part.astype("float32").asnumpy() for part, _ in parts])
            is_read = batch.label.asnumpy() >= 0
            yield batch.positions[is_read], softmax(checked_output(output[is_read]))

    def predict(self, images, top=5, batch_size=32, num_workers=2):
        """The most probable classes of images.

        Parameters
        ----------
        images : path, encoded bytes, uint8 RGB array of shape (H, W, 3), or a list of these
        top : int

        Returns
        -------
        list of (name, probability)
            The most probable first; for a list of images, one list for each.

        Raises
        ------
        UserError
            If an image cannot be read.
        """
        is_list = isinstance(images, (list, tuple))
        sources = [Source(str(one) if isinstance(one, (str, Path)) else f"image {number}",
                          Path(one).expanduser() if isinstance(one, str) else one)
                   for number, one in enumerate(images if is_list else [images])]
        files, found = FileImages(sources, self.facts.channels), []
        for _, rows in self.probabilities(files, batch_size, num_workers):
            found += [[(self.name(label), probability) for label, probability in row]
                      for row in top_of(rows, top)]
        for position, what in files.bad.items():
            raise UserError(f"{sources[position].name}: {what}")
        return found if is_list else found[0]
