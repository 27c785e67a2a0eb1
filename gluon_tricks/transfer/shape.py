"""The numbers of a Faster R-CNN, as GluonCV's scripts have them. Importing this file does not import
MXNet."""

from typing import NamedTuple


class Shape(NamedTuple):
    """The numbers of a Faster R-CNN. Defaults are those of GluonCV's `faster_rcnn_resnet50_v1b_voc`."""

    image_short: int = 600
    image_max_size: int = 1000
    nms_thresh: float = 0.3
    nms_topk: int = 400
    post_nms: int = 100
    roi_mode: str = "align"
    roi_size: tuple = (14, 14)
    strides: tuple = (16,)
    clip: float = None
    rpn_channel: int = 1024
    anchor_base_size: int = 16
    anchor_aspect_ratio: tuple = (0.5, 1, 2)
    anchor_scales: tuple = (2, 4, 8, 16, 32)
    anchor_alloc_size: tuple = (128, 128)
    rpn_nms_thresh: float = 0.7
    rpn_train_pre_nms: int = 12000
    rpn_train_post_nms: int = 2000
    rpn_test_pre_nms: int = 6000
    rpn_test_post_nms: int = 300
    rpn_min_size: int = 16
    rcnn_num_samples: int = 128
    rcnn_pos_iou_thresh: float = 0.5
    rcnn_pos_ratio: float = 0.25
    max_num_gt: int = 100
    num_fpn_filters: int = 256
    num_box_head_conv: int = 4
    num_box_head_conv_filters: int = 256
    num_box_head_dense_filters: int = 1024


VOC = Shape()
FPN = Shape(image_short=800, image_max_size=1333, nms_thresh=0.5, nms_topk=-1, post_nms=-1, roi_size=(7, 7),
            strides=(4, 8, 16, 32, 64), clip=4.14, rpn_channel=256, anchor_alloc_size=(384, 384),
            # those of GluonCV's `custom-model`
            rpn_test_post_nms=1000, rpn_min_size=1, rcnn_num_samples=512)
