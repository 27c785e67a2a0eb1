"""Learning rates of GluonCV's detection and segmentation scripts, as functions of the update number."""

from gluon_tricks.optim.lr_schedule import lr_schedule


def detection_schedule(lr, factor, decay_epochs, updates_per_epoch, warmup_updates=-1, warmup_factor=1 / 3):
    """Steps at epochs; in the first epoch a linear warm-up from `warmup_factor` of the rate.

    As in GluonCV, a warm-up ends with the first epoch at the latest.

    Returns
    -------
    callable
        num_update -> learning rate
    """
    def rate(num_update):
        epoch, batch = divmod(num_update, updates_per_epoch)
        now = lr * factor ** sum(epoch >= step for step in decay_epochs)
        if epoch == 0 and warmup_updates > 0 and batch <= warmup_updates:
            done = batch / warmup_updates
            now *= warmup_factor * (1 - done) + done
        return now
    return rate


def segmentation_schedule(lr, epochs, updates_per_epoch, warmup_epochs=0):
    """Linear warm-up, then poly decay with power 0.9 to 0: GluonCV's `LRSequential`."""
    return lr_schedule("poly", lr, epochs, updates_per_epoch, warmup_epochs, power=0.9)
