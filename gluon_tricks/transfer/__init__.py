"""Transfer (§5.5, §6): this kit's ResNets as the base of GluonCV's Faster R-CNN and FCN."""
