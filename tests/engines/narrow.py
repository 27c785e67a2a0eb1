"""train_imagenet.py with narrow ResNets: a twelfth of the parameters to exchange and to save. Run by
test_agreement.py.

In the last stage, of one pixel for images of 32, GroupNorm has 16 values a group, as in the whole net.
"""

from functools import partial

import train_imagenet
from gluon_tricks.errors import run_main
from gluon_tricks.models import resnet
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.script import imagenet

resnet.PLANES = (64, 64, 64, 128)
imagenet.GroupNorm = partial(GroupNorm, num_groups=8)

if __name__ == "__main__":
    run_main(train_imagenet.main)
