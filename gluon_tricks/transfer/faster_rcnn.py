"""GluonCV's Faster R-CNN on a base of this kit, and its losses.

    base        stem and stages 1 to 3, stride 16; stage 4 processes each region of interest (C4)
    with FPN    all four stages, strides 4 to 64, two dense layers for each region

Stem, stage 1 and all BatchNorms are frozen, because the statistics of a batch of one image are of no use.
`--norm-layer syncbn` trains them.
"""

import functools
import warnings

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.transfer import METRICS
from gluon_tricks.parameters import settle_weights
from gluon_tricks.transfer.backbone import freeze, parts_of


@functools.cache
def _net_class():
    """GluonCV's class with one correction. Made on first use, because the import of GluonCV takes seconds."""
    from gluoncv.model_zoo import FasterRCNN

    class Net(FasterRCNN):
        """Each region gets the features of its own level of the pyramid, also on CPUs.

        GluonCV gives the regions of other levels a negative image number and expects zeros for them. On CPUs
        MXNet 1.9.1 leaves these values uninitialised.
        """

        # So many parameters because GluonCV's method has them
        def _pyramid_roi_feats(self, F, features, rpn_rois, roi_size, strides, roi_mode="align",
                               roi_canonical_scale=224.0,
                               sampling_ratio=2, eps=1e-6):
            last = min(self._max_stage, 5)                                   # P6 is for proposals only
            _, left, top, right, bottom = F.split(rpn_rois, axis=-1, num_outputs=5)
            side = F.sqrt((right - left + 1) * (bottom - top + 1))
            level = F.squeeze(F.clip(F.floor(4 + F.log2(side / roi_canonical_scale + eps)), self._min_stage,
                                     last))
            total = 0
            for feature, stride, stage in zip(features, strides, range(self._min_stage, last + 1)):
                if roi_mode == "pool":
                    pooled = F.ROIPooling(feature, rpn_rois, roi_size, 1 / stride)
                else:
                    pooled = F.contrib.ROIAlign(feature, rpn_rois, roi_size, 1 / stride,
                                                sample_ratio=sampling_ratio)
                total = total + F.where(level == stage, pooled, F.zeros_like(pooled))
            return total                                                     # (R, C, *roi_size)

    Net.__name__ = FasterRCNN.__name__                                       # Gluon names children after it
    return Net


def faster_rcnn(base, classes, shape, batch_size=1, frozen_norm=True, use_fpn=False):
    """A Faster R-CNN on an initialised base; its heads are not initialised.

    Parameters
    ----------
    base : ResNetV1 or ResNetV1b
    classes : sequence of str
    shape : Shape
    batch_size : int
        Images per device and update.
    frozen_norm : bool
        Freeze all BatchNorms, the stem and stage 1.
    use_fpn : bool

    Returns
    -------
    gluoncv.model_zoo.FasterRCNN
        `net(images)` returns ids, scores and boxes for prediction; `Losses` is for training.
    """
    # GluonCV's target generator has constants that only training uses
    warnings.filterwarnings("ignore",
                            message=r"Parameter normalizedperclass\S+_(means|stds), \S+ is not used")
    stem, stages = parts_of(base)
    parts = pyramid(base, shape, frozen_norm) if use_fpn else one_map(stem, stages, shape)
    net = _net_class()(
        **parts, classes=list(classes), short=shape.image_short, max_size=shape.image_max_size,
        nms_thresh=shape.nms_thresh, nms_topk=shape.nms_topk, post_nms=shape.post_nms,
        roi_mode=shape.roi_mode, roi_size=shape.roi_size, clip=shape.clip, rpn_channel=shape.rpn_channel,
        base_size=shape.anchor_base_size, scales=shape.anchor_scales, ratios=shape.anchor_aspect_ratio,
        alloc_size=shape.anchor_alloc_size, rpn_nms_thresh=shape.rpn_nms_thresh,
        rpn_train_pre_nms=shape.rpn_train_pre_nms, rpn_train_post_nms=shape.rpn_train_post_nms,
        rpn_test_pre_nms=shape.rpn_test_pre_nms, rpn_test_post_nms=shape.rpn_test_post_nms,
        rpn_min_size=shape.rpn_min_size, per_device_batch_size=batch_size, num_sample=shape.rcnn_num_samples,
        pos_iou_thresh=shape.rcnn_pos_iou_thresh, pos_ratio=shape.rcnn_pos_ratio, max_num_gt=shape.max_num_gt)
    if frozen_norm:
        freeze([*stem, stages[0]])
        freeze(stages[1:], only_norms=True)
    return net


def one_map(stem, stages, shape):
    """Parts of a C4 detector: features up to the stage of `shape.strides[0]`.

    Later stages for each region.
    """
    seen = {4: 1, 8: 2, 16: 3}[shape.strides[0]]
    features, top = nn.HybridSequential(), nn.HybridSequential()
    features.add(*stem, *stages[:seen])
    top.add(*stages[seen:])
    return {"features": features, "top_features": top, "strides": shape.strides[0]}


