"""DropBlock (Ghiasi et al. 2018, arXiv 1810.12890), which some of GluonCV's ResNeSts contain.

    GluonCV   train_horovod.py raises the dropped share in each epoch e of E: 0.1 (e + 1) / E.
              train_imagenet.py leaves it at the net's own 0.1. A compiled net checks only in its first run
              whether it is training, so both scripts also drop in validation.
    here      the same shares in training, none in validation: the net is compiled again between the two.
"""

from gluon_tricks.errors import UserError

END = 0.1        # the share in train_horovod.py's last epoch


def drop_block_layers(net):
    """List of the DropBlock layers of a net."""
    layers = []
    net.apply(lambda block: layers.append(block) if type(block).__name__ == "DropBlock" else None)
    return layers


def check_drop_block(net, input_size):
    """Refuse images that are too small for the dropped blocks.

    Raises
    ------
    UserError
        GluonCV's layer would divide by zero.
    """
    for layer in drop_block_layers(net):
        if min(layer.h, layer.w) < layer.block_size:
            block = f"{layer.block_size}x{layer.block_size}"
            raise UserError(f"--input-size {input_size}: leaves {layer.h}x{layer.w} positions to a "
                            f"DropBlock of {block}; give a larger one")


class DropBlocks:
    """The DropBlock layers of a net; does nothing to a net without any.

    Parameters
    ----------
    net : Block
    recompile : callable
        Discards the compiled form of `net`.
    num_epochs : int, optional
        Epochs over which the share rises to `END`; None keeps the net's own share.
    """

    def __init__(self, net, recompile, num_epochs=None):
        self.layers, self.recompile, self.num_epochs = drop_block_layers(net), recompile, num_epochs

    def train(self, epoch):
        """Drop blocks; call it before an epoch's training."""
        if self.layers:
            if self.num_epochs:
                for layer in self.layers:
                    layer.drop_prob = END * (epoch + 1) / self.num_epochs
            self.recompile()

    def evaluate(self):
        """Drop nothing; call it before validation."""
        if self.layers:
            self.recompile()
