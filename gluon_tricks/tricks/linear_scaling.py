"""Linear scaling of the learning rate (§3.1).

    paper:    peak_lr = 0.1 x global_batch_size / 256
    GluonCV:  --lr is the rate for the whole batch, not scaled; train_horovod.py multiplies it by the number
              of workers

Most published ImageNet logs follow the rule (0.4 at 1024, 0.1 at 256), some do not: mobilenetv2 has 0.05 at
256, se_resnext101_64x4d 0.4 at 512, mobilenetv3 2.6 at 2048.
"""

REFERENCE_LR, REFERENCE_BATCH_SIZE = 0.1, 256


def linear_scaled_lr(global_batch_size):
    """Peak rate by the rule, for a batch of `global_batch_size` images over all devices and processes."""
    return REFERENCE_LR * global_batch_size / REFERENCE_BATCH_SIZE