def pyramid(base, shape, frozen_norm):
    """Parts of a detector with a feature pyramid over all stages."""
    from gluoncv.nn.feature import FPNFeatureExpander

    x, outputs = mx.sym.var("data"), []
    stem, stages = parts_of(base)
    for layer in stem:
        x = layer(x)
    for stage in stages:
        x = stage(x)
        outputs.append(x)
    head = nn.HybridSequential()
    head.add(nn.AvgPool2D(pool_size=(3, 3), strides=2, padding=1))
    if frozen_norm:
        head.add(nn.Dense(shape.num_box_head_dense_filters, weight_initializer=mx.init.Normal(0.01)),
                 nn.Activation("relu"))
    else:
        for _ in range(shape.num_box_head_conv):
            head.add(nn.Conv2D(shape.num_box_head_conv_filters, 3, padding=1, use_bias=False), nn.BatchNorm(),
                     nn.Activation("relu"))
    head.add(nn.Dense(shape.num_box_head_dense_filters, weight_initializer=mx.init.Normal(0.01)),
             nn.Activation("relu"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot decide type")    # of the images; it is float32
        features = FPNFeatureExpander(network=base,
                                      outputs=[output.name[len(base.prefix):] for output in outputs],
                                      num_filters=[shape.num_fpn_filters] * 4, use_p6=True,
                                      no_bias=not frozen_norm)
    return {"features": features, "top_features": None, "box_features": head, "strides": shape.strides,
            "min_stage": 2, "max_stage": 6}


class Losses:
    """The four losses of an update on one device, and GluonCV's eight training figures.

    Each loss is divided by the number of its *sampled* anchors or regions, not by the number of all.

    Parameters
    ----------
    net : FasterRCNN
    rpn_rho, rcnn_rho : float
        Error at which the box losses change from squared to absolute.
    """

    def __init__(self, net, rpn_rho=1 / 9, rcnn_rho=1.0):
        self.net = net
        self.rpn_cls = gluon.loss.SigmoidBinaryCrossEntropyLoss(from_sigmoid=False)
        self.rpn_box = gluon.loss.HuberLoss(rho=rpn_rho)
        self.rcnn_cls = gluon.loss.SoftmaxCrossEntropyLoss()
        self.rcnn_box = gluon.loss.HuberLoss(rho=rcnn_rho)

    def __call__(self, images, label, rpn_cls_target, rpn_box_target, rpn_box_mask, weight=1.0):
        """Compute the loss; call this inside `autograd.record`.

        Parameters
        ----------
        images : NDArray, shape (N, 3, H, W)
        label : NDArray, shape (N, M, 6)
            Corners in pixels, class, whether difficult; padded with rows of -1.
        rpn_cls_target, rpn_box_target, rpn_box_mask : NDArray, shapes (N, A), (N, A, 4), (N, A, 4)
            For the A anchors: 1 object, 0 background, -1 not sampled; encoded boxes; 1 where boxes count.
        weight : float
            Factor of the loss: 0.5 for images mixed half and half.

        Returns
        -------
        loss : NDArray, shape (N,)
        figures : dict, name of METRICS -> (sum, count), scalar NDArrays
        """
        out = self.net(images, label[:, :, :4], label[:, :, 4:5])
        cls_pred, box_pred, _, _, _, rpn_score, rpn_box, _, cls_target, box_target, box_mask, _ = out
        rpn_score = rpn_score.squeeze(axis=-1)
        rpn_sampled, rcnn_sampled = rpn_cls_target >= 0, cls_target >= 0
        rpn_count, rcnn_count = rpn_sampled.sum(), rcnn_sampled.sum()
        parts = [
            self.rpn_cls(rpn_score, rpn_cls_target, rpn_sampled) * rpn_cls_target.size / rpn_count,
            self.rpn_box(rpn_box, rpn_box_target, rpn_box_mask) * rpn_box.size / rpn_count,
            self.rcnn_cls(cls_pred, cls_target, rcnn_sampled.expand_dims(-1)) * cls_target.size / rcnn_count,
            self.rcnn_box(box_pred, box_target, box_mask) * box_pred.size / rcnn_count,
        ]
        loss = sum(parts) * weight
        with autograd.pause():
            one = nd.ones((1,), ctx=images.context)
            right = (rpn_score.sigmoid() >= 0.5) == rpn_cls_target
            answers = cls_pred.argmax(axis=-1) == cls_target
            figures = [(part.mean() * weight, one) for part in parts]
            figures += [((right * rpn_sampled).sum(), rpn_count),
                        ((rpn_box_mask * nd.smooth_l1(rpn_box - rpn_box_target, scalar=3)).sum(),
                         rpn_box_mask.sum() / 4),
                        (answers.sum(), one * cls_target.size),
                        ((box_mask * nd.smooth_l1(box_pred - box_target, scalar=1)).sum(),
                         box_mask.sum() / 4)]
        return loss, dict(zip(METRICS, figures))


def prepare(net, engine):
    """Initialise the heads, move all parameters to the devices, and run the net once to infer all shapes.

    Raises
    ------
    UserError
        If the images have fewer anchors than the requested number of proposals.
    """
    side = net.short
    net.target_generator.collect_params()  # made on first use; must be part of the net's files
    for param in net.collect_params().values():
        if param._data is None:
            param.initialize()
    net.collect_params().reset_ctx(engine.ctx)
    try:
        for ctx in engine.ctx:
            net(nd.zeros((1, 3, side, side), ctx=ctx))[0].wait_to_read()
    except mx.MXNetError as error:
        raise UserError(f"--image-short {side}: such an image has fewer anchors than proposals are asked "
                        f"for; lower --rpn-train-post-nms and --rpn-test-post-nms "
                        f"({str(error).splitlines()[-1].strip()})") from error
    engine.broadcast_parameters(net)
    settle_weights(net)
