"""Inception-V3: the names of timm and of torchvision, which are those of the paper's first code."""

from gluon_tricks.bridge.tables import Table

STEM = ((0, "Conv2d_1a_3x3"), (1, "Conv2d_2a_3x3"), (2, "Conv2d_2b_3x3"), (4, "Conv2d_3b_1x1"),
        (5, "Conv2d_4a_3x3"))


def chain(branch, name, length):
    """A branch of several convolutions, which are numbered from 1 there."""
    return tuple((rf"{branch}\.{number}", f"{name}_{number + 1}") for number in range(length))


def split(branch, name):
    """A branch that ends in a 1x3 and a 3x1 convolution of the same input."""
    return (rf"{branch}\.1\.0\.0", f"{name}a"), (rf"{branch}\.1\.1\.0", f"{name}b")


# Of each kind of block: our place -> their name of its convolutions
A = (("0.0", "branch1x1"), *chain("1", "branch5x5", 2), *chain("2", "branch3x3dbl", 3),
     ("3.1", "branch_pool"))
B = (("0.0", "branch3x3"), *chain("1", "branch3x3dbl", 3))
C = (("0.0", "branch1x1"), *chain("1", "branch7x7", 3), *chain("2", "branch7x7dbl", 5),
     ("3.1", "branch_pool"))
D = (*chain("0", "branch3x3", 2), *chain("1", "branch7x7x3", 4))
E = (("0.0", "branch1x1"), *split("1", "branch3x3_2"), *chain("1.0", "branch3x3", 1),
     *split("2", "branch3x3dbl_3"), *chain("2.0", "branch3x3dbl", 2), ("3.1", "branch_pool"))
BLOCKS = ((7, "5b", A), (8, "5c", A), (9, "5d", A), (10, "6a", B), (11, "6b", C), (12, "6c", C),
          (13, "6d", C), (14, "6e", C), (15, "7a", D), (16, "7b", E), (17, "7c", E))
RULES = (*((rf"^features\.{number}\.(?=[01]\.\w+$)", f"{name}.") for number, name in STEM),
         *((rf"^features\.{number}\.{place}\.(?=[01]\.\w+$)", f"Mixed_{name}.{layer}.")
           for number, name, block in BLOCKS for place, layer in block),
         (r"(^\w+(?:\.branch\w+)?)\.0\.(?=\w+$)", r"\1.conv."),
         (r"(^\w+(?:\.branch\w+)?)\.1\.(?=\w+$)", r"\1.bn."),
         (r"^output\.", "fc."))
TABLES = INCEPTION_V3, = Table("Inception-V3", RULES),
