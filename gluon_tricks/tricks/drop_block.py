"""DropBlock (Ghiasi et al. 2018, arXiv 1810.12890), which some of GluonCV's ResNeSts contain.

    GluonCV   train_horovod.py raises the share that is dropped from epoch to epoch, to 0.1 in the last: 0.1 (e + 1) / E.
              train_imagenet.py leaves it at the net's own 0.1. A compiled net asks whether it is training only when it is
              first run; so both scripts go on dropping while they validate.
    here      the same shares in training, none in validation: the net is compiled anew between the two.
"""

from gluon_tricks.errors import UserError

END = 0.1        # what train_horovod.py reaches


def drop_block_layers(net):
    """GluonCV's DropBlock layers of a net, in a list."""
    layers = []
    net.apply(lambda block: layers.append(block) if type(block).__name__ == "DropBlock" else None)
    return layers


def check_drop_block(net, input_size):
    """Refuse images that are too small for the blocks to be dropped.

    Raises
    ------
    UserError
        GluonCV's layer would divide by zero.
    """
    for layer in drop_block_layers(net):
        if min(layer.h, layer.w) < layer.block_size:
            block = f"{layer.block_size}x{layer.block_size}"
            raise UserError(f"--input-size {input_size}: leaves {layer.h}x{layer.w} positions to a DropBlock of {block}; "
                            f"give a larger one")


class DropBlocks:
    """The DropBlock layers of a net; does nothing to a net without any.

    Parameters
    ----------
    net : Block
    recompile : callable
        Forgets what `net` was compiled to.
    num_epochs : int, optional
        Epochs over which the share rises to `END`; None leaves it as the net has it.
    """

    def __init__(self, net, recompile, num_epochs=None):
        self.layers, self.recompile, self.num_epochs = drop_block_layers(net), recompile, num_epochs

    def train(self, epoch):
        """To be called before an epoch's training."""
        if self.layers:
            if self.num_epochs:
                for layer in self.layers:
                    layer.drop_prob = END * (epoch + 1) / self.num_epochs
            self.recompile()

    def evaluate(self):
        """To be called before validation."""
        if self.layers:
            self.recompile()
