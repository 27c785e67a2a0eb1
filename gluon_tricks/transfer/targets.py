"""GluonCV's training transform and proposal targets, also for images without objects.

GluonCV's code needs a box in each image. Here an image without boxes is background: anchors inside it are
sampled as negatives, and no box counts. Its label is one row of -1, which GluonCV's batches use as padding
and the net's sampler of regions ignores.

This file imports GluonCV, which takes seconds; import it where it is used.
"""

import numpy as np
from gluoncv.data.transforms.presets.rcnn import FasterRCNNDefaultTrainTransform
from gluoncv.model_zoo.rcnn.rpn.rpn_target import RPNTargetGenerator


class TargetGenerator(RPNTargetGenerator):
    """GluonCV's targets of the anchors; a box without area means that the image has no objects."""

    def forward(self, bbox, anchor, width, height):
        if not is_background(bbox.asnumpy()):
            return super().forward(bbox, anchor, width, height)
        anchors = anchor.asnumpy()
        inside = ((anchors[:, :2] >= 0) & (anchors[:, 2:] < (width, height))).all(axis=1)
        candidates = np.flatnonzero(inside if inside.any() else ~inside)     # all, if none fits
        sampled = np.random.choice(candidates, min(self._num_sample, len(candidates)), replace=False)
        classes = np.full(len(anchors), -1.0)                                # not sampled
        classes[sampled] = 0                                                 # background
        return classes, np.zeros(anchors.shape), np.zeros(anchors.shape)


class TrainTransform(FasterRCNNDefaultTrainTransform):
    """GluonCV's resizing, mirroring and targets, for labels with any number of boxes."""

    def __call__(self, image, label):
        if len(label):
            return super().__call__(image, label)
        sample = super().__call__(image, np.zeros((1, label.shape[1])))
        return (sample[0], np.full_like(sample[1], -1), *sample[2:])

    @property
    def _target_generator(self):
        if self._internal_target_generator is None:
            self._internal_target_generator = TargetGenerator(
                num_sample=self._num_sample, pos_iou_thresh=self._pos_iou_thresh,
                neg_iou_thresh=self._neg_iou_thresh, pos_ratio=self._pos_ratio, stds=self._box_norm)
        return self._internal_target_generator


def is_background(boxes):
    """Whether the only box has no area, which mirroring and scaling preserve."""
    return len(boxes) == 1 and boxes[0, 0] == boxes[0, 2]


def train_transform(net):
    """The transform for a net's training images; its numbers are GluonCV's."""
    return TrainTransform(net.short, net.max_size, net, ashape=net.ashape, multi_stage=net.num_stages > 1)
